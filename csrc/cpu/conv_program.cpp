#include "conv_program.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "conv_pack.h"
#include "pool.h"

namespace fastsr::cpu {
namespace {

constexpr int64_t kUnitBytes = 32 << 20;       // that the rings of one unit may fill, for each thread that works on it
constexpr int kTilesFrom = 32;                 // channels of an input that spreading both ways pays for
constexpr int64_t kShare = 12 * kTileOutputs;  // columns that a thread of a team should have at least
constexpr double kLeastWork = 6e4;             // multiplications that are worth sharing out
constexpr int64_t kFarRow = 1 << 24;           // far from any edge, and a multiple of every factor's power in use
constexpr int64_t kRowAlign = 64;

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

Interval joined(Interval a, Interval b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return Interval{std::min(a.first, b.first), std::max(a.last, b.last)};
}

// Rows a power of two apart would share the same few lines of the cache.
int64_t row_bytes(int64_t bytes) {
  const int64_t rounded = round_up(bytes, kRowAlign);
  return rounded % 1024 == 0 ? rounded + kRowAlign : rounded;
}

}  // namespace

// One tensor's rows in memory: columns first..last of a unit with the margins beside them, as a ring.
struct Ring {
  uint8_t* data = nullptr;  // column `first` of the ring's first row
  int64_t pixel = 0, row = 0, capacity = 0;
  int64_t first = 0;
  uint8_t* outside = nullptr;  // a row of zeros: the rows above and below the frame

