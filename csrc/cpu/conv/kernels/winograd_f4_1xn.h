// Kernels of one row and 3 or 9 columns in float with half the multiplications: Winograd's F(4,3), three columns at
// a time. (The nine rows of a 9x9 kernel with few outputs are computed as outputs of such a one.)
//
// Four outputs need six inputs for each three columns of the kernel, and those of the next three begin three pixels
// further. Each six are spread as winograd_f4_row.h does it and stand one behind the other like so many more input
// channels, so that the sums over channels are the sums over the kernel's parts too, and four outputs are gathered
// once. No other row reads what is spread: a run of tiles is spread into scratch memory and multiplied while it lies in
// L2.
#pragma once

#include "cpu/conv/kernels/winograd_f4_row.h"
#include "cpu/conv/kernels/winograd_f4x4_3x3.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// `count` tiles from tile `first` on, spread: spread[plane][tile][part of the kernel][channel].
inline void spread_flat(const ConvRow& row, int64_t first, int64_t count, int64_t plane, float* spread) {
  const int64_t stored = row.input_stride / static_cast<int64_t>(sizeof(float)), parts = row.conv->steps / stored;
  const float* source = reinterpret_cast<const float*>(row.rows[0]);
  for (int64_t tile = 0; tile < count; ++tile) {
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t c = 0; c < stored; c += kLanes) {
        const float* pixel = source + ((first + tile) * kTileOutputs + part * kTileColumns) * stored + c;
        Floats d[kTilePlanes], out[kTilePlanes];
        FASTSR_UNROLL
        for (int i = 0; i < kTilePlanes; ++i) d[i] = load_vector<Floats>(pixel + i * stored);
        spread_six(d, out);
        float* target = spread + (tile * parts + part) * stored + c;
        FASTSR_UNROLL
        for (int i = 0; i < kTilePlanes; ++i) store_vector(target + i * plane, out[i]);
      }
    }
  }
}

template <int kVectors>
void flat_group(const ConvRow& row, const float* spread, int64_t plane, int64_t first, int64_t count, int vector) {
  const int64_t steps = row.conv->steps, one = steps * static_cast<int64_t>(sizeof(Floats));
  alignas(64) float products[kTilePlanes][kRun * kVectors * kLanes];
  for (int k = 0; k < kTilePlanes; ++k) {
    const uint8_t* weights = row.conv->weights.data() + (vector * kTilePlanes + k * kVectors) * one;
    plane_run<kVectors>(spread + k * plane, steps, weights, products[k], count);
  }
  for (int64_t t = 0; t < count; ++t) finish_products<kVectors, kRun>(row, products, t, first + t, vector);
}

inline void flat_row(const ConvRow& row) {
  const int64_t plane = kRun * row.conv->steps + kLanes;  // the odd vector: planes that do not share the cache's lines
  static thread_local Scratch scratch;
  float* spread = scratch.floats(kTilePlanes * plane);
  const int64_t tiles = (row.count + kTileOutputs - 1) / kTileOutputs;
  for (int64_t first = 0; first < tiles; first += kRun) {
    const int64_t count = tiles - first < kRun ? tiles - first : kRun;
    spread_flat(row, first, count, plane, spread);
    for (int vector = 0; vector < row.conv->vectors;) {
      const int take = group(row.conv->vectors - vector);
      switch (take) {
        case 1: flat_group<1>(row, spread, plane, first, count, vector); break;
        case 2: flat_group<2>(row, spread, plane, first, count, vector); break;
#if FASTSR_LANES == 16
        case 3: flat_group<3>(row, spread, plane, first, count, vector); break;
        default: flat_group<4>(row, spread, plane, first, count, vector);
#endif
      }
      vector += take;
    }
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
