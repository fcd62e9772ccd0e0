// How fast this machine multiplies and adds at most, by each of the dot products: sums that never leave their registers
// and inputs that never leave the nearest cache. Benchmarks compare with it.
#pragma once

#include "cpu/conv/kernels/dot_bf16.h"
#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Runs `rounds` rounds and returns how many operations they were; `products`: of a dot product, in each lane.
template <typename Dot, int products>
int64_t peak_operations_of(int64_t rounds) {
  using Sum = typename Dot::Sum;
  constexpr int kSums = kRegisters * 3 / 4;
  Ints inputs[kSums];
  const Ints weights = reinterpret_cast<Ints>(splat(1e-3f));
  Sum sums[kSums];
  FASTSR_UNROLL
  for (int i = 0; i < kSums; ++i) {
    inputs[i] = Dot::kInteger ? Ints{} : weights;  // integer sums would overflow
    sums[i] = Sum{};
  }
  for (int64_t round = 0; round < rounds; ++round) {
    // Or the products, which never change, would leave the loop. Were all memory clobbered, the sums would be spilled.
    asm volatile("" : "+m"(inputs));
    FASTSR_UNROLL
    for (int i = 0; i < kSums; ++i) sums[i] = Dot{}.add(sums[i], load_vector<Ints>(&inputs[i]), weights);
  }
  FASTSR_UNROLL
  for (int i = 1; i < kSums; ++i) sums[0] += sums[i];
  Sum total = sums[0];
  asm volatile("" : : "m"(total));
  return rounds * kSums * kLanes * products * 2;
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