  uint8_t* at(int64_t y, int64_t x) const { return data + (y % capacity) * row + (x - first) * pixel; }
};

// How a frame is cut.
struct ConvProgram::Cut {
  int64_t columns, rows;  // units across and down
  int team;               // threads that share a unit
};

// A part of a frame that is computed on its own.
struct ConvProgram::Unit {
  const void* pixels;
  void* out;
  Type type;
  int64_t size[2];                // the frame's height and width
  int64_t top, bottom;            // rows of the input that the unit is for
  int64_t left, right;            // columns
  std::vector<Interval> rows;     // of every tensor, that the row at hand needs
  std::vector<Interval> columns;  // of every tensor, that the unit needs
  std::vector<int64_t> next;      // row of every tensor to be made next
  std::vector<Ring> floats, packed;
};

ConvProgram::ConvProgram(const ConvKernels& kernels, const std::string& precision) : kernels_(kernels) {
  if (precision == "fp32") {
    kind_ = Packed::none;
  } else if (precision == "int8") {
    kind_ = kernels.int8;
  } else if (precision == "bf16" && kernels.conv_bf16 != nullptr) {
    kind_ = Packed::bf16;
  } else {
    throw std::invalid_argument("this instruction set has no " + precision);
  }
}

int ConvProgram::stored(int channels, bool input) const {
  return static_cast<int>(round_up(channels, input ? 4 : kernels_.lanes));
}

int ConvProgram::tensor(int channels, int factor, bool floats, bool packed, Grid grid) {
  Tensor made{channels, factor, floats, packed && kind_ != Packed::none, grid};
  made.stored = stored(channels, tensors_.empty());
  tensors_.push_back(made);
  if (tensors_.size() == 1) {
    Step load;
    load.kind = Kind::load;
    load.target = 0;
    steps_.push_back(std::move(load));
  }
  return static_cast<int>(tensors_.size()) - 1;
}

// Adds a convolution that conv_winograd_tiles.h makes, if it is one.
bool ConvProgram::tile_conv(const ConvSpec& spec) {
  Tensor &source = tensors_[spec.source], &target = tensors_[spec.target];
  if (kind_ != Packed::none || spec.rows != 3 || spec.columns != 3 || source.stored % kernels_.lanes != 0 ||
      source.stored < kTilesFrom || spec.out < kTilesFrom / 2) {
    return false;
  }
  ConvSpec spread = spec;
  const std::vector<float> kernel = spread_kernel_both_ways(spec);
  spread.kernel = kernel.data();
  spread.rows = spread.columns = 1;
  Step step;
  step.kind = Kind::tiles;
  step.source = spec.source;
  step.target = spec.target;
  step.add = spec.add;
  step.factor = spec.factor;
  step.reach[0] = step.reach[1] = 1;
  step.conv =
      pack(spread, kernels_, Packed::none, 0, source.stored, spec.factor * spec.factor, target.stored, kPlanes2);
  // Tiles begin one pixel to the left of their outputs; the last one may begin at the row's last pixel.
  source.margin = std::max<int64_t>(source.margin, kTilePlanes);
  target.granule[0] = target.granule[1] = spec.factor * kTileOutputs;
  steps_.push_back(std::move(step));
  teams_ = true;
  return true;
}

void ConvProgram::conv(const ConvSpec& spec) {
  if (tile_conv(spec)) return;
  const bool exact = spec.levels == nullptr && kind_ != Packed::bf16;  // in float
  const bool winograd =
      exact && spec.rows == 3 && spec.columns == 3 && tensors_[spec.source].stored % kernels_.lanes == 0;
  const int from = winograd ? spread_of(spec.source) : spec.source;
  Tensor &source = tensors_[from], &target = tensors_[spec.target];
  Step step;
  step.kind = winograd ? Kind::winograd : Kind::conv;
  step.source = from;
  step.target = spec.target;
  step.add = spec.add;
  step.factor = spec.factor;
  step.reach[0] = spec.rows / 2;
  step.reach[1] = spec.columns / 2;
  step.reads = exact ? Packed::none : kind_;
  if (winograd) {
    ConvSpec spread = spec;
    const std::vector<float> kernel = spread_kernel(spec);
    spread.kernel = kernel.data();
    spread.columns = 1;
    step.reach[1] = 0;
    step.conv =
        pack(spread, kernels_, Packed::none, 0, source.stored, spec.factor * spec.factor, target.stored, kTilePlanes);
    target.granule[0] = spec.factor;
    target.granule[1] = spec.factor * kTileOutputs;
    steps_.push_back(std::move(step));
    return;
  }
  step.conv =
      pack(spec, kernels_, step.reads, source.grid.zero, source.stored, spec.factor * spec.factor, target.stored);
  source.margin = std::max<int64_t>(source.margin, step.reach[1]);
  target.granule[0] = target.granule[1] = spec.factor;
  steps_.push_back(std::move(step));
}

// The tensor that holds `source` spread, and the step that makes it.
int ConvProgram::spread_of(int source) {
  if (tensors_[source].spread >= 0) return tensors_[source].spread;
  Tensor made{tensors_[source].channels, tensors_[source].factor, true, false, Grid{}};
  made.stored = tensors_[source].stored;
  made.granule[1] = kTileOutputs;
  made.is_spread = true;
  // Tiles begin one pixel to the left of their outputs; the last one may begin at the row's last pixel.
  tensors_[source].margin = std::max<int64_t>(tensors_[source].margin, kTilePlanes);
  tensors_[source].spread = static_cast<int>(tensors_.size());
  Step step;
  step.kind = Kind::spread;
  step.source = source;
  step.target = tensors_[source].spread;
  step.reach[1] = 1;
  tensors_.push_back(made);
  steps_.push_back(std::move(step));
  return steps_.back().target;
}

// Bytes from row to row of a tensor's ring.
int64_t ConvProgram::ring_row(const Tensor& t, const Interval& columns, int64_t sample) const {
  const int64_t width = columns.last - columns.first + 1;
  if (!t.is_spread) return row_bytes((width + 2 * t.margin) * t.stored * sample);
  return row_bytes(round_up(width, kTileOutputs) / kTileOutputs * kTilePlanes * t.stored * sample);
}

void ConvProgram::gather(int source, int target, int factor, std::vector<int32_t> table, int add,
                         std::vector<float> slopes, bool clipped, float low, float high) {
  Step step;
  step.kind = Kind::gather;
  step.source = source;
  step.target = target;
  step.add = add;
  step.factor = factor;
  step.table = std::move(table);
  step.finish = Finish{filled(slopes, 1, tensors_[target].stored, 0.f), clipped, low, high};
  steps_.push_back(std::move(step));
}

void ConvProgram::sum(int source, int target, int terms, std::vector<float> bias, std::vector<int32_t> starts,
                      std::vector<float> scales) {
  Step step;
  step.kind = Kind::sum;
  step.source = source;
  step.target = target;
  step.terms = terms;
  step.reach[0] = terms / 2;
  const size_t bytes = 4 * static_cast<size_t>(tensors_[target].channels);
  step.starts = Block(bytes);
  std::memcpy(step.starts.data(), scales.empty() ? static_cast<const void*>(bias.data()) : starts.data(), bytes);
  step.scales = std::move(scales);
  steps_.push_back(std::move(step));
}

void ConvProgram::store(int source, int factor, bool residual) {
  Step step;
  step.kind = Kind::store;
  step.source = source;
  step.factor = factor;
  step.residual = residual;
  steps_.push_back(std::move(step));
  body_factor_ = tensors_[source].factor;
  measure();
}

int64_t ConvProgram::scale() const { return body_factor_ * steps_.back().factor; }

// What of every tensor rows (axis 0) or columns (axis 1) first..last of the tensor that `store` reads depend on, in a
// frame without edges.
void ConvProgram::needs(int64_t first, int64_t last, int axis, std::vector<Interval>& need) const {
  need.assign(tensors_.size(), Interval{});
  need[steps_.back().source] = Interval{first, last};
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (step->kind == Kind::store || step->kind == Kind::load) continue;
    Interval& made = need[step->target];
    if (made.empty()) continue;
    const int64_t granule = tensors_[step->target].granule[axis];
    made = Interval{floor_div(made.first, granule) * granule, floor_div(made.last, granule) * granule + granule - 1};
    if (step->add >= 0) need[step->add] = joined(need[step->add], made);
    const Interval read{floor_div(made.first, step->factor) - step->reach[axis],
                        floor_div(made.last, step->factor) + step->reach[axis]};
    need[step->source] = joined(need[step->source], read);
  }
}

