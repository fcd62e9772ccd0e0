// Dot products of pairs of s16: of int8 quantized values, for machines whose byte products would saturate (AVX2's
// maddubs), where a padded pixel is simply zero; and of winograd_f4x4_s16.h. Products and sums are exact.
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
#if defined(__AVX512VNNI__) && FASTSR_LANES == 16
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(inputs), "v"(weights));
    return sum;
#elif defined(__AVX2__) && FASTSR_LANES == 16
    Ints out;
    for (int half = 0; half < 2; ++half) {
      const auto at = [&](const Ints& v) {
        return load_vector<__m256i>(reinterpret_cast<const char*>(&v) + 32 * half);
      };
      store_vector(reinterpret_cast<char*>(&out) + 32 * half,
                   _mm256_add_epi32(at(sum), _mm256_madd_epi16(at(inputs), at(weights))));
    }
    return out;
#elif defined(__AVX2__) && FASTSR_LANES == 8
    return wrapped(sum, reinterpret_cast<Ints>(_mm256_madd_epi16((__m256i)inputs, (__m256i)weights)));
#elif defined(__SSE2__) && FASTSR_LANES == 4
    return wrapped(sum, reinterpret_cast<Ints>(_mm_madd_epi16((__m128i)inputs, (__m128i)weights)));
#else
    return add_pairs_reference(sum, inputs, weights);
#endif
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
