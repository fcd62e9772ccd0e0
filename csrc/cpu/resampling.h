// Separable resampling, as weighted sums along one axis: what is asked, checked, and the kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "common/array.h"

namespace fastsr::cpu {

// Of each sample that is made, where the `taps` samples begin that it is a sum of, and their weights.
struct Taps {
  const int64_t* starts;
  const double* weights;
  int64_t count, taps;
};

// Rows of float pixels to `taps.count` pixels each, summed in double.
struct ResampleColumns {
  const float* rows;
  int64_t height, width, channels;
  Taps taps;
  float* out;
};

// `taps.count` rows out of `height` rows of so many samples, summed in double, stored as pixels.
struct ResampleRows {
  const float* rows;
  int64_t height, samples;
  Taps taps;
  void* out;
  Type type;  // u8, u16 or f32
};

struct ResampleKernels {
  void (*columns)(const ResampleColumns&);
  void (*rows)(const ResampleRows&);
};

// One table per instruction set; isa.h chooses.
namespace portable {
extern const ResampleKernels resample_kernels;
}
namespace avx2 {
extern const ResampleKernels resample_kernels;
}

// Arguments for the kernels, or std::invalid_argument. `rows` H x W x C float32; `out` H x count x C float32, or
// count x W x C uint8, uint16 or float32; `weights` count x taps.
ResampleColumns columns_to_resample(const Array& rows, const std::vector<int64_t>& starts, const Array& weights,
                                    const Array& out);
ResampleRows rows_to_resample(const Array& rows, const std::vector<int64_t>& starts, const Array& weights,
                              const Array& out);

}  // namespace fastsr::cpu
