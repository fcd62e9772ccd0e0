#include "common/checks.h"

#include <limits>
#include <stdexcept>

#include "cpu/conv/kernel_table.h"

namespace fastsr {
namespace {

constexpr int64_t kMaxFactor = 1024;  // its square times any size of an array fits 64 bits
constexpr int64_t kFar = 1LL << 40;   // of an origin from the frame
constexpr int kMaxChannels = 4096, kMaxShuffle = 16;
constexpr int64_t kMaxColumns = 1 << 24;  // that memory is foretold for

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

// That a side `factor` times as long can be counted.
void check_side(int64_t side, int64_t factor) {
  require(side >= 0 && side <= std::numeric_limits<int64_t>::max() / factor,
          "a side of " + std::to_string(side) + " is out of bounds");
}

bool near(int64_t origin) { return origin > -kFar && origin < kFar; }

std::string text(const std::vector<int64_t>& shape) {
  std::string joined;
  for (const int64_t side : shape) joined += (joined.empty() ? "" : " x ") + std::to_string(side);
  return joined;
}

FrameShape frame_shape(const Array& frame, const char* name) {
  require(frame.shape.size() == 3, std::string(name) + " must be height x width x channels");
  require(frame.type == Type::u8 || frame.type == Type::u16 || frame.type == Type::f32,
          std::string(name) + " has dtype " + frame.dtype + "; accepted: uint8, uint16, float32 pixels");
  return FrameShape{frame.shape[0], frame.shape[1], frame.shape[2]};
}

void check_batch(const Array& batch, bool channels_last) {
  require(batch.shape.size() == 4,
          std::string("batch must be N x ") + (channels_last ? "h x w x C" : "C x h x w") + ", four dimensions");
  require(batch.type == Type::f32 || batch.type == Type::f16,
          "batch has dtype " + batch.dtype + "; accepted: float32 and float16");
}

void check_window(const Window& w, int64_t height, int64_t width, const FrameShape& covered) {
  require(near(w.top) && near(w.left), "a tile is too far from the frame");
  const bool in_tile =
      w.core_top >= w.top && w.core_left >= w.left && w.core_bottom <= w.top + height && w.core_right <= w.left + width;
  const bool in_frame =
      w.core_top >= 0 && w.core_left >= 0 && w.core_bottom <= covered.height && w.core_right <= covered.width;
  const bool ordered = w.core_top <= w.core_bottom && w.core_left <= w.core_right;
  require(in_tile && in_frame && ordered, "a window's core must lie inside its tile and inside the frame");
}

const float* per_channel(const Array& values, const char* name, int64_t channels, const Array& input) {
  if (values.data == nullptr) return nullptr;
  require(input.type == Type::f32 || input.type == Type::f16 || input.type == Type::bf16,
          std::string(name) + " needs float16, bfloat16 or float32 elements, not " + input.dtype);
  require(values.type == Type::f32 && values.shape.size() == 1 && values.shape[0] == channels,
          std::string(name) + " must be " + std::to_string(channels) + " float32 numbers, one per output channel");
  return static_cast<const float*>(values.data);
}

}  // namespace

Type type_named(const std::string& name) {
  if (name == "uint8") return Type::u8;
  if (name == "uint16") return Type::u16;
  if (name == "float32") return Type::f32;
  if (name == "float16") return Type::f16;
  return name == "bfloat16" ? Type::bf16 : Type::other;
}

std::vector<int64_t> gather_shape(const std::vector<int64_t>& frame, int64_t tiles, int64_t height, int64_t width,
                                  bool channels_last) {
  require(frame.size() == 3, "frame must be height x width x channels");
  require(frame[0] > 0 && frame[1] > 0 && frame[2] > 0, "frame is empty");
  require(height > 0 && width > 0, "tiles must be at least 1 x 1");
  return channels_last ? std::vector<int64_t>{tiles, height, width, frame[2]}
                       : std::vector<int64_t>{tiles, frame[2], height, width};
}

std::vector<int64_t> shuffle_shape(const std::vector<int64_t>& input, int64_t factor, bool channels_last) {
  require(input.size() == 4, "input must have four dimensions");
  require(factor >= 1 && factor <= kMaxFactor, "factor must be at least 1 and at most 1024");
  for (const int64_t side : input) check_side(side, factor);
  const int64_t deep = input[channels_last ? 3 : 1], height = input[channels_last ? 1 : 2] * factor,
                width = input[channels_last ? 2 : 3] * factor, channels = deep / (factor * factor);
  require(deep % (factor * factor) == 0,
          std::to_string(deep) + " channels are not a multiple of factor^2 = " + std::to_string(factor * factor));
  return channels_last ? std::vector<int64_t>{input[0], height, width, channels}
                       : std::vector<int64_t>{input[0], channels, height, width};
}

GatherArgs gather_args(const Array& frame, const std::vector<int64_t>& origins, const Array& batch, bool channels_last,
                       std::vector<Window>& kept) {
  const FrameShape shape = frame_shape(frame, "frame");
  check_batch(batch, channels_last);
  const int64_t tiles = static_cast<int64_t>(origins.size()) / 2;
  const int64_t height = batch.shape[channels_last ? 1 : 2], width = batch.shape[channels_last ? 2 : 3];
  const auto expected = gather_shape(frame.shape, tiles, height, width, channels_last);
  require(batch.shape == expected,
          "the batch is " + text(batch.shape) + " where " + text(expected) + " is needed: one tile per origin");
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t top = origins[static_cast<size_t>(2 * i)], left = origins[static_cast<size_t>(2 * i + 1)];
    require(near(top) && near(left), "origins are too far from the frame");
    kept.push_back(Window{top, left, 0, 0, 0, 0});
  }
  return GatherArgs{frame.data, frame.type, shape,      kept.data(), tiles,
                    height,     width,      batch.data, batch.type,  channels_last};
}

