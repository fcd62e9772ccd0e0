// The hot loop. A tile is kPixels neighbouring pixels times kVectors vectors of output channels, whose sums stay in
// registers while the kernel's inputs pass by. Under one kernel row the inputs of all columns and channels lie side by
// side in memory, so each kernel row is one plain loop: four bytes of input, repeated in a vector, times one vector of
// weights. Sums start from the bias and grow in one fixed order, so a pixel's value does not depend on its tile.
#pragma once

#include "cpu/conv/kernel_table.h"
#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// A vector of values packed for the next convolution.
FASTSR_HOT void store_packed(uint8_t* out, Floats v, Packed kind, const Grid& grid, float inverse) {
  if (kind == Packed::bf16) {
    store_vector(out, __builtin_convertvector(to_bf16(v), Halves));
    return;
  }
  const Floats scaled = v * splat(inverse), zero = splat(static_cast<float>(grid.zero));
  // Less the zero point. What is kept of the integers is their low bytes.
  const Ints level = near_integer(smaller(larger(scaled, -zero), splat(255.f) - zero));
  if (kind == Packed::s16) {
    store_vector(out, __builtin_convertvector(level, Shorts));
  } else {
    store_vector(out, __builtin_convertvector(level + grid.zero, Bytes));
  }
}

template <typename Dot, int kPixels, int kVectors>
FASTSR_HOT void accumulate(const uint8_t* const* rows, int kernel_rows, int64_t offset, int64_t stride, int64_t steps,
                           const uint8_t* weights, typename Dot::Sum (&sums)[kPixels][kVectors]) {
  for (int k = 0; k < kernel_rows; ++k) {
    const uint8_t* input = rows[k] + offset;
    FASTSR_UNROLL_STEPS
    for (int64_t step = 0; step < steps; ++step) {
      Ints w[kVectors];
      FASTSR_UNROLL
      for (int v = 0; v < kVectors; ++v) w[v] = load_vector<Ints>(weights + v * sizeof(Ints));
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        const Ints a = broadcast(input + m * stride);
        FASTSR_UNROLL
        for (int v = 0; v < kVectors; ++v) sums[m][v] = Dot::add(sums[m][v], a, w[v]);
      }
      weights += kVectors * sizeof(Ints);
      input += 4;
    }
  }
}

// What is done to one vector of a row's outputs: activation, addition, clamp, and the stores. Read from the row once,
// as stores of bytes might change it for all that the compiler knows. Without kPacks nothing is packed, which leaves
// more registers for the rest.
template <bool kPacks>
class Finisher {
 public:
  __attribute__((always_inline)) Finisher(const ConvRow& row, int vector)
      : place_(row.places[vector]), stride_(row.stride), packed_(row.packed), grid_(row.grid) {
    const Finish& finish = row.conv->finish;
    bent_ = !finish.slopes.empty();
    clipped_ = finish.clipped;
    inverse_ = 1.f / grid_.scale;
    slope_ = bent_ ? load_vector<Floats>(finish.slopes.data() + vector * kLanes) : splat(0.f);
    low_ = splat(finish.low);
    high_ = splat(finish.high);
  }

  // Pixels x.. of the row.
  template <int kPixels>
  __attribute__((always_inline)) void operator()(int64_t x, Floats (&values)[kPixels]) const {
    if (bent_) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] = values[m] < 0.f ? values[m] * slope_ : values[m];
    }
    if (place_.add != nullptr) {
      const char* add = reinterpret_cast<const char*>(place_.add) + x * stride_.add;
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] += load_vector<Floats>(add + m * stride_.add);
    }
    if (clipped_) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] = smaller(larger(values[m], low_), high_);
    }
    if (place_.floats != nullptr) {
      char* floats = reinterpret_cast<char*>(place_.floats) + x * stride_.floats;
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) store_vector(floats + m * stride_.floats, values[m]);
    }
    if (kPacks && place_.packed != nullptr) {
      uint8_t* packed = place_.packed + x * stride_.packed;
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        store_packed(packed + m * stride_.packed, values[m], packed_, grid_, inverse_);
      }
    }
  }

 private:
  Place place_;
  Stride stride_;
  Packed packed_;
  Grid grid_;
  float inverse_;
  bool bent_, clipped_;
  Floats slope_, low_, high_;
};

