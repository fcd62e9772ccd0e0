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

// While row y of the output is made, a tensor reaches down to the last row that y depends on, and its readers start
// where they stopped for row y - 1.
void size_rings(ConvProgram& program) {
  std::vector<Interval> now, before;
  for (int64_t phase = 0; phase < kWinogradOutputs * program.body_factor; ++phase) {
    const int64_t y = kFarRow * program.body_factor + phase;
    required_regions(program, y, y, 0, now);
    required_regions(program, y - 1, y - 1, 0, before);
    const auto keep = [&](int tensor, int64_t from) {
      const auto keep_one = [&](int t) {
        int64_t& capacity = program.tensors[t].capacity;
        capacity = std::max(capacity, now[t].last - from + 1);
      };
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
      keep(step.source, floor_div(next, step.factor) - step.reach[0]);
      if (step.add >= 0) keep(step.add, next);
      if (step.times >= 0) keep(step.times, next);
    }
    for (size_t i = 0; i < program.tensors.size(); ++i) {
      if (now[i].empty()) continue;
      const int64_t ahead = now[i].length() * program.body_factor / program.tensors[i].factor;
      program.latency = std::max(program.latency, ahead + 2 * program.body_factor);
    }
  }
  // Ranges of one ring are written and read at different times, but each is a ring of its own rows: the longest
  // decides.
  for (const Tensor& t : program.tensors) {
    for (int whole = t.whole; whole >= 0; whole = program.tensors[whole].whole) {
      program.tensors[whole].capacity = std::max(program.tensors[whole].capacity, t.capacity);
    }
  }
}

int64_t unit_bytes(const ConvProgram& program, int64_t width, int64_t frame_width) {
  std::vector<Interval> need;
  required_regions(program, kFarRow * program.body_factor, (kFarRow + width) * program.body_factor - 1, 1, need);
  int64_t bytes = 0;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    if (need[i].empty()) continue;
    need[i].last = std::min(need[i].last, need[i].first + frame_width * t.factor - 1);
    const int tensor = static_cast<int>(i);
    if (has_ring(program, tensor, false)) bytes += (t.capacity + 1) * ring_row(t, need[i], 4);
    if (has_ring(program, tensor, true)) bytes += (t.capacity + 1) * ring_row(t, need[i], program.packed_item(t));
  }
  return bytes;
}

size_t lay_out(const ConvProgram& program, const std::vector<Interval>& columns, Rings& rings) {
  size_t bytes = 0;
  rings.floats.resize(program.tensors.size());
  rings.packed.resize(program.tensors.size());
  const auto lay = [&](const Tensor& t, const Interval& held, Ring& ring, int64_t sample) {
    ring.pixel = t.padded_channels * sample;
    ring.row = ring_row(t, held, sample);
    ring.capacity = t.capacity;
    ring.first = held.first;
    bytes += static_cast<size_t>((ring.capacity + 1) * ring.row);
  };
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    if (columns[i].empty()) continue;
    const int tensor = static_cast<int>(i);
    if (has_ring(program, tensor, false)) lay(t, columns[i], rings.floats[i], 4);
    if (has_ring(program, tensor, true)) lay(t, columns[i], rings.packed[i], program.packed_item(t));
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
