// Depthwise convolutions in float: each channel of the output has a kernel of its own for the same channel of the
// input.
//
// A vector of channels under one tap of the kernel, for a block of pixels whose sums stay in registers: one load and
// one multiplication for each. Sums start from the bias and add the kernel's taps in one fixed order, as in
// microkernel.h.
#pragma once

#include "cpu/conv/kernels/epilogue.h"
#include "cpu/conv/kernels/row_driver.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

template <int kPixels>
__attribute__((noinline)) void depthwise_block(const ConvRow& row, int64_t x, int vector) {
  const PackedConv& conv = *row.conv;
  const int taps = conv.kernel_rows;
  const int64_t stride = row.input_stride, offset = x * stride + vector * static_cast<int64_t>(sizeof(Floats));
  const uint8_t* weights = conv.weights.data() + static_cast<int64_t>(vector) * taps * sizeof(Floats);
  const Floats init = load_vector<Floats>(conv.init.data() + vector * sizeof(Floats));
  Floats sums[kPixels];
  FASTSR_UNROLL
  for (int m = 0; m < kPixels; ++m) sums[m] = init;
  for (int k = 0; k < taps; ++k) {
    const uint8_t* input = row.rows[k] + offset;
    const Floats weight = load_vector<Floats>(weights + k * sizeof(Floats));
    FASTSR_UNROLL
    for (int m = 0; m < kPixels; ++m) {
      sums[m] = multiply_add(load_vector<Floats>(input + m * stride), weight, sums[m]);
    }
  }
  const Epilogue<true> epilogue(row, vector);
  epilogue(x, sums);
}

// `row.rows` has a pointer for each tap of the kernel.
inline void depthwise_row(const ConvRow& row) {
  for (int vector = 0; vector < row.conv->vectors; ++vector) {
    for_each_block<1>(row.count, [&](auto pixels, int64_t x) __attribute__((always_inline)) {
      depthwise_block<decltype(pixels)::value>(row, x, vector);
    });
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
