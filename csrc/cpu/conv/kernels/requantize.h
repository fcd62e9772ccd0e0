// Floats to the storage format of the next convolution's input.
#pragma once

#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/storage_format.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// A vector of values; `inverse` is 1 / scale.
FASTSR_HOT void requantize(uint8_t* out, Floats v, StorageFormat format, const QuantizationParams& quantization,
                           float inverse) {
  if (format == StorageFormat::bf16x2) {
    store_vector(out, to_bf16(v));
    return;
  }
  const Floats scaled = v * splat(inverse), zero = splat(static_cast<float>(quantization.zero_point));
  // Less the zero point. What is kept of the integers is their low bytes.
  const Ints quantized = near_integer(smaller(larger(scaled, -zero), splat(255.f) - zero));
  if (format == StorageFormat::s16x2) {
    store_vector(out, __builtin_convertvector(quantized, Shorts));
  } else {
    store_vector(out, __builtin_convertvector(quantized + quantization.zero_point, Bytes));
  }
}

// Value i of a row, in the same arithmetic.
FASTSR_HOT void requantize_one(uint8_t* packed, int64_t i, float v, StorageFormat format,
                               const QuantizationParams& quantization, float inverse) {
  alignas(64) uint8_t lanes[2 * kLanes];
  requantize(lanes, splat(v), format, quantization, inverse);
  if (format == StorageFormat::u8x4) {
    packed[i] = lanes[0];
  } else {
    std::memcpy(packed + 2 * i, lanes, 2);
  }
}

#if defined(__AVX512BW__) && FASTSR_LANES == 16
#define FASTSR_NARROWS_FOUR

// Four vectors of floats to the nearest integers, half to even, and those to bytes, by saturation: each 128 bits of the
// result hold the bytes of the same 128 bits of all four, one after the other. Infinities and NaN are as in requantize.
// (Without masks gcc 12 warns of what its own headers leave undefined.)
FASTSR_HOT __m512i narrowed_four(const Floats* values, Floats most, Ints zero_points) {
  const auto integers = [&](int i) {
    // A NaN stays one here; as an integer it is, like -infinity, the smallest.
    return _mm512_maskz_cvtps_epi32(0xffff, (__m512)smaller(most, values[i]));
  };
  const auto halves = [&](int i) {
    return _mm512_adds_epi16(_mm512_packs_epi32(integers(i), integers(i + 1)), (__m512i)zero_points);
  };
  return _mm512_packus_epi16(halves(0), halves(2));
}

// What requantize does to each of four vectors, stored one behind the other; of u8x4 alone.
FASTSR_HOT void requantize_four(uint8_t* out, const Floats* values, const QuantizationParams& quantization,
                                float inverse) {
  alignas(64) static constexpr int32_t kOrder[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  Floats scaled[4];
  FASTSR_UNROLL
  for (int i = 0; i < 4; ++i) scaled[i] = values[i] * splat(inverse);
  const Floats most = splat(255.f) - splat(static_cast<float>(quantization.zero_point));
  const int32_t twice = quantization.zero_point * 0x10001;
  const __m512i bytes = narrowed_four(scaled, most, twice - Ints{});
  store_vector(out, _mm512_maskz_permutexvar_epi32(0xffff, load_vector<__m512i>(kOrder), bytes));
}
#endif

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
