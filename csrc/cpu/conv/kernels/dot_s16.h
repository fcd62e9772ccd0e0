// Dot products of int8 quantized values held as pairs of s16, for machines whose byte products would saturate (AVX2's
// maddubs): products and sums are exact, and a padded pixel is simply zero.
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// The reference implementation: lane by lane, the low halves' product plus the high halves'.
FASTSR_HOT Ints add_pairs_reference(Ints sum, Ints a, Ints b) {
  return wrapped(sum, ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16));
}

struct DotS16 {
  using Sum = Ints;
  static constexpr bool kInteger = true;
  FASTSR_HOT Sum add(Sum sum, Ints inputs, Ints weights) {
#if defined(__AVX2__) && FASTSR_LANES == 8
    return wrapped(sum, reinterpret_cast<Ints>(_mm256_madd_epi16((__m256i)inputs, (__m256i)weights)));
#elif defined(__SSE2__) && FASTSR_LANES == 4
    return wrapped(sum, reinterpret_cast<Ints>(_mm_madd_epi16((__m128i)inputs, (__m128i)weights)));
#else
    return add_pairs_reference(sum, inputs, weights);
#endif
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