// Rows that every ring must hold. While row y of the output is made, a tensor reaches down to the last row that y
// depends on, and its readers start where they stopped for row y - 1.
void ConvProgram::measure() {
  std::vector<Interval> now, before;
  for (int64_t phase = 0; phase < kTileOutputs * body_factor_; ++phase) {
    const int64_t y = kFarRow * body_factor_ + phase;
    needs(y, y, 0, now);
    needs(y - 1, y - 1, 0, before);
    const auto keep = [&](int tensor, int64_t from) {
      tensors_[tensor].capacity = std::max(tensors_[tensor].capacity, now[tensor].last - from + 1);
    };
    for (const Step& step : steps_) {
      if (step.kind == Kind::load) continue;
      if (step.kind == Kind::store) {
        keep(step.source, y);
        continue;
      }
      const int64_t next = before[step.target].last + 1;
      if (now[step.target].empty() || next > now[step.target].last) continue;
      keep(step.source, floor_div(next, step.factor) - step.reach[0]);
      if (step.add >= 0) keep(step.add, next);
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (now[i].empty()) continue;
      const int64_t ahead = (now[i].last - now[i].first + 1) * body_factor_ / tensors_[i].factor;
      lead_ = std::max(lead_, ahead + 2 * body_factor_);
    }
  }
}

int64_t ConvProgram::unit_bytes(int64_t width) const {
  std::vector<Interval> need;
  needs(kFarRow * body_factor_, (kFarRow + width) * body_factor_ - 1, 1, need);
  int64_t bytes = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& t = tensors_[i];
    if (need[i].empty()) continue;
    if (t.floats) bytes += (t.capacity + 1) * ring_row(t, need[i], 4);
    if (t.packed) bytes += (t.capacity + 1) * ring_row(t, need[i], item(t));
  }
  return bytes;
}

// Multiplications for each pixel of a step's target (of a convolution that shuffles: before the shuffle), about.
double ConvProgram::work(const Step& step) const {
  const double products =
      static_cast<double>(step.conv.steps) * step.conv.kernel_rows * step.conv.vectors * kernels_.lanes;
  switch (step.kind) {
    case Kind::conv: return products;
    case Kind::winograd: return products * kTilePlanes / kTileOutputs;
    case Kind::tiles: return products * kPlanes2 / kTileOutputs / kTileOutputs;
    case Kind::store: return 8. * step.factor * step.factor * tensors_[0].channels;
    default: return 4. * tensors_[step.target].stored;
  }
}

