// The input frame enlarged by cubic convolution, row by row. Plain loops that the compiler vectorises.
#pragma once

#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Rows first, one after the other, then columns: the order of additions is the same on every instruction set.
template <typename T>
void bicubic_pixels(const BicubicRow& row) {
  const int64_t from = row.first - kCubicTaps, wide = row.count + 2 * kCubicTaps;
  for (int64_t i = 0; i < wide; ++i) {
    const int64_t x = clamp_index(from + i, row.width) - row.begin;
    for (int64_t c = 0; c < row.channels; ++c) {
      float sum = 0.f;
      for (int k = 0; k < kCubicTaps; ++k) {
        sum += row.row_weights[k] * to_network(static_cast<const T*>(row.rows[k])[x * row.channels + c]);
      }
      row.column[i * row.channels + c] = sum;
    }
  }
  for (int64_t x = 0; x < row.count; ++x) {
    for (int64_t p = 0; p < row.scale; ++p) {
      const float* taps = row.column + (x + kCubicTaps + row.first_taps[p]) * row.channels;
      const float* weights = row.column_weights + p * kCubicTaps;
      float* target = row.target + (x * row.scale + p) * row.channels;
      for (int64_t c = 0; c < row.channels; ++c) {
        float sum = 0.f;
        for (int k = 0; k < kCubicTaps; ++k) sum += weights[k] * taps[k * row.channels + c];
        target[c] = sum;
      }
    }
  }
}

inline void bicubic_row(const BicubicRow& row) {
  switch (row.type) {
    case Type::u8: return bicubic_pixels<uint8_t>(row);
    case Type::u16: return bicubic_pixels<uint16_t>(row);
    default: return bicubic_pixels<float>(row);
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
