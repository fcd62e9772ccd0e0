#include "cpu/conv/program/checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "common/checks.h"

namespace fastsr::cpu {
namespace {

constexpr int kMaxChannels = 4096, kMaxShuffle = 16;
constexpr int64_t kMaxColumns = 1 << 24;  // that memory is foretold for
constexpr int kMaxReach = 1024;  // rows and columns that are added to a tensor, or lie before a kernel's output

bool within_reach(const Sides& sides) {
  return std::max(sides[0], sides[1]) <= kMaxReach && std::min(sides[0], sides[1]) >= -kMaxReach;
}

}  // namespace

void ProgramChecks::tensor(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization,
                           const Sides& growth) const {
  require(!stored_ && !begun_, "tensors come before steps");
  require(channels > 0 && channels <= kMaxChannels && factor > 0 && factor <= kMaxFactor, "tensor out of bounds");
  require(within_reach(growth), "growth out of bounds");
  require(!tensors_.empty() || growth == Sides{}, "the first tensor is the input, which has the frame's size");
  require(floats || (packed && precision_ != "fp32"), "a tensor must be held as floats, packed, or both");
  const auto& [scale, zero_point] = quantization;
  require(scale > 0 && scale <= std::numeric_limits<float>::max() && zero_point >= 0 && zero_point <= 255,
          "quantization parameters out of bounds");
}

void ProgramChecks::described(int channels, int factor, bool floats, bool packed,
                              const QuantizationParams& quantization, const Sides& growth) {
  const bool input = tensors_.empty();
  tensors_.push_back({channels, factor, floats, packed && precision_ != "fp32", input, false, quantization, growth});
}

// Tensor `i`, before any step. The input is none that shares: its pixels lie closer together than a vector's channels.
const ProgramChecks::Tensor& ProgramChecks::described(int i) const {
  require(!stored_ && !begun_ && i > 0 && i < static_cast<int>(tensors_.size()), "no such tensor to share a ring");
  return tensors_[static_cast<size_t>(i)];
}

void ProgramChecks::same_ring(const Tensor& view, const Tensor& ring) const {
  const auto& [scale, zero_point] = view.quantization;
  const bool alike = scale == ring.quantization.scale && zero_point == ring.quantization.zero_point;
  require(view.factor == ring.factor && view.growth == ring.growth && (!view.floats || ring.floats) &&
              (!view.packed || (ring.packed && alike)),
          "tensors of one ring must be held alike");
}

void ProgramChecks::concat(int target, const std::vector<int>& parts) const {
  const Tensor& to = described(target);
  require(!to.shared && !parts.empty(), "a concatenation is made of other tensors");
  const int whole = described(parts.front()).whole;
  int64_t channels = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Tensor& part = described(parts[i]);
    require(parts[i] != target && part.parts.empty() && std::count(parts.begin(), parts.end(), parts[i]) == 1,
            "a concatenation is made of other tensors");
    require(part.whole == whole, "a tensor lies in one concatenation and in runs of its parts");
    if (whole < 0) same_ring(to, part);
    channels += part.channels;
  }
  require(channels == to.channels, "a concatenation has the channels of its parts");
  if (whole < 0) return;
  const std::vector<int>& all = tensors_[static_cast<size_t>(whole)].parts;
  require(std::search(all.begin(), all.end(), parts.begin(), parts.end()) != all.end(),
          "a tensor lies in one concatenation and in runs of its parts");
  same_ring(to, tensors_[static_cast<size_t>(whole)]);
}

void ProgramChecks::slice(int target, int source, int first) const {
  const Tensor &to = described(target), &from = described(source);
  require(!to.shared && target != source && first >= 0 && int64_t{first} + to.channels <= from.channels,
          "a slice is some of another tensor's channels");
  same_ring(to, from);
}

void ProgramChecks::viewed(int target, const std::vector<int>& parts, int whole) {
  tensors_[static_cast<size_t>(target)].parts = parts;
  tensors_[static_cast<size_t>(target)].shared = true;
  if (whole != target) tensors_[static_cast<size_t>(target)].whole = whole;
  for (const int part : parts) {
    tensors_[static_cast<size_t>(part)].shared = true;
    if (whole == target) tensors_[static_cast<size_t>(part)].whole = whole;
  }
}

