// Dot products of bfloat16 in pairs: AVX512_BF16's dpbf16. The reference implementation makes the same bits: the odd
// one of each two products is added first, each sum is rounded once, subnormal sums are zero. (So are subnormal inputs
// and weights; those are left out when they are packed.)
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Called, not inlined: there would be megabytes of it.
inline __attribute__((noinline)) Floats add_bf16_reference(Floats sum, Ints inputs, Ints weights) {
  const int high = static_cast<int>(0xffff0000u);
  const auto low_half = [](Ints v) __attribute__((always_inline)) { return reinterpret_cast<Floats>(v << 16); };
  const auto high_half = [](Ints v) __attribute__((always_inline)) { return reinterpret_cast<Floats>(v & high); };
  sum = without_subnormals(multiply_add(high_half(inputs), high_half(weights), without_subnormals(sum)));
  return without_subnormals(multiply_add(low_half(inputs), low_half(weights), sum));
}

struct DotBf16 {
  using Sum = Floats;
  static constexpr bool kInteger = false;
  FASTSR_HOT Sum add(Sum sum, Ints inputs, Ints weights) {
#if defined(__AVX512BF16__) && FASTSR_LANES == 16
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(inputs), "v"(weights));
    return sum;
#else
    return add_bf16_reference(sum, inputs, weights);
#endif
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
