// Kernels of one row and 3 or 9 columns in float with half the multiplications: Winograd's F(4,3), three columns at
// a time. (The nine rows of a 9x9 kernel with few outputs are computed as outputs of such a one.)
//
// Four outputs need six inputs for each three columns of the kernel (a part), and those of the next part begin three
// pixels further. The transformed inputs of the parts stand one behind the other like so many more input channels, so
// that the sums over channels are the sums over the parts too, and four outputs take one output transform. No other row
// reads the transformed inputs: a batch of tiles is transformed into scratch memory and multiplied while it lies in L2.
#pragma once

#include "cpu/conv/kernels/winograd_f4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// `count` tiles from tile `first` on, transformed: transformed[plane][tile][part of the kernel][channel].
inline void input_transform_parts(const ConvRow& row, int64_t first, int64_t count, int64_t plane, float* transformed) {
  const int64_t padded = row.input_stride / static_cast<int64_t>(sizeof(float)), parts = row.conv->k_blocks / padded;
  const float* source = reinterpret_cast<const float*>(row.rows[0]);
  for (int64_t tile = 0; tile < count; ++tile) {
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t c = 0; c < padded; c += kLanes) {
        const float* pixel = source + ((first + tile) * kWinogradOutputs + part * kWinogradTaps) * padded + c;
        Floats d[kWinogradPlanes], out[kWinogradPlanes];
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradPlanes; ++i) d[i] = load_vector<Floats>(pixel + i * padded);
        input_transform(d, out);
        float* target = transformed + (tile * parts + part) * padded + c;
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradPlanes; ++i) store_vector(target + i * plane, out[i]);
      }
    }
  }
}

template <int kVectors>
void f4_1xn_group(const ConvRow& row, const float* transformed, int64_t plane, int64_t first, int64_t count,
                  int vector) {
  const int64_t k_blocks = row.conv->k_blocks, one = k_blocks * static_cast<int64_t>(sizeof(Floats));
  alignas(64) float products[kWinogradPlanes][kTileBatch * kVectors * kLanes];
  for (int k = 0; k < kWinogradPlanes; ++k) {
    const uint8_t* weights = row.conv->weights.data() + (vector * kWinogradPlanes + k * kVectors) * one;
    plane_row<DotF32, kVectors>(transformed + k * plane, k_blocks, weights, products[k], count);
  }
  for (int64_t t = 0; t < count; ++t) output_tile<kVectors, kTileBatch>(row, products, t, first + t, vector);
}

inline void winograd_f4_1xn(const ConvRow& row) {
  // The odd vector: planes that do not share the cache's lines.
  const int64_t plane = kTileBatch * row.conv->k_blocks + kLanes;
  static thread_local Scratch scratch;
  float* transformed = scratch.floats(kWinogradPlanes * plane);
  const int64_t tiles = winograd_tiles(row.count);
  for (int64_t first = 0; first < tiles; first += kTileBatch) {
    const int64_t count = tiles - first < kTileBatch ? tiles - first : kTileBatch;
    input_transform_parts(row, first, count, plane, transformed);
    for_each_group(row.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
      f4_1xn_group<decltype(vectors)::value>(row, transformed, plane, first, count, vector);
    });
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
