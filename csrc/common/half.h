// Float16 and bfloat16 in integers, converted alike on every machine.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/inline.h"

namespace fastsr {

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

}  // namespace fastsr
