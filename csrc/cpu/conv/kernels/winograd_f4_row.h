// 3x3 convolutions in float with half the multiplications: Winograd's F(4,3) along the row, for each kernel row.
//
// A step of its own transforms each row of the input once, and three output rows read it. Products of all kernel rows
// are added up before the output transform.
#pragma once

#include "cpu/conv/kernels/winograd_f4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// The input transform of one row: target[plane][tile][channel].
inline void input_transform_row(const InputTransformRow& row) {
  for (int64_t tile = 0; tile < row.tiles; ++tile) {
    for (int64_t c = 0; c < row.padded_channels; c += kLanes) {
      const float* source = row.source + tile * kWinogradOutputs * row.input_stride + c;
      Floats d[kWinogradPlanes], transformed[kWinogradPlanes];
      FASTSR_UNROLL
      for (int i = 0; i < kWinogradPlanes; ++i) d[i] = load_vector<Floats>(source + i * row.input_stride);
      input_transform(d, transformed);
      float* target = row.target + tile * row.padded_channels + c;
      FASTSR_UNROLL
      for (int i = 0; i < kWinogradPlanes; ++i) store_vector(target + i * row.plane, transformed[i]);
    }
  }
}

// The products of one plane for a block of tiles, over all kernel rows.
template <int kTiles, int kVectors>
__attribute__((noinline)) void row_products(const ConvRow& row, int plane, int64_t tile, int vector, float* out) {
  const PackedConv& conv = *row.conv;
  const int64_t one = conv.kernel_rows * conv.k_blocks * static_cast<int64_t>(sizeof(Floats));  // weights of a vector
  const uint8_t* rows[kMaxKernel];
  for (int k = 0; k < conv.kernel_rows; ++k) rows[k] = row.rows[k] + plane * row.plane;
  Floats sums[kTiles][kVectors];
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[m][v] = splat(0.f);
  }
  accumulate<DotF32, kTiles, kVectors>(rows, conv.kernel_rows, tile * row.input_stride, row.input_stride, conv.k_blocks,
                                       conv.weights.data() + (vector * kWinogradPlanes + plane * kVectors) * one, sums);
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) store_vector(out + (m * kVectors + v) * kLanes, sums[m][v]);
  }
}

template <int kVectors>
void f4_row_group(const ConvRow& row, int vector) {
  constexpr int kChunk = kBlockPixels<kVectors> * (kLanes == 16 ? 2 : 4);  // tiles whose products stay in L1
  alignas(64) float products[kWinogradPlanes][kChunk * kVectors * kLanes];
  const int64_t tiles = winograd_tiles(row.count);
  for (int64_t first = 0; first < tiles; first += kChunk) {
    const int64_t count = tiles - first < kChunk ? tiles - first : kChunk;
    for (int plane = 0; plane < kWinogradPlanes; ++plane) {
      for_each_block<kVectors>(count, [&](auto block, int64_t t) __attribute__((always_inline)) {
        row_products<decltype(block)::value, kVectors>(row, plane, first + t, vector,
                                                       products[plane] + t * kVectors * kLanes);
      });
    }
    for (int64_t t = 0; t < count; ++t) output_tile<kVectors, kChunk>(row, products, t, first + t, vector);
  }
}

inline void winograd_f4_row(const ConvRow& row) {
  for_each_group(row.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
    f4_row_group<decltype(vectors)::value>(row, vector);
  });
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
