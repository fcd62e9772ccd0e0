// The row driver: covers a row of outputs with microkernel blocks.
#pragma once

#include "cpu/conv/kernels/microkernel.h"
#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// A number that a lambda is told at compile time.
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

// Pixels of the widest block of kVectors: three quarters of the registers hold sums, the rest weights and inputs.
template <int kVectors>
constexpr int kBlockPixels = kRegisters * 3 / 4 / kVectors;
constexpr int kMostVectors = kRegisters == 32 ? 4 : 2;  // of a block

// Vectors of the next block when `left` are to be made.
inline int block_vectors(int left) { return left < kMostVectors ? left : kMostVectors; }

// Calls body(Constant<number of vectors>, first vector) for groups of vectors that cover 0..vectors - 1.
template <typename Body>
FASTSR_HOT void for_each_group(int vectors, const Body& body) {
  for (int vector = 0; vector < vectors;) {
    const int take = block_vectors(vectors - vector);
    switch (take) {
      case 1: body(Constant<1>{}, vector); break;
      case 2: body(Constant<2>{}, vector); break;
#if FASTSR_LANES == 16
      case 3: body(Constant<3>{}, vector); break;
      default: body(Constant<4>{}, vector);
#endif
    }
    vector += take;
  }
}

// Calls body(Constant<pixels>, first pixel) for blocks of kVectors that cover 0..count - 1. The last one is moved back
// inside: what it makes twice is the same.
template <int kVectors, typename Body>
FASTSR_HOT void for_each_block(int64_t count, const Body& body) {
  constexpr int kWide = kBlockPixels<kVectors>, kNarrow = 4;
  int64_t x = 0;
  if (count >= kWide) {
    for (; x + kWide <= count; x += kWide) body(Constant<kWide>{}, x);
    if (x < count) body(Constant<kWide>{}, count - kWide);
    return;
  }
  for (; x + kNarrow <= count; x += kNarrow) body(Constant<kNarrow>{}, x);
  for (; x < count; ++x) body(Constant<1>{}, x);
}

// A whole row of one group of vectors.
template <typename Dot, int kVectors>
void drive_row(const ConvRow& row, int vector) {
  for_each_block<kVectors>(row.count, [&](auto pixels, int64_t x) __attribute__((always_inline)) {
    microkernel<Dot, decltype(pixels)::value, kVectors>(row, x, vector);
  });
}

template <typename Dot>
void conv_row(const ConvRow& row) {
  for_each_group(row.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
    drive_row<Dot, decltype(vectors)::value>(row, vector);
  });
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
