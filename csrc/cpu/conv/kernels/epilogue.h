// The epilogue: what happens to a convolution's sums before they are stored.
#pragma once

#include "cpu/conv/kernels/requantize.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// What is done to one vector of a row's outputs: activation, addition, clamp, and the stores. Read from the row once,
// as stores of bytes might change it for all that the compiler knows. Without kPacks nothing is packed, which leaves
// more registers for the rest.
template <bool kPacks>
class Epilogue {
 public:
  __attribute__((always_inline)) Epilogue(const ConvRow& row, int vector)
      : output_(row.outputs[vector]), strides_(row.strides), format_(row.format), quantization_(row.quantization) {
    const EpilogueParams& epilogue = row.conv->epilogue;
    activated_ = !epilogue.slopes.empty();
    clipped_ = epilogue.clipped;
    inverse_ = 1.f / quantization_.scale;
    slope_ = activated_ ? load_vector<Floats>(epilogue.slopes.data() + vector * kLanes) : splat(0.f);
    low_ = splat(epilogue.low);
    high_ = splat(epilogue.high);
  }

  // Pixels x.. of the row.
  template <int kPixels>
  __attribute__((always_inline)) void operator()(int64_t x, Floats (&values)[kPixels]) const {
    if (activated_) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] = values[m] < 0.f ? values[m] * slope_ : values[m];
    }
    if (output_.add != nullptr) {
      const char* add = reinterpret_cast<const char*>(output_.add) + x * strides_.add;
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] += load_vector<Floats>(add + m * strides_.add);
    }
    if (clipped_) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) values[m] = smaller(larger(values[m], low_), high_);
    }
    if (output_.floats != nullptr) {
      char* floats = reinterpret_cast<char*>(output_.floats) + x * strides_.floats;
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) store_vector(floats + m * strides_.floats, values[m]);
    }
    if (kPacks && output_.packed != nullptr) {
      uint8_t* packed = output_.packed + x * strides_.packed;
#if defined(FASTSR_NARROWS_FOUR)
      if constexpr (kPixels % 4 == 0) {
        if (format_ == StorageFormat::u8x4 && strides_.packed == kLanes) {
          FASTSR_UNROLL
          for (int m = 0; m < kPixels; m += 4)
            requantize_four(packed + m * kLanes, values + m, quantization_, inverse_);
          return;
        }
      }
#endif
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        requantize(packed + m * strides_.packed, values[m], format_, quantization_, inverse_);
      }
    }
  }

 private:
  OutputPointers output_;
  OutputStrides strides_;
  StorageFormat format_;
  QuantizationParams quantization_;
  float inverse_;
  bool activated_, clipped_;
  Floats slope_, low_, high_;
};

// Scales the sums of a microkernel block and applies the epilogue.
template <typename Dot, int kPixels, int kVectors>
FASTSR_HOT void apply_epilogue(const ConvRow& row, int64_t x, int vector,
                               typename Dot::Sum (&sums)[kPixels][kVectors]) {
  const PackedConv& conv = *row.conv;
  if (Dot::kInteger && conv.scales.empty()) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      FASTSR_UNROLL
      for (int m = 0; m < kPixels; ++m) {
        store_vector(reinterpret_cast<char*>(row.outputs[vector + v].floats) + (x + m) * row.strides.floats,
                     sums[m][v]);
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
    Epilogue<true>(row, vector + v)(x, values);
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
