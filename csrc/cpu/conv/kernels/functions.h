// Functions of single values, in plain products and sums: every instruction set makes the same bits of them.
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// e^v, to some 2e-7 of its value; v is taken to lie within +-87.
FASTSR_HOT Floats exponential(Floats v) {
  v = smaller(larger(v, splat(-87.f)), splat(87.f));
  // v = power * ln 2 + rest; ln 2 in two parts, the first of which leaves the product exact.
  const Ints power = near_integer(v * splat(1.44269504f)) - near_integer(splat(0.f));
  const Floats whole = __builtin_convertvector(power, Floats);
  const Floats rest = v - whole * splat(0.693359375f) + whole * splat(2.12194440e-4f);
  // Moshier's polynomial (Cephes, expf).
  Floats sum = splat(1.9875691500e-4f);
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    sum = sum * rest + splat(c);
  }
  sum = sum * rest * rest + rest + splat(1.f);
  return sum * reinterpret_cast<Floats>((power + 127) << 23);
}

FASTSR_HOT Floats sigmoid(Floats v) { return splat(1.f) / (splat(1.f) + exponential(-v)); }

FASTSR_HOT Floats hyperbolic_tangent(Floats v) {
  return splat(1.f) - splat(2.f) / (splat(1.f) + exponential(splat(2.f) * v));
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