void ProgramChecks::made(int target, bool sums) {
  tensors_[static_cast<size_t>(target)].made = begun_ = true;
  tensors_[static_cast<size_t>(target)].sums = sums;
}

const ProgramChecks::Tensor& ProgramChecks::source(int i) const {
  const bool there = !stored_ && i >= 0 && i < static_cast<int>(tensors_.size());
  require(there, "no such tensor yet");
  const Tensor& t = tensors_[static_cast<size_t>(i)];
  for (const int part : t.parts) require(tensors_[static_cast<size_t>(part)].made, "no such tensor yet");
  require(t.made || !t.parts.empty(), "no such tensor yet");
  return t;
}

const ProgramChecks::Tensor& ProgramChecks::target(int i) const {
  const bool there = !stored_ && i > 0 && i < static_cast<int>(tensors_.size());
  require(there && !tensors_[static_cast<size_t>(i)].made && tensors_[static_cast<size_t>(i)].parts.empty(),
          "target is made already");
  return tensors_[static_cast<size_t>(i)];
}

// The input cannot be: its pixels lie closer together than a vector's channels.
void ProgramChecks::operand(int i, const Tensor& target, const std::string& done) const {
  if (i < 0) return;
  const Tensor& t = source(i);
  require(i > 0 && t.floats && !t.sums && t.parts.empty() && t.channels == target.channels &&
              t.factor == target.factor && t.growth == target.growth,
          "what is " + done + " does not fit");
}

// A kernel of out x in x rows x columns, and what it reads.
void ProgramChecks::taps(const Array& kernel, const Sides& before, const Sides& dilation) {
  const std::vector<int64_t>& k = kernel.shape;
  require(k.size() == 4, "kernel must be out x in x rows x columns");
  require(k[2] >= 1 && k[3] >= 1 && k[2] <= kMaxKernel && k[3] <= kMaxKernel, "kernel out of bounds");
  require(within_reach(before) && std::min(dilation[0], dilation[1]) >= 1 && within_reach(dilation),
          "kernel out of bounds");
}

void ProgramChecks::conv(int source, int target, const Array& kernel, const Array& bias, size_t scales, size_t slopes,
                         int add, bool clipped, int factor, const Sides& before, const Sides& dilation) const {
  const std::vector<int64_t>& k = kernel.shape;
  taps(kernel, before, dilation);
  require(factor >= 1 && factor <= kMaxShuffle, "kernel out of bounds");
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.channels == k[1] && int64_t{to.channels} * factor * factor == k[0] &&
              to.factor == int64_t{from.factor} * factor && to.growth[0] % factor == 0 && to.growth[1] % factor == 0,
          "kernel does not fit its tensors");
  const bool int8 = kernel.dtype == "int8";
  require(int8 || kernel.type == Type::f32, "kernel must be float32 or int8");
  require(!int8 || precision_ == "int8", "int8 kernels belong to int8 programs");
  require(int8 ? from.packed : (from.floats && !from.sums) || (from.packed && precision_ == "bf16"),
          "source is not held as this convolution reads it");
  require(bias.dtype == (int8 ? "int32" : "float32") && bias.shape == std::vector<int64_t>{k[0]},
          std::string("bias does not fit: one ") + (int8 ? "int32" : "float32") + " number per output is needed");
  require(scales == 0 || int8, "scales belong to int8");
  require(scales == 0 || static_cast<int64_t>(scales) == k[0], "scales do not fit");
  require(slopes == 0 || static_cast<int64_t>(slopes) == k[0], "slopes do not fit");
  if (int8 && scales == 0) {
    require(to.floats && !to.packed && !to.shared && slopes == 0 && add < 0 && !clipped && factor == 1,
            "raw sums are only stored");
  }
  operand(add, to, "added");
}