ScatterArgs scatter_args(const Array& batch, const std::vector<int64_t>& windows, const Array& frame, int64_t factor,
                         int residual, const Array& low, bool channels_last, std::vector<Window>& kept) {
  const FrameShape shape = frame_shape(frame, "frame");
  check_batch(batch, channels_last);
  require(factor >= 1 && factor <= kMaxFactor && shape.height % factor == 0 && shape.width % factor == 0,
          "the frame's sides must be multiples of the factor");
  require(shape.channels <= kMaxPlanes / factor, "channels x factor must not exceed 64");
  require(batch.shape[channels_last ? 3 : 1] == shape.channels * factor * factor,
          "batch must have channels x factor^2 channels");
  const int64_t tiles = batch.shape[0], height = batch.shape[channels_last ? 1 : 2],
                width = batch.shape[channels_last ? 2 : 3];
  require(static_cast<int64_t>(windows.size()) == 6 * tiles,
          "windows must be N x 6 (top, left, core top, core left, core bottom, core right), one per tile");
  const FrameShape covered{shape.height / factor, shape.width / factor, shape.channels};
  for (size_t i = 0; i < windows.size(); i += 6) {
    kept.push_back(Window{windows[i], windows[i + 1], windows[i + 2], windows[i + 3], windows[i + 4], windows[i + 5]});
    check_window(kept.back(), height, width, covered);
  }
  require(residual >= 0 && residual <= 2, "residual must be none, nearest or bilinear");
  if (residual != static_cast<int>(Residual::none)) {
    require(low.data != nullptr || !low.shape.empty(), "a residual needs the low-resolution frame");
    const FrameShape s = frame_shape(low, "low");
    require(s.height == covered.height && s.width == covered.width && s.channels == covered.channels &&
                low.type == frame.type,
            "low must have the frame's dtype and channels and be smaller by the factor");
  }
  return ScatterArgs{batch.data, batch.type, channels_last, kept.data(), tiles,  height,
                     width,      frame.data, frame.type,    shape,       factor, static_cast<Residual>(residual),
                     low.data};
}

ShuffleArgs shuffle_args(const Array& input, const Array& output, int64_t factor, bool channels_last, const Array& bias,
                         const Array& slope) {
  const auto shape = shuffle_shape(input.shape, factor, channels_last);
  require(input.item == 1 || input.item == 2 || input.item == 4 || input.item == 8,
          "elements must be 1, 2, 4 or 8 bytes wide");
  require(output.dtype == input.dtype && output.item == input.item,
          "out has dtype " + output.dtype + " where " + input.dtype + " is needed");
  require(output.shape == shape, "out is " + text(output.shape) + " where " + text(shape) + " is needed");
  const int64_t channels = shape[channels_last ? 3 : 1];
  return ShuffleArgs{input.data,
                     output.data,
                     input.type,
                     input.item,
                     shape[0],
                     channels,
                     input.shape[channels_last ? 1 : 2],
                     input.shape[channels_last ? 2 : 3],
                     factor,
                     channels_last,
                     per_channel(bias, "bias", channels, input),
                     per_channel(slope, "slope", channels, input)};
}

void ProgramChecks::tensor(int channels, int factor, bool floats, bool packed, float scale, int zero) const {
  require(!stored_ && !begun_, "tensors come before steps");
  require(channels > 0 && channels <= kMaxChannels && factor > 0 && factor <= kMaxFactor, "tensor out of bounds");
  require(!tensors_.empty() || factor == 1, "the first tensor is the input: its factor is 1");
  require(floats || (packed && precision_ != "fp32"), "a tensor must be held as floats, packed, or both");
  require(scale > 0 && scale <= std::numeric_limits<float>::max() && zero >= 0 && zero <= 255, "no grid");
}

void ProgramChecks::described(int channels, int factor, bool floats, bool packed) {
  tensors_.push_back({channels, factor, floats, packed && precision_ != "fp32", tensors_.empty(), false});
}

void ProgramChecks::made(int target, bool sums) {
  tensors_[static_cast<size_t>(target)].made = begun_ = true;
  tensors_[static_cast<size_t>(target)].sums = sums;
}

