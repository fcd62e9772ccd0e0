// Functions of single values, in plain products, sums and quotients: every instruction set makes the same bits of them.
#pragma once

#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

FASTSR_HOT Floats unchanged(Floats v) { return v; }

FASTSR_HOT Floats absolute(Floats v) { return reinterpret_cast<Floats>(reinterpret_cast<Ints>(v) & INT32_MAX); }

FASTSR_HOT Floats square(Floats v) { return v * v; }

FASTSR_HOT Floats cube(Floats v) { return v * v * v; }

FASTSR_HOT Floats reciprocal(Floats v) { return splat(1.f) / v; }

FASTSR_HOT Floats square_root(Floats v) {
  Floats made;
  for (int i = 0; i < kLanes; ++i) made[i] = __builtin_sqrtf(v[i]);
  return made;
}

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

// From -1/2 to 1/2.
FASTSR_HOT Floats centred_sigmoid(Floats v) { return sigmoid(v) - splat(0.5f); }

FASTSR_HOT Floats silu(Floats v) { return v / (splat(1.f) + exponential(-v)); }

FASTSR_HOT Floats hyperbolic_tangent(Floats v) {
  return splat(1.f) - splat(2.f) / (splat(1.f) + exponential(splat(2.f) * v));
}

// v / 6 + 1/2 within 0..1, times v.
FASTSR_HOT Floats hard_swish(Floats v) {
  return v * smaller(larger(v * splat(1.f / 6.f) + splat(0.5f), splat(0.f)), splat(1.f));
}

FASTSR_HOT Floats elu(Floats v) { return v > 0.f ? v : exponential(v) - splat(1.f); }

// log(1 + e^v): the larger of v and 0, plus log(1 + t) for a t within 0..1, which is 2 artanh(t / (2 + t)).
FASTSR_HOT Floats softplus(Floats v) {
  const Floats t = exponential(-absolute(v)), ratio = t / (splat(2.f) + t), squared = ratio * ratio;
  Floats sum = splat(1.f / 13.f);
  for (const float c : {1.f / 11.f, 1.f / 9.f, 1.f / 7.f, 1.f / 5.f, 1.f / 3.f, 1.f}) sum = sum * squared + splat(c);
  return larger(v, splat(0.f)) + splat(2.f) * ratio * sum;
}

// v tanh(log(1 + e^v)), of which the tangent is n / (n + 2) for n = e^v (e^v + 2); beyond 40 it is 1.
FASTSR_HOT Floats mish(Floats v) {
  const Floats power = exponential(smaller(v, splat(40.f))), n = power * (power + splat(2.f));
  return v * (n / (n + splat(2.f)));
}

// 1 - erf(|v|), to 2e-7 (Abramowitz and Stegun, 7.1.26).
FASTSR_HOT Floats complementary_error(Floats v) {
  v = absolute(v);
  const Floats t = splat(1.f) / (splat(1.f) + splat(0.3275911f) * v);
  Floats sum = splat(1.061405429f);
  for (const float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) sum = sum * t + splat(c);
  return sum * t * exponential(-v * v);
}

FASTSR_HOT Floats error_function(Floats v) {
  const Floats beyond = complementary_error(v);
  return v < 0.f ? beyond - splat(1.f) : splat(1.f) - beyond;
}

// v times the share of a normal distribution that lies below it: v (1 + erf(v / sqrt 2)) / 2.
FASTSR_HOT Floats gelu(Floats v) {
  const Floats beyond = splat(0.5f) * complementary_error(v * splat(0.70710678f));
  return v * (v < 0.f ? beyond : splat(1.f) - beyond);
}

// Its approximation v (1 + tanh(sqrt(2 / pi) (v + 0.044715 v^3))) / 2.
FASTSR_HOT Floats gelu_tanh(Floats v) { return v * sigmoid(splat(1.59576912f) * (v + splat(0.044715f) * v * v * v)); }

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