void ProgramChecks::depthwise(int source, int target, const Array& kernel, const Array& bias, size_t slopes, int add,
                              const Sides& before, const Sides& dilation) const {
  taps(kernel, before, dilation);
  const Tensor &from = this->source(source), &to = this->target(target);
  const std::vector<int64_t>& k = kernel.shape;
  require(source > 0 && from.floats && !from.sums && from.parts.empty(),
          "source is not held as this convolution reads it");
  require(k[0] == from.channels && k[1] == 1 && to.channels == from.channels && to.factor == from.factor,
          "kernel does not fit its tensors");
  require(kernel.type == Type::f32, "kernel must be float32");
  require(bias.dtype == "float32" && bias.shape == std::vector<int64_t>{k[0]},
          "bias does not fit: one float32 number per output is needed");
  require(slopes == 0 || static_cast<int64_t>(slopes) == k[0], "slopes do not fit");
  operand(add, to, "added");
}

void ProgramChecks::remap(int source, int target, int factor, const std::vector<int32_t>& table, size_t slopes, int add,
                          const PointwiseSpec& before) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.floats && !from.sums && to.floats && factor >= 1 && factor <= kMaxFactor &&
              to.factor == int64_t{from.factor} * factor && to.growth[0] == from.growth[0] * factor &&
              to.growth[1] == from.growth[1] * factor,
          "tensors do not fit");
  require(static_cast<int64_t>(table.size()) == int64_t{factor} * factor * to.channels, "table does not fit");
  for (const int32_t c : table) require(c >= 0 && c < from.channels, "table out of bounds");
  values(to, slopes, add, before);
}

void ProgramChecks::follow(int target, bool last, bool added, size_t slopes, int add,
                           const PointwiseSpec& before) const {
  require(!stored_ && last, "only what the last step has made is changed in place");
  const Tensor& to = source(target);
  require(to.floats && !to.sums && add != target && before.times != target && !(added && add >= 0),
          "tensors do not fit");
  values(to, slopes, add, before);
}

// What single values of `target` are changed by.
void ProgramChecks::values(const Tensor& to, size_t slopes, int add, const PointwiseSpec& before) const {
  require(slopes == 0 || static_cast<int64_t>(slopes) == to.channels, "slopes do not fit");
  for (const std::vector<float>& values : {before.gains, before.offsets}) {
    require(values.empty() || static_cast<int64_t>(values.size()) == to.channels, "gains or offsets do not fit");
  }
  operand(add, to, "added");
  operand(before.times, to, "multiplied");
}

void ProgramChecks::normalize(int source, int target, const NormalizationSpec& spec) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(source > 0 && from.floats && !from.sums && from.parts.empty() && to.floats && to.factor == from.factor &&
              to.growth == from.growth && to.channels == from.channels,
          "tensors do not fit");
  require(spec.epsilon >= 0 && spec.epsilon <= std::numeric_limits<float>::max(), "epsilon out of bounds");
  for (const std::vector<float>& values : {spec.gains, spec.offsets}) {
    require(static_cast<int64_t>(values.size()) == to.channels, "gains or offsets do not fit");
  }
}

void ProgramChecks::bilinear(int source, int target, int factor) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(source > 0 && from.floats && !from.sums && from.parts.empty() && to.floats && factor >= 1 &&
              factor <= kMaxShuffle && to.factor == int64_t{from.factor} * factor && to.channels == from.channels &&
              to.growth[0] == from.growth[0] * factor && to.growth[1] == from.growth[1] * factor,
          "tensors do not fit");
}

void ProgramChecks::pad(int source, int target, const Sides& added) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.floats && !from.sums && to.floats && to.factor == from.factor && to.channels == from.channels,
          "tensors do not fit");
  require(within_reach(added), "added rows or columns out of bounds");
}

void ProgramChecks::space_to_depth(int source, int target, int down) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(down >= 1 && down <= kMaxFactor && from.floats && !from.sums && from.parts.empty() && to.floats &&
              from.factor == int64_t{to.factor} * down && to.channels == int64_t{from.channels} * down * down,
          "tensors do not fit");
  for (const int axis : {0, 1}) {  // the last blocks may lie beyond the source's edge in part
    const int64_t beyond = int64_t{to.growth[axis]} * down - from.growth[axis];
    require(beyond >= 0 && beyond < down, "tensors do not fit");
  }
}

