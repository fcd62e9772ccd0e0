// Normalization over channels: each pixel less its mean, over the root of its variance.
#pragma once

#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// value(c) for vectors of channels, added up: in sixteen sums, whatever the width of a vector, then those by halves, so
// that every instruction set makes the same bits.
template <typename Value>
FASTSR_HOT float channel_sum(int64_t padded, const Value& value) {
  constexpr int kSums = 16, kVectors = kSums / kLanes;
  Floats sums[kVectors] = {};
  for (int64_t first = 0; first < padded; first += kSums) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t c = first + v * kLanes;
      if (c < padded) sums[v] += value(c);
    }
  }
  float parts[kSums];
  for (int v = 0; v < kVectors; ++v) store_vector(parts + v * kLanes, sums[v]);
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
  }
  return parts[0];
}

inline void normalize_row(const NormalizeRow& row) {
  const float *there = row.there, *gains = row.gains, *offsets = row.offsets;
  const int64_t count = row.count, padded = row.padded_channels;
  const int64_t source_stride = row.source_stride, target_stride = row.target_stride;
  const float share = 1.f / static_cast<float>(row.channels), epsilon = row.epsilon;
  const bool centred = row.centred;
  for (int64_t x = 0; x < count; ++x) {
    const float* source = row.source + x * source_stride;
    float* target = row.target + x * target_stride;
    const auto value = [&](int64_t c) { return load_vector<Floats>(source + c) * load_vector<Floats>(there + c); };
    const Floats mean = splat(centred ? channel_sum(padded, value) * share : 0.f);
    const auto squared = [&](int64_t c) {
      const Floats apart = (load_vector<Floats>(source + c) - mean) * load_vector<Floats>(there + c);
      return apart * apart;
    };
    const Floats factor = splat(1.f / __builtin_sqrtf(channel_sum(padded, squared) * share + epsilon));
    for (int64_t c = 0; c < padded; c += kLanes) {
      const Floats apart = load_vector<Floats>(source + c) - mean;
      store_vector(target + c, apart * factor * load_vector<Floats>(gains + c) + load_vector<Floats>(offsets + c));
    }
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
