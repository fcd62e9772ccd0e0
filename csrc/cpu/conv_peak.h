// How fast this machine multiplies and adds at most: sums that never leave their registers. Benchmarks compare with it.
#pragma once

#include "simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Runs `rounds` rounds and returns how many floating-point operations they were.
inline int64_t burn(int64_t rounds) {
  constexpr int kSums = kRegisters * 3 / 4;
  volatile float seed = 1e-3f;
  const Floats a = splat(seed), b = splat(seed);
  Floats sums[kSums];
  FASTSR_UNROLL
  for (int i = 0; i < kSums; ++i) sums[i] = splat(seed);
  for (int64_t round = 0; round < rounds; ++round) {
    FASTSR_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = multiply_add(sums[i], a, b);
  }
  Floats total = sums[0];
  FASTSR_UNROLL
  for (int i = 1; i < kSums; ++i) total += sums[i];
  seed = total[0];
  return rounds * kSums * kLanes * 2;
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