void ProgramChecks::reduce_rows(int source, int target, int terms, const Array& bias, size_t scales, int before) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.sums == (scales > 0), "scales belong to the sums of int8");
  require(from.floats && !from.shared && to.floats && terms >= 1 && terms <= kMaxKernel &&
              from.channels == (from.sums ? terms + 1 : terms) * to.channels && to.factor == from.factor &&
              to.growth[1] == from.growth[1] && within_reach({before, 0}),
          "tensors do not fit");
  require(scales == 0 || static_cast<int64_t>(scales) == from.channels, "scales do not fit");
  require(bias.dtype == "float32" && bias.shape == std::vector<int64_t>{to.channels},
          "bias does not fit: one float32 number per output is needed");
}

void ProgramChecks::store(int source, int factor, Base base, int fold, float gain, float repeated) const {
  const Tensor& from = this->source(source);
  require(factor >= 1 && factor <= kMaxPlanes, "factor out of bounds");
  require(fold >= 1 && fold <= kMaxFactor && tensors_[0].channels % (fold * fold) == 0, "fold does not fit the input");
  require(from.growth == Sides{}, "the output has another size");
  const int64_t channels = tensors_[0].channels / (fold * fold);
  require(from.channels == channels * factor * factor && channels * factor <= kMaxPlanes && from.floats && !from.sums &&
              from.parts.empty(),
          "output does not fit");
  const int before = tensors_[0].factor;
  require(int64_t{from.factor} * factor % (int64_t{fold} * before) == 0, "the output must be a multiple of the input");
  require((base != Base::nearest && repeated == 0) || (from.factor == before && fold == 1),
          "the repeated input can only be added at its own resolution");
  require(repeated == 0 || (std::isfinite(repeated) && (base == Base::bilinear || base == Base::bicubic)),
          "the repeated input has a gain of its own only beside a smooth base");
  require(std::isfinite(gain) && (gain == 1 || base == Base::bilinear || base == Base::bicubic),
          "only an input enlarged bilinearly or by cubic convolution can be weighted, by a finite number");
}

Function function_named(const std::string& name) {
  static const std::map<std::string, Function> names{
      {"none", Function::none},       {"abs", Function::abs},
      {"square", Function::square},   {"cube", Function::cube},
      {"sqrt", Function::sqrt},       {"reciprocal", Function::reciprocal},
      {"exp", Function::exp},         {"erf", Function::erf},
      {"sigmoid", Function::sigmoid}, {"centred_sigmoid", Function::centred_sigmoid},
      {"tanh", Function::tanh},       {"softplus", Function::softplus},
      {"elu", Function::elu},         {"silu", Function::silu},
      {"mish", Function::mish},       {"hard_swish", Function::hard_swish},
      {"gelu", Function::gelu},       {"gelu_tanh", Function::gelu_tanh},
  };
  const auto found = names.find(name);
  require(found != names.end(), "no such function: " + name);
  return found->second;
}

Base base_named(const std::string& name) {
  if (name == "none") return Base::none;
  if (name == "nearest") return Base::nearest;
  if (name == "bilinear") return Base::bilinear;
  require(name == "bicubic", "base must be none, nearest, bilinear or bicubic");
  return Base::bicubic;
}

Border border_named(const std::string& name) {
  if (name == "zeros") return Border::zeros;
  if (name == "edge") return Border::edge;
  require(name == "reflect", "border must be zeros, edge or reflect");
  return Border::reflect;
}

FrameShape check_size(const ConvProgram& program, int64_t height, int64_t width, int64_t side, int64_t memory) {
  require(program.complete(), "the program has no end");
  require(height >= 1 && width >= 1 && height <= kMaxColumns && width <= kMaxColumns,
          "height and width must be at least 1 and at most 2^24");
  const int64_t block = program.block();
  require(height % block == 0 && width % block == 0, "sides must be multiples of " + std::to_string(block));
  for (const Tensor& t : program.tensors) {
    require(t.length(0, height / block) > 0 && t.length(1, width / block) > 0,
            "the frame is too small: nothing is left of it inside the network");
  }
  require(side >= 0 && memory >= 0, "side and memory must not be negative");
  return FrameShape{height, width, program.image_channels()};
}