const ProgramChecks::Tensor& ProgramChecks::source(int i) const {
  const bool there = !stored_ && i >= 0 && i < static_cast<int>(tensors_.size());
  require(there && tensors_[static_cast<size_t>(i)].made, "no such tensor yet");
  return tensors_[static_cast<size_t>(i)];
}

const ProgramChecks::Tensor& ProgramChecks::target(int i) const {
  const bool there = !stored_ && i > 0 && i < static_cast<int>(tensors_.size());
  require(there && !tensors_[static_cast<size_t>(i)].made, "target is made already");
  return tensors_[static_cast<size_t>(i)];
}

// The input cannot be added: its pixels lie closer together than a vector's channels.
void ProgramChecks::addend(int i, const Tensor& target) const {
  if (i < 0) return;
  const Tensor& t = source(i);
  require(i > 0 && t.floats && !t.sums && t.channels == target.channels && t.factor == target.factor,
          "what is added does not fit");
}

void ProgramChecks::conv(int source, int target, const Array& kernel, const Array& bias, size_t scales, size_t slopes,
                         int add, bool clipped, int factor) const {
  const std::vector<int64_t>& k = kernel.shape;
  require(k.size() == 4, "kernel must be out x in x rows x columns");
  require(factor >= 1 && factor <= kMaxShuffle && k[2] % 2 == 1 && k[3] % 2 == 1 && k[2] <= cpu::kMaxKernel &&
              k[3] <= cpu::kMaxKernel,
          "kernel out of bounds");
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.channels == k[1] && int64_t{to.channels} * factor * factor == k[0] && to.factor == from.factor * factor,
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
    require(to.floats && !to.packed && slopes == 0 && add < 0 && !clipped && factor == 1, "raw sums are only stored");
  }
  addend(add, to);
}

void ProgramChecks::gather(int source, int target, int factor, const std::vector<int32_t>& table, size_t slopes,
                           int add) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.floats && !from.sums && to.floats && factor >= 1 && factor <= kMaxFactor &&
              to.factor == int64_t{from.factor} * factor,
          "tensors do not fit");
  require(static_cast<int64_t>(table.size()) == int64_t{factor} * factor * to.channels, "table does not fit");
  for (const int32_t c : table) require(c >= 0 && c < from.channels, "table out of bounds");
  require(slopes == 0 || static_cast<int64_t>(slopes) == to.channels, "slopes do not fit");
  addend(add, to);
}

void ProgramChecks::sum(int source, int target, int terms, const Array& bias, size_t scales) const {
  const Tensor &from = this->source(source), &to = this->target(target);
  require(from.sums == (scales > 0), "scales belong to the sums of int8");
  require(from.floats && to.floats && terms >= 1 && terms % 2 == 1 && terms <= cpu::kMaxKernel &&
              from.channels == (from.sums ? terms + 1 : terms) * to.channels && to.factor == from.factor,
          "tensors do not fit");
  require(scales == 0 || static_cast<int64_t>(scales) == from.channels, "scales do not fit");
  require(bias.dtype == "float32" && bias.shape == std::vector<int64_t>{to.channels},
          "bias does not fit: one float32 number per output is needed");
}

void ProgramChecks::store(int source, int factor, cpu::Base base, int fold) const {
  const Tensor& from = this->source(source);
  require(factor >= 1 && factor <= kMaxPlanes, "factor out of bounds");
  require(fold >= 1 && fold <= kMaxFactor && tensors_[0].channels % (fold * fold) == 0, "fold does not fit the input");
  const int64_t colours = tensors_[0].channels / (fold * fold);
  require(from.channels == colours * factor * factor && colours * factor <= kMaxPlanes && from.floats && !from.sums,
          "output does not fit");
  require(int64_t{from.factor} * factor % fold == 0, "the output must be a multiple of the input");
  require(base != cpu::Base::nearest || (from.factor == 1 && fold == 1),
          "the repeated input can only be added at its own resolution");
}

FrameShape ProgramChecks::run(const Array& pixels, int64_t side) const {
  require(stored_, "the program has no end");
  require(pixels.shape.size() == 3, "pixels must be height x width x channels");
  require(pixels.type == Type::u8 || pixels.type == Type::u16 || pixels.type == Type::f32,
          "pixels must be uint8, uint16 or float32, not " + pixels.dtype);
  const FrameShape shape{pixels.shape[0], pixels.shape[1], pixels.shape[2]};
  const int64_t colours = tensors_[0].channels / (fold_ * fold_);
  require(shape.height > 0 && shape.width > 0 && shape.channels == colours,
          "pixels must be height x width x " + std::to_string(colours));
  require(shape.height % fold_ == 0 && shape.width % fold_ == 0, "sides must be multiples of the fold");
  require(side >= 0, "side must not be negative");
  return shape;
}

void ProgramChecks::width(int64_t columns) const {
  require(stored_, "the program has no end");
  require(columns >= 1 && columns <= kMaxColumns, "width must be at least 1 and at most 2^24");
}

}  // namespace fastsr
