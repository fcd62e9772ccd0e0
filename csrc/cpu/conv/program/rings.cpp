#include "cpu/conv/program/rings.h"

#include <algorithm>
#include <cstring>

namespace fastsr::cpu {
namespace {

constexpr int64_t kRowAlign = 64;

// Rows a power of two apart would share the same few lines of the cache.
int64_t row_bytes(int64_t bytes) {
  const int64_t rounded = round_up(bytes, kRowAlign);
  return rounded % 1024 == 0 ? rounded + kRowAlign : rounded;
}

// Bytes from row to row of a tensor's ring.
int64_t ring_row(const Tensor& t, const Interval& columns, int64_t sample) {
  if (!t.is_transformed) return row_bytes((columns.length() + 2 * t.margin) * t.padded_channels * sample);
  const int64_t tiles = round_up(columns.length(), kWinogradOutputs) / kWinogradOutputs;
  return row_bytes(tiles * kWinogradPlanes * t.padded_channels * sample);
}

// The tensor whose ring holds tensor `i`, as floats or packed, and the padded channel at which it begins there.
struct Home {
  int tensor, offset;
};

Home home(const ConvProgram& program, int i, bool packed) {
  int offset = 0;
  for (int whole = program.tensors[i].whole; whole >= 0 && program.tensors[whole].held(packed);
       whole = program.tensors[i].whole) {
    offset += program.tensors[i].offset;
    i = whole;
  }
  return Home{i, offset};
}

bool has_ring(const ConvProgram& program, int i, bool packed) {
  return program.tensors[i].held(packed) && home(program, i, packed).tensor == i;
}

}  // namespace

// While rows y.. of the output are made, a tensor reaches down to the last row that they depend on, and its readers
// start where they stopped for row y - 1.
RingRows ring_rows(const ConvProgram& program, int64_t batch) {
  RingRows made{batch, std::vector<int64_t>(program.tensors.size())};
  const int64_t body = program.body_factor;
  std::vector<Interval> now, before;
  for (int64_t phase = 0; phase < kWinogradOutputs * body; ++phase) {
    const int64_t y = kFarRow * body + phase;
    required_regions(program, y, y + batch * body - 1, 0, now);
    required_regions(program, y - 1, y - 1, 0, before);
    const auto keep = [&](int tensor, int64_t from) {
      const auto keep_one = [&](int t) { made.rows[t] = std::max(made.rows[t], now[t].last - from + 1); };
      keep_one(tensor);
      for (const int part : program.tensors[tensor].parts) keep_one(part);
    };
    for (const Step& step : program.steps) {
      if (step.kind == Step::Kind::load) continue;
      if (step.kind == Step::Kind::store) {
        keep(step.source, y);
        continue;
      }
      const int64_t next = before[step.target].last + 1;
      if (now[step.target].empty() || next > now[step.target].last) continue;
      keep(step.source, floor_div(next, step.factor) * step.down - step.before[0]);
      if (step.add >= 0) keep(step.add, next);
      if (step.times >= 0) keep(step.times, next);
    }
    for (size_t i = 0; i < program.tensors.size(); ++i) {
      if (before[i].empty()) continue;
      const int64_t ahead = before[i].length() * body / program.tensors[i].factor;
      made.latency = std::max(made.latency, ahead + 2 * body);
    }
  }
  // Ranges of one ring are written and read at different times, but each is a ring of its own rows: the longest
  // decides.
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    for (int whole = program.tensors[i].whole; whole >= 0; whole = program.tensors[whole].whole) {
      made.rows[whole] = std::max(made.rows[whole], made.rows[i]);
    }
  }
  return made;
}

UnitBytes unit_bytes(const ConvProgram& program, const RingRows& rows, int64_t width, int64_t frame_width) {
  std::vector<Interval> need;
  required_regions(program, kFarRow * program.body_factor, (kFarRow + width) * program.body_factor - 1, 1, need);
  UnitBytes bytes{0, 0};
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    if (need[i].empty()) continue;
    need[i].last = std::min(need[i].last, need[i].first + std::max<int64_t>(1, t.length(1, frame_width)) - 1);
    const int tensor = static_cast<int>(i);
    int64_t row = 0;
    if (has_ring(program, tensor, false)) row += ring_row(t, need[i], 4);
    if (has_ring(program, tensor, true)) row += ring_row(t, need[i], program.packed_item(t));
    bytes.all += (rows.rows[i] + 1) * row;
    bytes.row += t.factor * row;
  }
  return bytes;
}

size_t lay_out(const ConvProgram& program, const RingRows& rows, const std::vector<Interval>& columns, Rings& rings) {
  size_t bytes = 0;
  rings.floats.resize(program.tensors.size());
  rings.packed.resize(program.tensors.size());
  const auto lay = [&](size_t i, Ring& ring, int64_t sample) {
    const Tensor& t = program.tensors[i];
    ring.pixel = t.padded_channels * sample;
    ring.row = ring_row(t, columns[i], sample);
    ring.capacity = rows.rows[i];
    ring.first = columns[i].first;
    bytes += static_cast<size_t>((ring.capacity + 1) * ring.row);
  };
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    if (columns[i].empty()) continue;
    const int tensor = static_cast<int>(i);
    if (has_ring(program, tensor, false)) lay(i, rings.floats[i], 4);
    if (has_ring(program, tensor, true)) lay(i, rings.packed[i], program.packed_item(t));
  }
  return bytes;
}

void place(const ConvProgram& program, const std::vector<Interval>& columns, uint8_t* memory, Rings& rings) {
  const auto settle = [&](const Tensor& t, const Interval& held, Ring& ring, uint8_t zero) {
    if (ring.row == 0) return;
    const int64_t margin = t.margin * ring.pixel;
    const int64_t end = t.is_transformed ? ring.row : margin + held.length() * ring.pixel;
    for (int64_t y = 0; y < ring.capacity; ++y) {
      std::memset(memory + y * ring.row, zero, margin);
      std::memset(memory + y * ring.row + end, zero, static_cast<size_t>(ring.row - end));
    }
    ring.data = memory + margin;
    ring.outside = memory + ring.capacity * ring.row;
    std::memset(ring.outside, zero, static_cast<size_t>(ring.row));
    ring.outside += margin;
    memory += (ring.capacity + 1) * ring.row;
  };
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    settle(t, columns[i], rings.floats[i], 0);
    const bool bytes = program.format == StorageFormat::u8x4;
    settle(t, columns[i], rings.packed[i], bytes ? static_cast<uint8_t>(t.quantization.zero_point) : 0);
  }
  for (const bool as_packed : {false, true}) {
    std::vector<Ring>& held = as_packed ? rings.packed : rings.floats;
    for (size_t i = 0; i < program.tensors.size(); ++i) {
      const Tensor& t = program.tensors[i];
      const Home at = home(program, static_cast<int>(i), as_packed);
      if (!t.held(as_packed) || columns[i].empty() || at.tensor == static_cast<int>(i)) continue;
      const int64_t offset = at.offset * (as_packed ? program.packed_item(t) : int64_t{sizeof(float)});
      held[i] = held[static_cast<size_t>(at.tensor)];
      held[i].data += offset;
      held[i].outside += offset;
    }
  }
}

}  // namespace fastsr::cpu