// The cut that keeps all threads busy with the least work done twice. Units' margins overlap: `extra` rows and columns
// are, weighed by the work of the layers, what a unit computes beyond its own.
ConvProgram::Cut ConvProgram::cut(const FrameShape& shape, int64_t side) const {
  double extra[2] = {0, 0};
  for (int axis = 0; axis < 2; ++axis) {
    std::vector<Interval> need;
    needs(kFarRow * body_factor_, kFarRow * body_factor_ + body_factor_ - 1, axis, need);
    double total = 1e-9;
    for (const Step& step : steps_) {
      if (step.kind != Kind::conv && step.kind != Kind::winograd && step.kind != Kind::tiles) continue;
      const Tensor& t = tensors_[step.target];
      const double mine = work(step) * t.factor * t.factor / step.factor / step.factor;
      const Interval& n = need[step.target];
      extra[axis] += mine * (static_cast<double>(n.last - n.first + 1) / t.factor - 1);
      total += mine;
    }
    extra[axis] /= total;
  }
  const int threads = thread_count();
  Cut best{1, 1, 1};
  double best_time = 1e300;
  for (int team = 1; team <= (teams_ ? threads : 1); ++team) {
    if (team > 1 && shape.width < team * kShare) break;
    int64_t widest = shape.width;
    while (widest > 16 && unit_bytes(widest) > team * kUnitBytes) {
      widest = (widest + 1) / 2 + (widest > 64 ? widest / 4 : 0);
    }
    int64_t highest = shape.height;
    if (side > 0) {
      widest = std::min(widest, side);
      highest = side;
    }
    const int64_t teams = std::max(1, threads / team);
    const int64_t least_columns = (shape.width + widest - 1) / widest,
                  least_rows = (shape.height + highest - 1) / highest;
    for (int64_t columns = least_columns; columns <= std::min(shape.width, least_columns + 2 * teams); ++columns) {
      for (int64_t rows = least_rows; rows <= std::min(shape.height, least_rows + 2 * teams); ++rows) {
        const double wide = static_cast<double>(shape.width) / columns + (columns > 1 ? extra[1] : 0);
        const double high = static_cast<double>(shape.height) / rows + (rows > 1 ? extra[0] : 0);
        const double shared = team > 1 ? 1.05 / team : 1;  // waiting for one another
        const double time = static_cast<double>((columns * rows + teams - 1) / teams) * wide * high * shared;
        if (time < best_time * 0.999) {
          best_time = time;
          best = Cut{columns, rows, team};
        }
      }
    }
  }
  return best;
}

