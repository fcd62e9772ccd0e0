// Index and pixel arithmetic shared by the CPU and the CUDA kernels, so that testing one tests the other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define FASTSR_INLINE __host__ __device__ __forceinline__
#else
#define FASTSR_INLINE inline __attribute__((always_inline))
#endif

namespace fastsr {

// Coordinate `i` folded into 0..n-1 by mirroring at the first and last sample, which are not repeated
// (numpy.pad mode "reflect"); any distance outside, any n >= 1.
FASTSR_INLINE int64_t reflect(int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1);
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

FASTSR_INLINE int64_t clamp_index(int64_t i, int64_t n) { return i < 0 ? 0 : (i < n ? i : n - 1); }

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

// IEEE binary16 in an integer. The host converts it without hardware support, a GPU in one instruction.
struct Half {
  uint16_t bits;
};

FASTSR_INLINE float half_to_float(Half h) {
#if defined(__CUDA_ARCH__)
  float converted;
  asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(h.bits));
  return converted;
#else
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000u) << 16;
  const uint32_t magnitude = h.bits & 0x7fffu;
  uint32_t bits;
  if (magnitude >= 0x7c00u) {
    bits = 0x7f800000u | (magnitude & 0x3ffu) << 13;  // infinity, NaN
  } else if (magnitude >= 0x400u) {
    bits = (magnitude << 13) + 0x38000000u;
  } else {
    const float subnormal = static_cast<float>(magnitude) * 5.9604644775390625e-8f;  // 2^-24
    memcpy(&bits, &subnormal, sizeof bits);
  }
  bits |= sign;
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
#endif
}

// Rounds half to even; overflow becomes infinity. Every NaN becomes the positive quiet one here and below: processors
// give the NaNs that they make different signs and payloads.
FASTSR_INLINE Half float_to_half(float v) {
#if defined(__CUDA_ARCH__)
  uint16_t converted;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(converted) : "f"(v));
  return Half{v == v ? converted : static_cast<uint16_t>(0x7e00)};
#else
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  uint32_t out;
  if (bits > 0x7f800000u) return Half{0x7e00};
  if (bits >= 0x477ff000u) {
    out = 0x7c00u;
  } else if (bits >= 0x38800000u) {
    out = (bits - 0x38000000u + 0xfffu + ((bits >> 13) & 1u)) >> 13;
  } else {
    float magnitude;
    memcpy(&magnitude, &bits, sizeof magnitude);
    magnitude += 0.5f;  // the sum's unit in the last place is 2^-24, that of a binary16 subnormal
    uint32_t sum;
    memcpy(&sum, &magnitude, sizeof sum);
    out = sum - 0x3f000000u;
  }
  return Half{static_cast<uint16_t>(sign | out)};
#endif
}

// bfloat16: the upper half of a float.
struct BFloat {
  uint16_t bits;
};

FASTSR_INLINE float bfloat_to_float(BFloat v) {
  const uint32_t bits = static_cast<uint32_t>(v.bits) << 16;
  float out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

// Rounds half to even.
FASTSR_INLINE BFloat float_to_bfloat(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return BFloat{0x7fc0};
  return BFloat{static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

FASTSR_INLINE float load(float v) { return v; }
FASTSR_INLINE float load(Half v) { return half_to_float(v); }
FASTSR_INLINE float load(BFloat v) { return bfloat_to_float(v); }
template <typename T>
FASTSR_INLINE T store(float v);
template <>
FASTSR_INLINE float store<float>(float v) {
  return v;
}
template <>
FASTSR_INLINE Half store<Half>(float v) {
  return float_to_half(v);
}
template <>
FASTSR_INLINE BFloat store<BFloat>(float v) {
  return float_to_bfloat(v);
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

// A frame: height x width x channels, contiguous.
struct FrameShape {
  int64_t height, width, channels;
};

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

// A tile's window on the frame: its top-left pixel (may lie outside the frame) and the part of it that is kept.
struct Window {
  int64_t top, left;                                     // of the whole tile, in frame pixels
  int64_t core_top, core_left, core_bottom, core_right;  // kept part, in frame pixels
};

}  // namespace fastsr
