#include "cpu/conv/program/builder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cpu/conv/program/regions.h"
#include "cpu/conv/program/weight_packing.h"

namespace fastsr::cpu {
namespace {

using Kind = Step::Kind;

// Channels of an input, and of an output, that transforms along both axes pay for. Which form a convolution takes
// follows from the network alone, not from channels as an instruction set fills them up: every one with FMA then gives
// the same bits.
constexpr int kTilesMinInputs = 25, kTilesMinOutputs = 16;

// Keys 1981, with the a = -0.75 of PyTorch and ONNX.
double cubic(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * a * x - 4 * a : 0;
}

double linear(double x) { return std::max(0., 1 - std::abs(x)); }

// Where sub-pixel `p` lies, counted from its input pixel: in the middle of its part of it (ONNX's half_pixel).
double place(int64_t p, int64_t scale) { return (static_cast<double>(p) + 0.5) / static_cast<double>(scale) - 0.5; }

CubicTaps enlarging_taps(int64_t scale, double (*weight)(double), float gain) {
  CubicTaps taps;
  for (int64_t p = 0; p < scale; ++p) {
    const double at = place(p, scale), left = std::floor(at);
    taps.first.push_back(static_cast<int>(left) - 1);
    for (int k = 0; k < kCubicTaps; ++k) taps.weights.push_back(static_cast<float>(weight(at - left + 1 - k)));
  }
  for (const float w : taps.weights) taps.row_weights.push_back(w * gain);
  return taps;
}

template <typename T>
std::vector<T> listed(const Array& values) {
  const T* first = static_cast<const T*>(values.data);
  return {first, first + values.shape[0]};
}

// A kernel of 2x2 with zeros as third row and column: tiles of 3x3 take 36 products for 16 outputs, not 64.
std::vector<float> with_third_taps(const ConvSpec& spec) {
  const size_t kernels = static_cast<size_t>(spec.out) * spec.in;
  std::vector<float> made(kernels * kWinogradTaps * kWinogradTaps);
  for (size_t i = 0; i < kernels; ++i) {
    for (int k = 0; k < 4; ++k) made[(i * kWinogradTaps + k / 2) * kWinogradTaps + k % 2] = spec.kernel[4 * i + k];
  }
  return made;
}

}  // namespace

StorageFormat packed_format(const ConvKernels& kernels, const std::string& precision) {
  if (precision == "fp32") return StorageFormat::f32;
  if (precision == "int8") return kernels.int8;
  if (precision == "bf16" && kernels.conv_bf16 != nullptr) return StorageFormat::bf16x2;
  throw std::invalid_argument("this instruction set has no " + precision);
}

ProgramBuilder::ProgramBuilder(const ConvKernels& kernels, const std::string& precision)
    : program_{kernels, packed_format(kernels, precision)}, checks_(precision) {}

int ProgramBuilder::tensor(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization,
                           const Sides& growth) {
  checks_.tensor(channels, factor, floats, packed, quantization, growth);
  const bool input = program_.tensors.empty();
  Tensor made{channels, factor, floats, packed && program_.format != StorageFormat::f32, quantization, growth};
  made.padded_channels = static_cast<int>(round_up(channels, input ? 4 : program_.kernels.lanes));
  program_.tensors.push_back(made);
  if (input) {
    Step load;
    load.kind = Kind::load;
    load.target = 0;
    program_.steps.push_back(std::move(load));
  }
  checks_.described(channels, factor, floats, packed, quantization, growth);
  return static_cast<int>(program_.tensors.size()) - 1;
}

// ---- tensors in ranges of one ring ----------------------------------------------------------------------------------

void ProgramBuilder::concat(int target, const std::vector<int>& parts) {
  checks_.concat(target, parts);
  std::vector<Tensor>& tensors = program_.tensors;
  Tensor& view = tensors[target];
  const int whole = tensors[parts.front()].whole;
  view.parts = parts;
  view.padded_channels = 0;
  for (const int part : parts) {
    const Tensor& t = tensors[part];
    for (int c = 0; c < t.channels; ++c) view.places.push_back(view.padded_channels + c);
    if (whole < 0) {
      tensors[part].whole = target;
      tensors[part].offset = view.padded_channels;
    }
    view.padded_channels += t.padded_channels;
  }
  if (whole >= 0) {
    view.whole = whole;
    view.offset = tensors[parts.front()].offset;
  }
  checks_.viewed(target, parts, whole < 0 ? target : whole);
}

void ProgramBuilder::slice(int target, int source, int first) {
  checks_.slice(target, source, first);
  const Tensor& from = program_.tensors[source];
  Tensor& view = program_.tensors[target];
  const int lanes = program_.kernels.lanes;
  const auto place = [&](int c) { return from.places.empty() ? c : from.places[c]; };
  view.parts = from.parts.empty() ? std::vector<int>{source} : from.parts;
  view.whole = source;
  view.offset = place(first) / lanes * lanes;
  for (int c = 0; c < view.channels; ++c) view.places.push_back(place(first + c) - view.offset);
  view.padded_channels = static_cast<int>(round_up(view.places.back() + 1, lanes));
  checks_.viewed(target, view.parts, source);
}

// Notes that a step reads columns beyond its source's edges, and so many more for what it makes beyond its target's.
void ProgramBuilder::reach_into(const Step& step, int64_t columns) {
  const Tensor &source = program_.tensors[step.source], &target = program_.tensors[step.target];
  const int64_t behind =
      int64_t{target.growth[1]} / step.factor * step.down - source.growth[1] + step.after[1] - step.down + 1;
  const int64_t margin = std::max<int64_t>({step.before[1], behind, 0}) + columns;
  for (int t = step.source; t >= 0; t = program_.tensors[t].whole) {
    program_.tensors[t].margin = std::max(program_.tensors[t].margin, margin);
  }
}

// A tensor, or the part of a view that is made last.
const Tensor& ProgramBuilder::latest(int source) const {
  const std::vector<int>& parts = program_.tensors[source].parts;
  if (parts.empty()) return program_.tensors[source];
  const auto made = std::find_if(program_.steps.rbegin(), program_.steps.rend(), [&](const Step& step) {
    return std::find(parts.begin(), parts.end(), step.target) != parts.end();
  });
  return program_.tensors[made->target];
}

// ---- convolutions ---------------------------------------------------------------------------------------------------

void ProgramBuilder::conv(int source, int target, const Array& kernel, const Array& bias, std::vector<float> scales,
                          EpilogueSpec epilogue, int factor, const Sides& before, const Sides& dilation) {
  checks_.conv(source, target, kernel, bias, scales.size(), epilogue.slopes.size(), epilogue.add, epilogue.clipped(),
               factor, before, dilation);
  const bool int8 = kernel.type != Type::f32, sums = int8 && scales.empty();
  ConvSpec spec{};
  spec.out = static_cast<int>(kernel.shape[0]);
  spec.in = static_cast<int>(kernel.shape[1]);
  spec.rows = static_cast<int>(kernel.shape[2]);
  spec.columns = static_cast<int>(kernel.shape[3]);
  spec.places = program_.tensors[source].places;
  if (int8) {
    spec.quantized_kernel = static_cast<const int8_t*>(kernel.data);
    spec.quantized_bias = listed<int32_t>(bias);
  } else {
    spec.kernel = static_cast<const float*>(kernel.data);
    spec.bias = listed<float>(bias);
  }
  spec.scales = std::move(scales);
  spec.epilogue = std::move(epilogue);

  Step step = reading(source, target, kernel, before, dilation);
  step.add = spec.epilogue.add;
  step.factor = factor;
  // The input's pixels lie closer together than a vector's channels.
  const bool in_float = reads(source, spec) == StorageFormat::f32, dense = step.dilation == Sides{1, 1},
             vectors = source != 0 && !int8 && dense;
  const bool many = spec.in >= kTilesMinInputs && spec.out >= kTilesMinOutputs;
  std::vector<float> widened;
  if (vectors && in_float && many && spec.rows == 2 && spec.columns == 2) {
    widened = with_third_taps(spec);
    spec.kernel = widened.data();
    spec.rows = spec.columns = kWinogradTaps;
    for (int& after : step.after) ++after;
  }
  const bool square = spec.rows == 3 && spec.columns == 3;
  const bool adjoin = program_.tensors[source].whole < 0;  // the pixels of the source, for kernels that count on it
  if (vectors && square && many) {
    step.kind = in_float ? Kind::winograd_f4x4_f32 : Kind::winograd_f4x4_s16;
    winograd_2d_conv(std::move(step), spec);
  } else if (vectors && in_float && (square || (spec.rows == 1 && spec.columns % kWinogradTaps == 0 && adjoin))) {
    winograd_f4_conv(std::move(step), spec);
  } else {
    direct_conv(std::move(step), spec);
  }
  checks_.made(target, sums);
}

void ProgramBuilder::depthwise(int source, int target, const Array& kernel, const Array& bias, EpilogueSpec epilogue,
                               const Sides& before, const Sides& dilation) {
  checks_.depthwise(source, target, kernel, bias, epilogue.slopes.size(), epilogue.add, before, dilation);
  ConvSpec spec{};
  spec.out = static_cast<int>(kernel.shape[0]);
  spec.in = 1;
  spec.rows = static_cast<int>(kernel.shape[2]);
  spec.columns = static_cast<int>(kernel.shape[3]);
  spec.kernel = static_cast<const float*>(kernel.data);
  spec.bias = listed<float>(bias);
  spec.epilogue = std::move(epilogue);
  Step step = reading(source, target, kernel, before, dilation);
  step.kind = Kind::depthwise;
  step.add = spec.epilogue.add;
  step.apart = spec.columns;
  step.conv = pack_depthwise(spec, program_.kernels, program_.tensors[target].padded_channels);
  reach_into(step, 0);
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

// A step whose rows and columns of the source are those under a kernel.
Step ProgramBuilder::reading(int source, int target, const Array& kernel, const Sides& before,
                             const Sides& dilation) const {
  Step step;
  step.source = source;
  step.target = target;
  step.before = before;
  for (const int axis : {0, 1}) {
    const int size = static_cast<int>(kernel.shape[2 + axis]);
    step.after[axis] = (size - 1) * dilation[axis] - before[axis];
    step.dilation[axis] = size > 1 ? dilation[axis] : 1;
  }
  return step;
}

// What a convolution reads; bf16 is what those of packed tensors are computed in.
StorageFormat ProgramBuilder::reads(int source, const ConvSpec& spec) const {
  const bool bf16 = program_.format == StorageFormat::bf16x2 && program_.tensors[source].packed;
  return spec.quantized_kernel != nullptr || bf16 ? program_.format : StorageFormat::f32;
}

// Along both axes: of 3x3, in float or bf16.
void ProgramBuilder::winograd_2d_conv(Step step, const ConvSpec& spec) {
  const Tensor& source = program_.tensors[step.source];
  Tensor& target = program_.tensors[step.target];
  constexpr int outputs = kWinogradOutputs;
  const int subs = step.factor * step.factor;
  step.reads = reads(step.source, spec);
  if (step.reads == StorageFormat::f32) {
    const std::vector<float> kernel = filter_transform_2d(spec);
    ConvSpec transformed = spec;
    transformed.kernel = kernel.data();
    transformed.rows = transformed.columns = 1;
    step.conv = pack(transformed, program_.kernels, StorageFormat::f32, 0, source.padded_channels, subs,
                     target.padded_channels, kWinogradPlanes2d);
  } else {
    step.conv = pack_integer_tiles(spec, program_.kernels, source.padded_channels, subs, target.padded_channels);
  }
  reach_into(step, kWinogradPlanes - 1);  // the last tile may begin at the row's last pixel
  const Tensor& before = latest(step.source);
  for (const int axis : {0, 1}) {
    target.alignment[axis] = step.factor * outputs;
    // The last pixel that tiles read is the last of the source's tiles (where the size is kept, tiles thus end one
    // pixel before those): else each layer would wait for four rows more, not one.
    if (before.alignment[axis] % outputs == 0) {
      const int behind = (step.after[axis] - before.shift[axis]) % outputs;
      target.shift[axis] = -step.factor * ((behind + outputs) % outputs);
    }
  }
  program_.steps.push_back(std::move(step));
  program_.tiles = true;
}

// Along the row: of 3x3, whose input is transformed by a step of its own, or of one row.
void ProgramBuilder::winograd_f4_conv(Step step, const ConvSpec& spec) {
  const bool one_row = spec.rows == 1;
  if (!one_row) step.source = transformed_of(step);
  const Tensor& source = program_.tensors[step.source];
  Tensor& target = program_.tensors[step.target];
  const std::vector<float> kernel = filter_transform(spec);
  ConvSpec transformed = spec;
  transformed.kernel = kernel.data();
  transformed.columns = spec.columns / kWinogradTaps;
  step.kind = one_row ? Kind::winograd_f4_1xn : Kind::winograd_f4_row;
  if (!one_row) step.before[1] = step.after[1] = 0;
  if (one_row) reach_into(step, kWinogradOutputs - 1);  // the last tile may begin at the row's last pixel
  step.conv = pack(transformed, program_.kernels, StorageFormat::f32, 0, source.padded_channels,
                   step.factor * step.factor, target.padded_channels, kWinogradPlanes);
  target.alignment[0] = step.factor;
  target.alignment[1] = step.factor * kWinogradOutputs;
  program_.steps.push_back(std::move(step));
}

void ProgramBuilder::direct_conv(Step step, const ConvSpec& spec) {
  const Tensor& source = program_.tensors[step.source];
  Tensor& target = program_.tensors[step.target];
  step.kind = Kind::conv;
  step.reads = reads(step.source, spec);
  step.conv = pack(spec, program_.kernels, step.reads, source.quantization.zero_point, source.padded_channels,
                   step.factor * step.factor, target.padded_channels);
  if (source.whole >= 0 || step.dilation[1] != 1) {  // a pixel's channels do not adjoin those of the next one read
    step.apart = spec.columns;
    step.conv.kernel_rows *= step.apart;
    step.conv.k_blocks /= step.apart;
  }
  reach_into(step, 0);
  target.alignment[0] = target.alignment[1] = step.factor;
  program_.steps.push_back(std::move(step));
}

// The tensor that holds a convolution's source transformed along the row, and the step that makes it.
int ProgramBuilder::transformed_of(const Step& conv) {
  std::vector<Tensor>& tensors = program_.tensors;
  const Tensor source = tensors[conv.source];
  Tensor made{source.channels, source.factor, true, false, QuantizationParams{}, source.growth};
  made.growth[1] = tensors[conv.target].growth[1] / conv.factor;
  for (const Step& step : program_.steps) {
    if (step.kind == Kind::input_transform && step.source == conv.source && step.before[1] == conv.before[1] &&
        tensors[step.target].growth == made.growth) {
      return step.target;
    }
  }
  made.padded_channels = source.padded_channels;
  made.alignment[1] = kWinogradOutputs;
  made.is_transformed = true;
  Step step;
  step.kind = Kind::input_transform;
  step.source = conv.source;
  step.target = static_cast<int>(tensors.size());
  step.before[1] = conv.before[1];
  step.after[1] = conv.after[1];
  tensors.push_back(made);
  reach_into(step, kWinogradPlanes - 1);  // the last tile may begin at the row's last pixel
  program_.steps.push_back(std::move(step));
  return program_.steps.back().target;
}

// ---- all others -----------------------------------------------------------------------------------------------------

void ProgramBuilder::remap(int source, int target, int factor, std::vector<int32_t> table, const EpilogueSpec& epilogue,
                           const PointwiseSpec& before) {
  checks_.remap(source, target, factor, table, epilogue.slopes.size(), epilogue.add, before);
  const std::vector<int>& places = program_.tensors[source].places;
  if (!places.empty()) {
    for (int32_t& c : table) c = places[c];
  }
  Step step;
  step.kind = Kind::remap;
  step.source = source;
  step.target = target;
  step.factor = factor;
  const auto stays = [&](size_t c) { return table[c] == static_cast<int32_t>(c); };
  bool moves = factor > 1 || program_.tensors[source].padded_channels < program_.tensors[target].padded_channels;
  for (size_t c = 0; !moves && c < table.size(); ++c) moves = !stays(c);
  if (moves) step.table = std::move(table);
  step.add = epilogue.add;
  step.add_follows = true;
  change_values(step, epilogue, before);
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::follow(int target, const EpilogueSpec& epilogue, const PointwiseSpec& before) {
  const bool last = !program_.steps.empty() && program_.steps.back().target == target;
  const bool followed = last && program_.steps.back().can_be_followed();
  const bool adds = last && program_.steps.back().add >= 0;
  checks_.follow(target, followed, adds, epilogue.slopes.size(), epilogue.add, before);
  Step& step = program_.steps.back();
  change_values(step, epilogue, before);
  if (epilogue.add >= 0) step.add = epilogue.add;
  step.add_follows = !adds;
  step.follows = true;
}

// Notes what a step does to single values of its target.
void ProgramBuilder::change_values(Step& step, const EpilogueSpec& epilogue, const PointwiseSpec& before) const {
  const Tensor& target = program_.tensors[step.target];
  const int padded = target.padded_channels;
  PointwiseSpec padding = before;
  // What fills up the channels is 1 before a function that might make infinity of it, or of what others have made.
  const bool unbounded = before.function == Function::reciprocal || before.function == Function::exp ||
                         before.function == Function::square || before.function == Function::cube;
  if (unbounded && padding.gains.empty()) padding.gains.assign(target.channels, 1.f);
  if (unbounded && padding.offsets.empty()) padding.offsets.assign(target.channels, 0.f);
  step.gains = padded_runs(padding.gains, 1, padded, 0.f);
  step.offsets = padded_runs(padding.offsets, 1, padded, unbounded ? 1.f : 0.f);
  step.function = before.function;
  step.times = before.times;
  step.epilogue =
      EpilogueParams{padded_runs(epilogue.slopes, 1, padded, 0.f), epilogue.clipped(), epilogue.low, epilogue.high};
}

void ProgramBuilder::normalize(int source, int target, const NormalizationSpec& spec) {
  checks_.normalize(source, target, spec);
  const Tensor& to = program_.tensors[target];
  const int padded = to.padded_channels;
  const std::vector<float> there(static_cast<size_t>(to.channels), 1.f);
  Step step;
  step.kind = Kind::normalize;
  step.source = source;
  step.target = target;
  step.normalization =
      Normalization{spec.centred, spec.epsilon, padded_runs(there, 1, padded, 0.f),
                    padded_runs(spec.gains, 1, padded, 0.f), padded_runs(spec.offsets, 1, padded, 0.f)};
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::bilinear(int source, int target, int factor) {
  checks_.bilinear(source, target, factor);
  Step step;
  step.kind = Kind::bilinear;
  step.source = source;
  step.target = target;
  step.factor = factor;
  step.before = step.after = {1, 1};
  for (int64_t p = 0; p < factor; ++p) {
    const double at = place(p, factor);
    step.first_taps.push_back(static_cast<int>(std::floor(at)));
    step.tap_weights.push_back(static_cast<float>(at - std::floor(at)));
  }
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::pad(int source, int target, const Sides& added, Border border) {
  checks_.pad(source, target, added);
  const Tensor &from = program_.tensors[source], &to = program_.tensors[target];
  Step step;
  step.kind = Kind::pad;
  step.source = source;
  step.target = target;
  step.border = border;
  step.added = added;
  for (const int axis : {0, 1}) {
    const int behind = to.growth[axis] - from.growth[axis] - added[axis];
    step.before[axis] = added[axis];
    step.after[axis] = -added[axis];
    if (border != Border::zeros) {  // what lies beyond an edge is found as far inside of it
      step.before[axis] += 2 * std::max(behind, 0);
      step.after[axis] += 2 * std::max(added[axis], 0);
    }
  }
  step.table = from.places;
  for (int c = 0; from.places.empty() && c < from.channels; ++c) step.table.push_back(c);
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::space_to_depth(int source, int target, int down) {
  checks_.space_to_depth(source, target, down);
  Step step;
  step.kind = Kind::space_to_depth;
  step.source = source;
  step.target = target;
  step.down = down;
  step.after = {down - 1, down - 1};
  reach_into(step, 0);
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::reduce_rows(int source, int target, int terms, const Array& bias, std::vector<float> scales,
                                 int before) {
  checks_.reduce_rows(source, target, terms, bias, scales.size(), before);
  Step step;
  step.kind = Kind::reduce_rows;
  step.source = source;
  step.target = target;
  step.terms = scales.empty() ? terms : terms + 1;
  step.before[0] = before;
  step.after[0] = terms - 1 - before;
  step.init = listed<float>(bias);
  step.scales = std::move(scales);
  program_.steps.push_back(std::move(step));
  checks_.made(target);
}

void ProgramBuilder::store(int source, int factor, const std::string& base, int fold, float gain, float repeated) {
  Step step;
  step.kind = Kind::store;
  step.source = source;
  step.factor = factor;
  const Base step_base = step.base = base_named(base);
  checks_.store(source, factor, step.base, fold, gain, repeated);
  step.repeated = step_base == Base::nearest ? 1 : repeated;
  program_.steps.push_back(std::move(step));
  program_.body_factor = program_.tensors[source].factor;
  program_.fold = fold;
  if (step_base == Base::bicubic) program_.cubic = enlarging_taps(program_.scale(), cubic, gain);
  if (step_base == Base::bilinear) program_.cubic = enlarging_taps(program_.scale(), linear, gain);
  checks_.stored();
}

}  // namespace fastsr::cpu
