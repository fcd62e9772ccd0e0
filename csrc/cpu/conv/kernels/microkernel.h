// The microkernel. It makes a block of MR x NR outputs: kPixels neighbouring pixels times kVectors vectors of output
// channels, whose sums stay in registers while the kernel's inputs pass by. Under one kernel row the inputs of all
// columns and channels lie side by side in memory, so each kernel row is one plain loop over K blocks: four bytes of
// input, repeated in a vector, times one vector of weights. Sums start from the bias and grow in one fixed order, so a
// pixel's value does not depend on its block.
#pragma once

#include "cpu/conv/kernels/epilogue.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Pixels that one pointer leads to: with the distances to more of them there would be too few registers.
constexpr int kBasePixels = 8;

template <typename Dot, int kPixels, int kVectors>
FASTSR_HOT void accumulate(const uint8_t* const* rows, int kernel_rows, int64_t offset, int64_t stride,
                           int64_t k_blocks, const uint8_t* weights, typename Dot::Sum (&sums)[kPixels][kVectors]) {
  constexpr int kBases = (kPixels + kBasePixels - 1) / kBasePixels;
  for (int k = 0; k < kernel_rows; ++k) {
    const uint8_t* inputs[kBases];
    FASTSR_UNROLL
    for (int b = 0; b < kBases; ++b) {
      inputs[b] = rows[k] + offset + b * kBasePixels * stride;
      if (kBases > 1) asm("" : "+r"(inputs[b]));  // or gcc goes back to one
    }
    FASTSR_UNROLL_K_BLOCKS
    for (int64_t block = 0; block < k_blocks; ++block) {
      Ints w[kVectors];
      FASTSR_UNROLL
      for (int v = 0; v < kVectors; ++v) w[v] = load_vector<Ints>(weights + v * sizeof(Ints));
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        const Ints a = broadcast(inputs[m / kBasePixels] + m % kBasePixels * stride);
        FASTSR_UNROLL
        for (int v = 0; v < kVectors; ++v) sums[m][v] = Dot::add(sums[m][v], a, w[v]);
      }
      weights += kVectors * sizeof(Ints);
      FASTSR_UNROLL
      for (int b = 0; b < kBases; ++b) inputs[b] += 4;
    }
  }
}

template <typename Dot, int kPixels, int kVectors>
__attribute__((noinline)) void microkernel(const ConvRow& row, int64_t x, int vector) {
  using Sum = typename Dot::Sum;
  const PackedConv& conv = *row.conv;
  Sum sums[kPixels][kVectors];
  FASTSR_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Sum init = load_vector<Sum>(conv.init.data() + (vector + v) * sizeof(Sum));
    FASTSR_UNROLL
    for (int m = 0; m < kPixels; ++m) sums[m][v] = init;
  }
  const uint8_t* weights = conv.weights.data() + vector * conv.kernel_rows * conv.k_blocks * sizeof(Sum);
  accumulate<Dot, kPixels, kVectors>(row.rows, conv.kernel_rows, x * row.input_stride, row.input_stride, conv.k_blocks,
                                     weights, sums);
  apply_epilogue<Dot, kPixels, kVectors>(row, x, vector, sums);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
