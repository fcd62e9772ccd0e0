#include "common/checks.h"

#include <limits>
#include <stdexcept>

namespace fastsr {
namespace {

constexpr int64_t kFar = 1LL << 40;  // of an origin from the frame

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

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
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

}  // namespace fastsr
