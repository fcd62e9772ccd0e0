// A row of a tensor enlarged bilinearly by a whole factor.
#pragma once

#include "common/window.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

FASTSR_HOT Floats between(const float* first, const float* second, Floats weight) {
  return load_vector<Floats>(first) * (splat(1.f) - weight) + load_vector<Floats>(second) * weight;
}

inline void bilinear_row(const BilinearRow& row) {
  const float *upper = row.rows[0], *lower = row.rows[1];
  const Floats row_weight = splat(row.row_weight);
  const int64_t factor = row.factor, padded = row.padded_channels, stride = row.source_stride, width = row.width;
  const int64_t count = row.count, first = row.first, origin = row.origin, target_stride = row.target_stride;
  const LinearTaps taps = row.columns;
  float* target = row.target;
  for (int64_t i = 0; i < count; ++i, target += target_stride) {
    const int64_t x = (first + i) / factor, phase = (first + i) % factor;
    const int64_t left = (clamp_index(x + taps.first[phase], width) - origin) * stride;
    const int64_t right = (clamp_index(x + taps.first[phase] + 1, width) - origin) * stride;
    const Floats weight = splat(taps.weights[phase]);
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats above = between(upper + left + c, upper + right + c, weight);
      const Floats below = between(lower + left + c, lower + right + c, weight);
      store_vector(target + c, above * (splat(1.f) - row_weight) + below * row_weight);
    }
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
