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

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
