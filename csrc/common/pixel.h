// Pixel arithmetic shared by the CPU and the CUDA kernels, so that testing one tests the other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "common/half.h"
#include "common/window.h"

namespace fastsr {

// Channel of the shuffled-in tensor that lands at sub-pixel (dy, dx) of output channel c
// (depth to space in the order of torch.nn.PixelShuffle and of ONNX DepthToSpace "CRD").
FASTSR_INLINE int64_t shuffle_channel(int64_t c, int64_t dy, int64_t dx, int64_t factor) {
  return (c * factor + dy) * factor + dx;
}

// Full scale of a pixel type: the network works in 0..1.
template <typename T>
struct Pixel;
template <>
struct Pixel<uint8_t> {
  static constexpr float full = 255.f;
};
template <>
struct Pixel<uint16_t> {
  static constexpr float full = 65535.f;
};
template <>
struct Pixel<float> {
  static constexpr float full = 1.f;
};

// v / full, rounded once. A GPU divides in ten instructions and a branch; a product corrected by its remainder takes
// three and has the same bits for every integer pixel (a test compares all of them, compiled with FASTSR_EMULATION).
template <typename T>
FASTSR_INLINE float to_network(T v) {
  const float value = static_cast<float>(v);
#if defined(__CUDA_ARCH__) || defined(FASTSR_EMULATION)
  constexpr float inverse = 1.f / Pixel<T>::full;
  const float quotient = value * inverse;
  return fmaf(fmaf(-quotient, Pixel<T>::full, value), inverse, quotient);
#else
  return value / Pixel<T>::full;
#endif
}
template <>
FASTSR_INLINE float to_network<float>(float v) {
  return v;
}

// 0..1 to a pixel: scaled, clamped (NaN becomes 0) and rounded half to even.
template <typename T>
FASTSR_INLINE T to_pixel(float v) {
  float scaled = v * Pixel<T>::full;
  scaled = scaled > 0.f ? scaled : 0.f;
  scaled = scaled < Pixel<T>::full ? scaled : Pixel<T>::full;
  const float rounded = (scaled + 8388608.f) - 8388608.f;  // adding 2^23 leaves no room for a fraction
  return static_cast<T>(static_cast<int32_t>(rounded));
}
template <>
FASTSR_INLINE float to_pixel<float>(float v) {
  const float low = v > 0.f ? v : 0.f;
  return low < 1.f ? low : 1.f;
}

// x + bias through a PReLU, computed in float and rounded once.
template <typename T>
FASTSR_INLINE T biased_prelu(T x, const float* bias, const float* slope) {
  float v = load(x);
  if (bias != nullptr) v = v + *bias;
  if (slope != nullptr) v = v > 0.f ? v : *slope * v;
  if (!(v == v)) {
    const uint32_t bits = 0x7fc00000u;
    memcpy(&v, &bits, sizeof v);
  }
  return store<T>(v);
}

// How the low-resolution frame is enlarged when it is added to the network's output.
enum class Residual : int { none = 0, nearest = 1, bilinear = 2 };

// Sample position of a bilinear enlargement by `factor` (pixel centres at half integers, edges repeated).
struct Tap {
  int64_t low, high;
  float weight;  // of `high`
};
FASTSR_INLINE Tap bilinear_tap(int64_t out, int64_t factor, int64_t n) {
  const float position = (static_cast<float>(out) + 0.5f) / static_cast<float>(factor) - 0.5f;
  int64_t floor_index = static_cast<int64_t>(position);
  if (static_cast<float>(floor_index) > position) --floor_index;
  return Tap{clamp_index(floor_index, n), clamp_index(floor_index + 1, n), position - static_cast<float>(floor_index)};
}

// The low-resolution frame `low` (of `shape`), enlarged bilinearly by `factor`: one sample, in 0..1.
template <typename T>
FASTSR_INLINE float bilinear_at(const T* low, FrameShape shape, int64_t factor, int64_t y, int64_t x, int64_t c) {
  const Tap v = bilinear_tap(y, factor, shape.height), h = bilinear_tap(x, factor, shape.width);
  const T* upper = low + v.low * shape.width * shape.channels + c;
  const T* lower = low + v.high * shape.width * shape.channels + c;
  const int64_t left = h.low * shape.channels, right = h.high * shape.channels;
  const float top = to_network(upper[left]) * (1.f - h.weight) + to_network(upper[right]) * h.weight;
  const float bottom = to_network(lower[left]) * (1.f - h.weight) + to_network(lower[right]) * h.weight;
  return top * (1.f - v.weight) + bottom * v.weight;
}

}  // namespace fastsr
