// Index and pixel arithmetic shared by the CPU and the CUDA kernels, so that testing one tests the other.
#pragma once

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

template <typename T>
FASTSR_INLINE float to_network(T v) {
  return static_cast<float>(v) / Pixel<T>::full;
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

// IEEE binary16 in an integer, converted without hardware support.
struct Half {
  uint16_t bits;
};

FASTSR_INLINE float half_to_float(Half h) {
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
}

// Rounds half to even; overflow becomes infinity.
FASTSR_INLINE Half float_to_half(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  uint32_t out;
  if (bits >= 0x7f800000u) {
    out = bits > 0x7f800000u ? 0x7e00u : 0x7c00u;
  } else if (bits >= 0x477ff000u) {
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
}

FASTSR_INLINE float load(float v) { return v; }
FASTSR_INLINE float load(Half v) { return half_to_float(v); }
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

// A tile's window on the frame: its top-left pixel (may lie outside the frame) and the part of it that is kept.
struct Window {
  int64_t top, left;                                     // of the whole tile, in frame pixels
  int64_t core_top, core_left, core_bottom, core_right;  // kept part, in frame pixels
};

}  // namespace fastsr
