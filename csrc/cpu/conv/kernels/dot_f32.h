// Dot products of float: one input channel at a time.
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

struct DotF32 {
  using Sum = Floats;
  static constexpr bool kInteger = false;
  FASTSR_HOT Sum add(Sum sum, Ints inputs, Ints weights) {
    return multiply_add(reinterpret_cast<Floats>(inputs), reinterpret_cast<Floats>(weights), sum);
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
