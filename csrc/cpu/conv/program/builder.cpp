// A program as it is described, step by step, and what each step needs of those before it.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cpu/conv/program/conv_program.h"
#include "cpu/conv/program/unit.h"
#include "cpu/conv/program/weight_packing.h"

namespace fastsr::cpu {
namespace {

// Channels of an input, and of an output, that spreading both ways pays for. Which form a convolution takes follows
// from the network alone, not from channels as an instruction set fills them up: every one with FMA then gives the same
// bits.
constexpr int kTilesFrom = 25, kTilesFromOutputs = 16;
constexpr int64_t kRowAlign = 64;

Interval joined(Interval a, Interval b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return Interval{std::min(a.first, b.first), std::max(a.last, b.last)};
}

// Keys 1981, with the a = -0.75 of PyTorch and ONNX.
double cubic(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * a * x - 4 * a : 0;
}

// Rows a power of two apart would share the same few lines of the cache.
int64_t row_bytes(int64_t bytes) {
  const int64_t rounded = round_up(bytes, kRowAlign);
  return rounded % 1024 == 0 ? rounded + kRowAlign : rounded;
}

}  // namespace

Packed packing(const ConvKernels& kernels, const std::string& precision) {
  if (precision == "fp32") return Packed::none;
  if (precision == "int8") return kernels.int8;
  if (precision == "bf16" && kernels.conv_bf16 != nullptr) return Packed::bf16;
  throw std::invalid_argument("this instruction set has no " + precision);
}

ConvProgram::ConvProgram(const ConvKernels& kernels, const std::string& precision)
    : kernels_(kernels), kind_(packing(kernels, precision)) {}

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

// bf16 is what convolutions of packed tensors are computed in.
bool ConvProgram::in_float(const ConvSpec& spec) const {
  return spec.levels == nullptr && !(kind_ == Packed::bf16 && tensors_[spec.source].packed);
}

// Adds a convolution that winograd_f4x4_3x3.h makes, if it is one.
bool ConvProgram::tile_conv(const ConvSpec& spec) {
  Tensor &source = tensors_[spec.source], &target = tensors_[spec.target];
  if (!in_float(spec) || spec.rows != 3 || spec.columns != 3 || spec.source == 0 || spec.in < kTilesFrom ||
      spec.out < kTilesFromOutputs) {
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
  for (const int axis : {0, 1}) {
    target.granule[axis] = spec.factor * kTileOutputs;
    // Tiles end one pixel before the source's, whose last is the last that they read: else each layer would wait for
    // four rows more, not one.
    if (source.granule[axis] % kTileOutputs == 0) {
      target.shift[axis] = -spec.factor * ((1 - source.shift[axis]) % kTileOutputs);
    }
  }
  steps_.push_back(std::move(step));
  teams_ = true;
  return true;
}

void ConvProgram::conv(const ConvSpec& spec) {
  if (tile_conv(spec)) return;
  const bool exact = in_float(spec);
  const bool vectors = exact && spec.source != 0;  // the input's pixels lie closer together than a vector's channels
  const bool winograd = vectors && spec.rows == 3 && spec.columns == 3;
  const bool flat = vectors && spec.rows == 1 && spec.columns % kTileColumns == 0;
  const int from = winograd ? spread_of(spec.source) : spec.source;
  Tensor &source = tensors_[from], &target = tensors_[spec.target];
  Step step;
  step.kind = winograd ? Kind::winograd : flat ? Kind::flat : Kind::conv;
  step.source = from;
  step.target = spec.target;
  step.add = spec.add;
  step.factor = spec.factor;
  step.reach[0] = spec.rows / 2;
  step.reach[1] = spec.columns / 2;
  step.reads = exact ? Packed::none : kind_;
  if (winograd || flat) {
    ConvSpec spread = spec;
    const std::vector<float> kernel = spread_kernel(spec);
    spread.kernel = kernel.data();
    spread.columns = spec.columns / kTileColumns;
    if (winograd) step.reach[1] = 0;
    // The last tile may begin at the row's last pixel.
    if (flat) source.margin = std::max<int64_t>(source.margin, step.reach[1] + kTileOutputs - 1);
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

void ConvProgram::sum(int source, int target, int terms, std::vector<float> bias, std::vector<float> scales) {
  Step step;
  step.kind = Kind::sum;
  step.source = source;
  step.target = target;
  step.terms = scales.empty() ? terms : terms + 1;
  step.reach[0] = terms / 2;
  step.starts = std::move(bias);
  step.scales = std::move(scales);
  steps_.push_back(std::move(step));
}

void ConvProgram::store(int source, int factor, Base base, int fold) {
  Step step;
  step.kind = Kind::store;
  step.source = source;
  step.factor = factor;
  step.base = base;
  steps_.push_back(std::move(step));
  body_factor_ = tensors_[source].factor;
  fold_ = fold;
  if (base == Base::bicubic) {
    for (int64_t p = 0; p < scale(); ++p) {
      // Sub-pixels lie in the middle of their part of an input pixel (ONNX's half_pixel).
      const double at = (static_cast<double>(p) + 0.5) / static_cast<double>(scale()) - 0.5, left = std::floor(at);
      starts_.push_back(static_cast<int>(left) - 1);
      for (int k = 0; k < kTaps; ++k) phases_.push_back(static_cast<float>(cubic(at - left + 1 - k)));
    }
  }
  measure();
}

// What of every tensor rows (axis 0) or columns (axis 1) first..last of the tensor that `store` reads depend on, in a
// frame without edges.
void ConvProgram::needs(int64_t first, int64_t last, int axis, std::vector<Interval>& need) const {
  need.assign(tensors_.size(), Interval{});
  need[steps_.back().source] = Interval{first, last};
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (step->kind == Kind::store || step->kind == Kind::load) continue;
    Interval& made = need[step->target];
    if (made.empty()) continue;
    const int64_t granule = tensors_[step->target].granule[axis], shift = tensors_[step->target].shift[axis];
    made = Interval{granule_begin(made.first, granule, shift), granule_begin(made.last, granule, shift) + granule - 1};
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

int64_t ConvProgram::unit_bytes(int64_t width, int64_t frame_width) const {
  std::vector<Interval> need;
  needs(kFarRow * body_factor_, (kFarRow + width) * body_factor_ - 1, 1, need);
  int64_t bytes = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& t = tensors_[i];
    if (need[i].empty()) continue;
    need[i].last = std::min(need[i].last, need[i].first + frame_width * t.factor - 1);
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
    case Kind::winograd:
    case Kind::flat: return products * kTilePlanes / kTileOutputs;
    case Kind::tiles: return products * kPlanes2 / kTileOutputs / kTileOutputs;
    case Kind::store: return 8. * static_cast<double>(step.factor * step.factor * colours());
    default: return 4. * tensors_[step.target].stored;
  }
}

}  // namespace fastsr::cpu