void check_part(const ConvProgram& program, const FrameShape& frame, const FramePart& part) {
  const int64_t block = program.block();
  require(part.top >= 0 && part.top < part.bottom && part.bottom <= frame.height,
          "there are no such rows in the frame");
  require(part.left >= 0 && part.left < part.right && part.right <= frame.width,
          "there are no such columns in the frame");
  require(part.top % block == 0 && part.bottom % block == 0, "rows must be multiples of " + std::to_string(block));
  require(part.left % block == 0 && part.right % block == 0, "columns must be multiples of " + std::to_string(block));
}

Place all_of(const Array& pixels) {
  const auto side = [&](size_t axis) { return axis < pixels.shape.size() ? pixels.shape[axis] : 0; };
  return Place{side(0), side(1)};
}

FrameShape check_parts(const ConvProgram& program, const Array& pixels, const Place& place,
                       const std::vector<FramePart>& parts, int64_t side, int64_t memory) {
  require(program.complete(), "the program has no end");
  require(pixels.shape.size() == 3, "pixels must be height x width x channels");
  require(pixels.type == Type::u8 || pixels.type == Type::u16 || pixels.type == Type::f32,
          "pixels must be uint8, uint16 or float32, not " + pixels.dtype);
  const FrameShape shape{pixels.shape[0], pixels.shape[1], pixels.shape[2]};
  const int64_t channels = program.image_channels();
  require(shape.height > 0 && shape.width > 0 && shape.channels == channels,
          "pixels must be height x width x " + std::to_string(channels));
  const FrameShape frame = check_size(program, place.height, place.width, side, memory);
  for (const FramePart& part : parts) {
    check_part(program, frame, part);
    const Interval rows = input_reads(program, 0, frame.height, part.top, part.bottom);
    const Interval columns = input_reads(program, 1, frame.width, part.left, part.right);
    const auto held = [](const Interval& read, int64_t first, int64_t count, int64_t length) {
      return first >= 0 && first <= read.first && count > read.last - first && count <= length - first;
    };
    require(held(rows, place.first_row, shape.height, frame.height),
            "pixels must hold all rows that the wanted ones depend on, and none below the frame");
    require(held(columns, place.first_column, shape.width, frame.width),
            "pixels must hold all columns that the wanted ones depend on, and none beside the frame");
  }
  return frame;
}

void check_destination(const ConvProgram& program, const Array& pixels, const Array& out, int64_t top, int64_t left,
                       const std::vector<FramePart>& parts) {
  require(out.type == pixels.type, "the result must be " + pixels.dtype + " as the pixels, not " + out.dtype);
  require(out.shape.size() == 3 && out.shape[2] == program.image_channels() && out.shape[1] % program.scale() == 0,
          "the result must be height x width x " + std::to_string(program.image_channels()) +
              ", its width a multiple of " + std::to_string(program.scale()));
  const int64_t rows = out.shape[0] / program.scale(), columns = out.shape[1] / program.scale();
  for (const FramePart& part : parts) {
    require(part.top >= top && part.bottom - rows <= top && part.left >= left && part.right - columns <= left,
            "the result must hold the enlargement of all parts");
  }
}

FrameShape check_successor(const ConvProgram& program, const Array& before, const Array& after) {
  const FrameShape shape = check_parts(program, after, all_of(after), {}, 0, 0);
  require(before.type == after.type && before.shape == after.shape, "both frames must be of one shape and type");
  return shape;
}

void check_width(const ConvProgram& program, int64_t columns) {
  require(program.complete(), "the program has no end");
  require(columns >= 1 && columns <= kMaxColumns, "width must be at least 1 and at most 2^24");
}

}  // namespace fastsr::cpu
