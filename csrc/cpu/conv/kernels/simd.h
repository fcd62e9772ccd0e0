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
  // Not memcpy: where many are stored in a row, GCC then keeps them all in memory.
  struct __attribute__((packed, may_alias)) Loose {
    V v;
  };
  static_cast<Loose*>(p)->v = v;
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

// Numbers below the smallest normal one become zeros of their sign, as AVX512_BF16 has it throughout.
FASTSR_HOT Floats without_subnormals(Floats v) {
  const Ints bits = reinterpret_cast<Ints>(v), normal = (bits & 0x7f800000) != 0;
  return reinterpret_cast<Floats>(bits & (normal | INT32_MIN));
}

// To bfloat16, rounded half to even.
FASTSR_HOT Halves to_bf16(Floats v) {
#if defined(__AVX512BF16__) && FASTSR_LANES == 16
  return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
#else
  const Words bits = reinterpret_cast<Words>(without_subnormals(v));
  return __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, Halves);
#endif
}

// Two vectors to bfloat16, one behind the other: as one operation it takes half the time of two.
FASTSR_HOT void store_bf16(uint16_t* out, Floats first, Floats second) {
#if defined(__AVX512BF16__) && FASTSR_LANES == 16
  store_vector(out, _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(second), reinterpret_cast<__m512>(first)));
#else
  store_vector(out, to_bf16(first));
  store_vector(out + kLanes, to_bf16(second));
#endif
}

FASTSR_HOT Floats from_bf16(Halves v) {
#if defined(__AVX512BW__) && FASTSR_LANES == 16
  // Moved to the upper halves of the lanes at once: widening and then shifting takes longer.
  alignas(64) static constexpr uint16_t kOrder[32] = {0, 0, 0, 1, 0, 2,  0, 3,  0, 4,  0, 5,  0, 6,  0, 7,
                                                      0, 8, 0, 9, 0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15};
  const __m512i halves = _mm512_castsi256_si512(reinterpret_cast<__m256i>(v));
  return reinterpret_cast<Floats>(_mm512_maskz_permutexvar_epi16(0xaaaaaaaau, load_vector<__m512i>(kOrder), halves));
#else
  return reinterpret_cast<Floats>(__builtin_convertvector(v, Words) << 16);
#endif
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