void ConvProgram::run(const void* pixels, Type type, FrameShape shape, void* out, int64_t side,
                      const std::function<void(int64_t, int64_t)>& progress) const {
  const Cut parts = cut(shape, side);
  const int64_t units = parts.columns * parts.rows;
  const auto edge = [](int64_t length, int64_t count, int64_t i) { return length * i / count; };
  std::atomic<int64_t> done{0};
  std::atomic<bool> ended{false};
  const int64_t total = shape.height * parts.columns;
  const auto caller = std::this_thread::get_id();

  const auto run_unit = [&](int64_t index) {
    Unit unit;
    unit.pixels = pixels;
    unit.out = out;
    unit.type = type;
    unit.size[0] = shape.height;
    unit.size[1] = shape.width;
    unit.top = edge(shape.height, parts.rows, index / parts.columns);
    unit.bottom = edge(shape.height, parts.rows, index / parts.columns + 1);
    unit.left = edge(shape.width, parts.columns, index % parts.columns);
    unit.right = edge(shape.width, parts.columns, index % parts.columns + 1);
    const auto last = [&](size_t tensor, int axis) { return unit.size[axis] * tensors_[tensor].factor - 1; };
    needs(unit.left * body_factor_, unit.right * body_factor_ - 1, 1, unit.columns);
    needs(unit.top * body_factor_, unit.top * body_factor_, 0, unit.rows);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      unit.columns[i].first = std::max<int64_t>(unit.columns[i].first, 0);
      unit.columns[i].last = std::min(unit.columns[i].last, last(i, 1));
      unit.next.push_back(std::max<int64_t>(unit.rows[i].first, 0));
    }

    size_t bytes = 0;
    unit.floats.resize(tensors_.size());
    unit.packed.resize(tensors_.size());
    const auto lay = [&](const Tensor& t, size_t i, Ring& ring, int64_t sample) {
      ring.pixel = t.stored * sample;
      ring.row = ring_row(t, unit.columns[i], sample);
      ring.capacity = t.capacity;
      ring.first = unit.columns[i].first;
      bytes += static_cast<size_t>((ring.capacity + 1) * ring.row);
    };
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (unit.columns[i].empty()) continue;
      if (tensors_[i].floats) lay(tensors_[i], i, unit.floats[i], 4);
      if (tensors_[i].packed) lay(tensors_[i], i, unit.packed[i], item(tensors_[i]));
    }
    std::pair<size_t, Block> memory;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto fits = std::find_if(spare_.begin(), spare_.end(), [&](const auto& b) { return b.first >= bytes; });
      if (fits != spare_.end()) {
        memory = std::move(*fits);
        spare_.erase(fits);
      }
    }
    if (memory.first < bytes) memory = {bytes, Block(bytes)};
    uint8_t* place = memory.second.data();
    const auto settle = [&](size_t i, Ring& ring, uint8_t zero) {
      if (ring.row == 0) return;
      // Whatever kernels read beyond the frame's edges is zero: the margins beside each row, and one row outside.
      const int64_t margin = tensors_[i].margin * ring.pixel;
      const int64_t end =
          tensors_[i].is_spread ? ring.row : margin + (unit.columns[i].last - ring.first + 1) * ring.pixel;
      for (int64_t y = 0; y < ring.capacity; ++y) {
        std::memset(place + y * ring.row, zero, margin);
        std::memset(place + y * ring.row + end, zero, static_cast<size_t>(ring.row - end));
      }
      ring.data = place + margin;
      ring.outside = place + ring.capacity * ring.row;
      std::memset(ring.outside, zero, static_cast<size_t>(ring.row));
      ring.outside += margin;
      place += (ring.capacity + 1) * ring.row;
    };
    for (size_t i = 0; i < tensors_.size(); ++i) {
      settle(i, unit.floats[i], 0);
      const bool bytes_held = kind_ == Packed::u8;
      settle(i, unit.packed[i], bytes_held ? static_cast<uint8_t>(tensors_[i].grid.zero) : 0);
    }

    // The layers start one after the other, `lead_` rows before the first one comes out at the end.
    for (int64_t y = unit.top * body_factor_ - lead_; y < unit.bottom * body_factor_ && !ended; ++y) {
      needs(y, y, 0, unit.rows);
      for (const Step& step : steps_) {
        if (step.kind == Kind::store) {
          if (y >= unit.top * body_factor_) make_row(unit, step, y, parts.team);
          continue;
        }
        int64_t& next = unit.next[step.target];
        const int64_t granule = tensors_[step.target].granule[0];
        const int64_t end = std::min(unit.rows[step.target].last, last(step.target, 0));
        for (; next <= end; next += granule) make_row(unit, step, next / granule, parts.team);
      }
      if (y < unit.top * body_factor_ || (y + 1) % body_factor_ != 0) continue;
      const int64_t finished = ++done, row = y / body_factor_;
      const bool due = row % 16 == 0 || row + 1 == unit.bottom;
      if (progress && due && finished < total && std::this_thread::get_id() == caller) progress(finished, total);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (static_cast<int64_t>(spare_.size()) < thread_count()) {
      spare_.push_back(std::move(memory));
    } else {  // the larger ones fit more frames
      const auto smaller = [](const auto& a, const auto& b) { return a.first < b.first; };
      const auto least = std::min_element(spare_.begin(), spare_.end(), smaller);
      if (least->first < memory.first) *least = std::move(memory);
    }
  };

  parallel_for(units, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && !ended; ++i) {
      try {
        run_unit(i);
      } catch (...) {
        ended = true;
        throw;
      }
    }
  });
  if (progress) progress(total, total);
}

// Row y of a step's target (of a convolution that shuffles: of the rows before the shuffle; of tiles: four of them),
// its columns shared out among `team` threads.
void ConvProgram::make_row(Unit& unit, const Step& step, int64_t y, int team) const {
  Interval columns = step.kind == Kind::store ? Interval{unit.left * body_factor_, unit.right * body_factor_ - 1}
                                              : unit.columns[step.target];
  const int64_t count = columns.last - columns.first + 1;
  const int64_t granule = step.kind == Kind::store ? 1 : tensors_[step.target].granule[1];
  const int rows = step.kind == Kind::tiles ? kTileOutputs : 1;
  if (team == 1 || step.kind == Kind::spread || work(step) * rows * static_cast<double>(count) < kLeastWork) {
    return make_part(unit, step, y, columns);
  }
  const int64_t wide = granule * kShare / kTileOutputs, unit_width = count >= team * wide ? wide : granule;
  const int64_t pieces = (count + unit_width - 1) / unit_width;
  // Two shares each, so that a thread that is held up does fewer; and the same ones row after row where that is free,
  // for what is above them lies in its cache.
  const int64_t shares = std::min<int64_t>({pieces, 2 * team, 64});
  std::atomic<uint64_t> taken{0};
  parallel_for(shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t share = thread_index() % team * shares / team;
      while (taken.fetch_or(uint64_t{1} << share) >> share & 1) share = (share + 1) % shares;
      const int64_t first = columns.first + pieces * share / shares * unit_width;
      const int64_t last = std::min(columns.last, columns.first + pieces * (share + 1) / shares * unit_width - 1);
      if (first <= last) make_part(unit, step, y, Interval{first, last});
    }
  });
}

