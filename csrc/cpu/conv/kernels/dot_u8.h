// Dot products of int8 quantized values held as fours of u8 with weights in fours of s8: VNNI's dpbusd.
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// The reference implementation, byte by byte.
FASTSR_HOT Ints add_fours_reference(Ints sum, Ints inputs, Ints weights) {
  Ints four = (inputs & 255) * ((weights << 24) >> 24);
  four += ((inputs >> 8) & 255) * ((weights << 16) >> 24);
  four += ((inputs >> 16) & 255) * ((weights << 8) >> 24);
  return wrapped(sum, four + ((inputs >> 24) & 255) * (weights >> 24));
}

struct DotU8 {
  using Sum = Ints;
  static constexpr bool kInteger = true;
  FASTSR_HOT Sum add(Sum sum, Ints inputs, Ints weights) {
    // In assembly because gcc 12 spills the intrinsic's accumulators.
#if defined(__AVX512VNNI__) && FASTSR_LANES == 16
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(inputs), "v"(weights));
    return sum;
#elif defined(__AVXVNNI__) && FASTSR_LANES == 8
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(inputs), "x"(weights));
    return sum;
#else
    return add_fours_reference(sum, inputs, weights);
#endif
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
