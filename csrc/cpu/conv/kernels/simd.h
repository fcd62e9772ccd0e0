// Vectors of FASTSR_LANES floats or integers in the compiler's own vector types, which exist on every machine: where
// its registers are narrower, the compiler splits them.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fastsr::cpu::FASTSR_ISA_NAME {

constexpr int kLanes = FASTSR_LANES;
constexpr int kRegisters = kLanes == 16 ? 32 : 16;

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef int16_t Shorts __attribute__((vector_size(2 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes)));

// Loops over sums must unroll, or the sums would have to live in memory to be indexed.
#define FASTSR_UNROLL _Pragma("GCC unroll 32")
// The loop over K blocks: counting and pointers cost as much as a sixth of it, more where a core is shared.
#define FASTSR_UNROLL_K_BLOCKS _Pragma("GCC unroll 2")
#define FASTSR_HOT static inline __attribute__((always_inline))

template <typename V>
FASTSR_HOT V load_vector(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <typename V>
FASTSR_HOT void store_vector(void* p, V v) {
  std::memcpy(p, &v, sizeof v);
}

// Four bytes repeated in every lane.
FASTSR_HOT Ints broadcast(const void* p) {
  int32_t v;
  std::memcpy(&v, p, sizeof v);
  return v - Ints{};
}
FASTSR_HOT Floats splat(float v) { return reinterpret_cast<Floats>(broadcast(&v)); }

// a + b modulo 2^32, as the machines' dot products add up.
FASTSR_HOT Ints wrapped(Ints a, Ints b) {
  return reinterpret_cast<Ints>(reinterpret_cast<Words>(a) + reinterpret_cast<Words>(b));
}

// a * b + c, rounded once where the machine can; without that, twice.
FASTSR_HOT Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__) && FASTSR_LANES == 16
  return reinterpret_cast<Floats>(_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c));
#elif defined(__FMA__) && FASTSR_LANES == 8
  return reinterpret_cast<Floats>(_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c));
#elif defined(__FMA__)
  Floats out;
  for (int half = 0; half < kLanes / 8; ++half) {
    const auto at = [&](const Floats& v) { return load_vector<__m256>(reinterpret_cast<const char*>(&v) + 32 * half); };
    store_vector(reinterpret_cast<char*>(&out) + 32 * half, _mm256_fmadd_ps(at(a), at(b), at(c)));
  }
  return out;
#else
  return a * b + c;
#endif
}

FASTSR_HOT Floats larger(Floats a, Floats b) { return a > b ? a : b; }   // NaN in a becomes b
FASTSR_HOT Floats smaller(Floats a, Floats b) { return a < b ? a : b; }  // NaN in a becomes b

// Floats within +-2^22 to the nearest integer, half to even, in the low 22 bits: added to 1.5 * 2^23 they have no room
// for a fraction. The bits above are those of that number.
FASTSR_HOT Ints near_integer(Floats v) { return reinterpret_cast<Ints>(v + splat(12582912.f)); }

// bfloat16 in the low half of every lane, rounded half to even.
FASTSR_HOT Words to_bf16(Floats v) {
  const Words bits = reinterpret_cast<Words>(v);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