// Scales the sums of a tile and finishes them.
template <typename Dot, int kPixels, int kVectors>
FASTSR_HOT void finish_tile(const ConvRow& row, int64_t x, int vector, typename Dot::Sum (&sums)[kPixels][kVectors]) {
  const PackedConv& conv = *row.conv;
  if (Dot::kInteger && conv.scales.empty()) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        store_vector(reinterpret_cast<char*>(row.places[vector + v].floats) + (x + m) * row.stride.floats, sums[m][v]);
      }
    }
    return;
  }
  FASTSR_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Floats values[kPixels];
    FASTSR_UNROLL
    for (int m = 0; m < kPixels; ++m) {
      if constexpr (Dot::kInteger) {
        const Floats scale = load_vector<Floats>(conv.scales.data() + (vector + v) * kLanes);
        values[m] = __builtin_convertvector(sums[m][v], Floats) * scale;
      } else {
        values[m] = sums[m][v];
      }
    }
    Finisher<true>(row, vector + v)(x, values);
  }
}

template <typename Dot, int kPixels, int kVectors>
__attribute__((noinline)) void tile(const ConvRow& row, int64_t x, int vector) {
  using Sum = typename Dot::Sum;
  const PackedConv& conv = *row.conv;
  Sum sums[kPixels][kVectors];
  FASTSR_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Sum start = load_vector<Sum>(conv.starts.data() + (vector + v) * sizeof(Sum));
    FASTSR_UNROLL
    for (int m = 0; m < kPixels; ++m) sums[m][v] = start;
  }
  const uint8_t* weights = conv.weights.data() + vector * conv.kernel_rows * conv.steps * sizeof(Sum);
  accumulate<Dot, kPixels, kVectors>(row.rows, conv.kernel_rows, x * row.input_stride, row.input_stride, conv.steps,
                                     weights, sums);
  finish_tile<Dot, kPixels, kVectors>(row, x, vector, sums);
}

// A whole row of one group of vectors. The last tile is moved back inside the row: what it makes twice is the same.
template <typename Dot, int kVectors>
void group_row(const ConvRow& row, int vector) {
  constexpr int kSums = kRegisters * 3 / 4;  // the rest holds weights and inputs
  constexpr int kWide = kSums / kVectors, kNarrow = 4;
  int64_t x = 0;
  if (row.count >= kWide) {
    for (; x + kWide <= row.count; x += kWide) tile<Dot, kWide, kVectors>(row, x, vector);
    if (x < row.count) tile<Dot, kWide, kVectors>(row, row.count - kWide, vector);
    return;
  }
  for (; x + kNarrow <= row.count; x += kNarrow) tile<Dot, kNarrow, kVectors>(row, x, vector);
  for (; x < row.count; ++x) tile<Dot, 1, kVectors>(row, x, vector);
}

// Vectors that one tile takes when `left` are to be made.
inline int group(int left) {
  constexpr int most = kRegisters == 32 ? 4 : 2;
  return left < most ? left : most;
}

template <typename Dot>
void conv_row(const ConvRow& row) {
  for (int vector = 0; vector < row.conv->vectors;) {
    const int take = group(row.conv->vectors - vector);
    switch (take) {
      case 1: group_row<Dot, 1>(row, vector); break;
      case 2: group_row<Dot, 2>(row, vector); break;
#if FASTSR_LANES == 16
      case 3: group_row<Dot, 3>(row, vector); break;
      default: group_row<Dot, 4>(row, vector);
#endif
    }
    vector += take;
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