// The given columns of such a row.
void ConvProgram::make_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const int64_t channels = tensors_[0].channels;
  const int64_t pixel = channels * (unit.type == Type::u8 ? 1 : unit.type == Type::u16 ? 2 : 4);
  const auto input = [&](int64_t row, int64_t column) {
    return static_cast<const uint8_t*>(unit.pixels) + (row * unit.size[1] + column) * pixel;
  };
  const int t = step.kind == Kind::store ? step.source : step.target;
  const Tensor& tensor = tensors_[t];
  const int64_t count = columns.last - columns.first + 1;
  const auto floats = [&](int i, int64_t row, int64_t column) -> float* {
    return i >= 0 && unit.floats[i].row ? reinterpret_cast<float*>(unit.floats[i].at(row, column)) : nullptr;
  };
  const auto packed = [&](int i, int64_t row, int64_t column) -> uint8_t* {
    return unit.packed[i].row ? unit.packed[i].at(row, column) : nullptr;
  };
  const auto finish = [&] {
    kernels_.finish(FinishRow{floats(t, y, columns.first), floats(step.add, y, columns.first), &step.finish, count,
                              tensor.stored, packed(t, y, columns.first), kind_, tensor.grid});
  };
  switch (step.kind) {
    case Kind::load:
      kernels_.load(LoadRow{input(y, columns.first), unit.type, count, channels, tensor.stored,
                            floats(t, y, columns.first), packed(t, y, columns.first), kind_, tensor.grid});
      break;
    case Kind::conv:
    case Kind::winograd: conv_part(unit, step, y, columns); break;
    case Kind::tiles: tiles_part(unit, step, y, columns); break;
    case Kind::spread: spread_part(unit, step, y, columns); break;
    case Kind::gather: {
      const int64_t from = columns.first / step.factor;
      const int32_t* table = step.table.data() + y % step.factor * step.factor * tensor.channels;
      kernels_.gather(GatherRow{floats(step.source, y / step.factor, from), floats(t, y, columns.first), count,
                                columns.first % step.factor, step.factor, tensor.channels, tensors_[step.source].stored,
                                tensor.stored, table});
      finish();
      break;
    }
    case Kind::sum: {
      SumRow row{{},
                 step.terms,
                 count,
                 tensor.channels,
                 tensors_[step.source].stored,
                 tensor.stored,
                 reinterpret_cast<const float*>(step.starts.data()),
                 step.scales.empty() ? nullptr : step.scales.data(),
                 floats(t, y, columns.first)};
      const int64_t height = unit.size[0] * tensors_[step.source].factor;
      for (int k = 0; k < step.terms; ++k) {
        const int64_t from = y - step.reach[0] + k;
        const Ring& ring = unit.floats[step.source];
        row.rows[k] = from >= 0 && from < height ? floats(step.source, from, columns.first)
                                                 : reinterpret_cast<const float*>(ring.outside);
      }
      kernels_.sum(row);
      finish();
      break;
    }
    case Kind::store: {
      const int64_t first = columns.first, width = unit.size[1] * scale();
      for (int64_t dy = 0; dy < step.factor; ++dy) {
        uint8_t* out = static_cast<uint8_t*>(unit.out) + ((y * step.factor + dy) * width + first * step.factor) * pixel;
        kernels_.store(StoreRow{floats(t, y, first), tensor.stored, count, channels, step.factor, dy,
                                step.residual ? input(y, first) : nullptr, out, unit.type});
      }
    }
  }
}

// A row of a tensor spread for Winograd's convolution along the row.
void ConvProgram::spread_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const int64_t tiles = round_up(columns.last - columns.first + 1, kTileOutputs) / kTileOutputs;
  const int stored = tensors_[step.target].stored;
  kernels_.spread(SpreadRow{reinterpret_cast<const float*>(unit.floats[step.source].at(y, columns.first - 1)), tiles,
                            stored, reinterpret_cast<float*>(unit.floats[step.target].at(y, columns.first)),
                            tiles * stored});
}

