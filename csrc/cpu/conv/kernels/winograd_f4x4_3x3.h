// 3x3 convolutions in float with a quarter of the multiplications: Winograd's F(4x4, 3x3), F(4,3) along both axes.
//
// A tile is 6x6 inputs under 4x4 outputs. Its input transform makes 36 sums and differences, 36 products a pair of
// channels take the place of 144, and the output transform makes 16 outputs of them: four rows are made at a time. A
// batch of tiles is transformed into scratch memory that stays in L2, multiplied plane by plane, and transformed back
// for one group of output vectors after the other. Tiles lie at every fourth row and column of the frame.
#pragma once

#include "cpu/conv/kernels/winograd_f4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// `count` tiles from tile `first` on, transformed: transformed[plane][tile][channel]. Two of a tile's columns are also
// the next one's; `columns` keeps them, already transformed along the column.
inline void input_transform_tiles(const WinogradRows& band, int64_t first, int64_t count, int64_t plane, float* columns,
                                  float* transformed) {
  const int64_t padded = band.padded_channels, stride = band.input_stride / static_cast<int64_t>(sizeof(float));
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t begin = (first + tile) * kWinogradOutputs * stride;
    for (int64_t c = 0; c < padded; c += kLanes) {
      float* kept = columns + c * 2 * kWinogradPlanes;
      Floats along[kWinogradPlanes][kWinogradPlanes];  // [column][plane of the column]
      const auto column = [&](int i) __attribute__((always_inline)) {
        Floats d[kWinogradPlanes];
        FASTSR_UNROLL
        for (int k = 0; k < kWinogradPlanes; ++k) {
          d[k] = load_vector<Floats>(reinterpret_cast<const float*>(band.rows[k]) + begin + i * stride + c);
        }
        input_transform(d, along[i]);
      };
      if (tile == 0) {
        column(0);
        column(1);
      } else {
        FASTSR_UNROLL
        for (int k = 0; k < 2 * kWinogradPlanes; ++k) {
          along[k / kWinogradPlanes][k % kWinogradPlanes] = load_vector<Floats>(kept + k * kLanes);
        }
      }
      for (int i = 2; i < kWinogradPlanes; ++i) column(i);
      FASTSR_UNROLL
      for (int k = 0; k < 2 * kWinogradPlanes; ++k) {
        store_vector(kept + k * kLanes, along[kWinogradOutputs + k / kWinogradPlanes][k % kWinogradPlanes]);
      }
      float* target = transformed + tile * padded + c;
      for (int k = 0; k < kWinogradPlanes; ++k) {
        Floats d[kWinogradPlanes], out[kWinogradPlanes];
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradPlanes; ++i) d[i] = along[i][k];
        input_transform(d, out);
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradPlanes; ++i) store_vector(target + (i * kWinogradPlanes + k) * plane, out[i]);
      }
    }
  }
}

// One group of output vectors. The six planes of a column are transformed back to four rows at once, while they are in
// L1.
template <bool kPacks, int kVectors>
void f4x4_group(const WinogradRows& band, const ConvRow (&rows)[kWinogradOutputs], const float* transformed,
                int64_t plane, float* scratch, int64_t first, int64_t count, int vector) {
  constexpr int kSize = kVectors * kLanes, kPlane = kTileBatch * kSize;
  const int64_t padded = band.padded_channels, one = padded * kVectors * static_cast<int64_t>(sizeof(Floats));
  const uint8_t* weights =
      band.conv->weights.data() + vector * kWinogradPlanes2d * padded * static_cast<int64_t>(sizeof(Floats));
  float* products = scratch;  // [plane of a column][tile][vector]
  // [column's plane][row][tile][vector]: each part is written at once.
  float* along = scratch + kWinogradPlanes * kPlane;
  for (int i = 0; i < kWinogradPlanes; ++i) {
    for (int k = 0; k < kWinogradPlanes; ++k, weights += one, transformed += plane) {
      plane_row<kVectors>(transformed, padded, weights, products + k * kPlane, count);
    }
    for (int64_t t = 0; t < count * kVectors; ++t) {
      Floats p[kWinogradPlanes], out[kWinogradOutputs];
      FASTSR_UNROLL
      for (int k = 0; k < kWinogradPlanes; ++k) p[k] = load_vector<Floats>(products + k * kPlane + t * kLanes);
      output_transform(p, out);
      FASTSR_UNROLL
      for (int r = 0; r < kWinogradOutputs; ++r) {
        store_vector(along + (i * kWinogradOutputs + r) * kPlane + t * kLanes, out[r]);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    const Floats init = load_vector<Floats>(band.conv->init.data() + (vector + v) * sizeof(Floats));
    for (int r = band.from; r < band.to; ++r) {
      const Epilogue<kPacks> epilogue(rows[r], vector + v);
      for (int64_t t = 0; t < count; ++t) {
        const float* mine = along + r * kPlane + (t * kVectors + v) * kLanes;
        Floats p[kWinogradPlanes], out[kWinogradOutputs];
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradPlanes; ++i) p[i] = load_vector<Floats>(mine + i * kWinogradOutputs * kPlane);
        output_transform(p, out);
        FASTSR_UNROLL
        for (int i = 0; i < kWinogradOutputs; ++i) out[i] += init;
        const int64_t x = (first + t) * kWinogradOutputs - band.before;
        if (x >= 0 && x + kWinogradOutputs <= band.count) {
          epilogue(x, out);
          continue;
        }
        for (int64_t i = x < 0 ? 0 : x; i < x + kWinogradOutputs && i < band.count; ++i) {  // the frame's edges
          Floats one_pixel[1] = {out[i - x]};
          epilogue(i, one_pixel);
        }
      }
    }
  }
}

template <bool kPacks>
void winograd_rows_of(const WinogradRows& band) {
  const int64_t padded = band.padded_channels, plane = kTileBatch * padded + kLanes;
  const int64_t transformed_size = kWinogradPlanes2d * plane, columns_size = 2 * kWinogradPlanes * padded;
  static thread_local Scratch scratch;
  float* transformed =
      scratch.floats(transformed_size + columns_size +
                     (kWinogradPlanes + kWinogradOutputs * kWinogradPlanes) * kTileBatch * kMostVectors * kLanes);
  float* columns = transformed + transformed_size;
  float* products = columns + columns_size;
  ConvRow rows[kWinogradOutputs]{};
  for (int r = band.from; r < band.to; ++r) {
    rows[r].conv = band.conv;
    rows[r].outputs = band.outputs + (r - band.from) * band.conv->vectors;
    rows[r].strides = band.strides;
    rows[r].format = band.format;
    rows[r].quantization = band.quantization;
  }
  const int64_t tiles = winograd_tiles(band.before + band.count);
  for (int64_t first = 0; first < tiles; first += kTileBatch) {
    const int64_t count = tiles - first < kTileBatch ? tiles - first : kTileBatch;
    input_transform_tiles(band, first, count, plane, columns, transformed);
    for_each_group(band.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
      f4x4_group<kPacks, decltype(vectors)::value>(band, rows, transformed, plane, products, first, count, vector);
    });
  }
}

inline void winograd_f4x4_3x3(const WinogradRows& band) {
  return band.format == StorageFormat::f32 ? winograd_rows_of<false>(band) : winograd_rows_of<true>(band);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