// Where a convolution's output goes: for row y and column x, before the shuffle, one place for each of its vectors.
std::vector<Place> ConvProgram::places(const Unit& unit, const Step& step, int64_t y, int64_t x) const {
  const Tensor& target = tensors_[step.target];
  const Ring &floats = unit.floats[step.target], &packed = unit.packed[step.target];
  std::vector<Place> made;
  for (int64_t sub = 0; sub < step.factor * step.factor; ++sub) {
    const int64_t row = y * step.factor + sub / step.factor, column = x * step.factor + sub % step.factor;
    float* to = floats.row ? reinterpret_cast<float*>(floats.at(row, column)) : nullptr;
    uint8_t* to_packed = packed.row ? packed.at(row, column) : nullptr;
    const float* added =
        step.add >= 0 ? reinterpret_cast<const float*>(unit.floats[step.add].at(row, column)) : nullptr;
    for (int64_t c = 0; c < target.stored; c += kernels_.lanes) {
      made.push_back(Place{to ? to + c : nullptr, to_packed ? to_packed + c * item(target) : nullptr,
                           added ? added + c : nullptr});
    }
  }
  return made;
}

Stride ConvProgram::stride(const Unit& unit, const Step& step) const {
  const int64_t added = step.add >= 0 ? unit.floats[step.add].pixel : 0;
  return Stride{unit.floats[step.target].pixel * step.factor, unit.packed[step.target].pixel * step.factor,
                added * step.factor};
}

// Columns of row y, before the shuffle, of a convolution.
void ConvProgram::conv_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const Tensor& source = tensors_[step.source];
  const Ring& input = step.reads == Packed::none ? unit.floats[step.source] : unit.packed[step.source];
  const int64_t factor = step.factor, first = columns.first / factor;
  const std::vector<Place> to = places(unit, step, y, first);
  ConvRow row{};
  row.conv = &step.conv;
  row.input_stride = input.pixel;
  row.count = (columns.last - columns.first + 1) / factor;
  row.places = to.data();
  row.stride = stride(unit, step);
  row.packed = kind_;
  row.grid = tensors_[step.target].grid;
  for (int k = 0; k < step.conv.kernel_rows; ++k) {
    const int64_t from = y - step.reach[0] + k;
    const bool inside = from >= 0 && from < unit.size[0] * source.factor;
    const int64_t x = first - step.reach[1] - input.first;
    // A spread row has a pixel's worth of channels for each tile, plane behind plane.
    const int64_t offset = (source.is_spread ? x / kTileOutputs : x) * input.pixel;
    row.rows[k] = (inside ? input.at(from, input.first) : input.outside) + offset;
  }
  if (source.is_spread) {
    const Interval held = unit.columns[step.source];
    row.plane = round_up(held.last - held.first + 1, kTileOutputs) / kTileOutputs * input.pixel;
    return kernels_.winograd(row);
  }
  switch (step.reads) {
    case Packed::none: return kernels_.conv_f32(row);
    case Packed::bf16: return kernels_.conv_bf16(row);
    default: return kernels_.conv_int8(row);
  }
}

// Columns of four rows, before the shuffle, of a convolution: the `y`-th four; fewer at the frame's lower edge.
void ConvProgram::tiles_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const Ring& input = unit.floats[step.source];
  const int64_t first = columns.first / step.factor, top = y * kTileOutputs;
  const int64_t height = unit.size[0] * tensors_[step.source].factor;
  TileRows band{};
  band.conv = &step.conv;
  band.stored = tensors_[step.source].stored;
  band.count = (columns.last - columns.first + 1) / step.factor;
  band.made = static_cast<int>(std::min<int64_t>(kTileOutputs, height - top));
  band.stride = stride(unit, step);
  for (int k = 0; k < kTilePlanes; ++k) {
    const int64_t from = top - 1 + k, x = first - 1 - input.first;
    const uint8_t* row = from >= 0 && from < height ? input.at(from, input.first) : input.outside;
    band.rows[k] = reinterpret_cast<const float*>(row + x * input.pixel);
  }
  std::vector<Place> to;
  for (int r = 0; r < band.made; ++r) {
    const std::vector<Place> row = places(unit, step, top + r, first);
    to.insert(to.end(), row.begin(), row.end());
  }
  band.places = to.data();
  kernels_.tiles(band);
}

}  // namespace fastsr::cpu
