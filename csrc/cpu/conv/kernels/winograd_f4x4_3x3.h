// 3x3 convolutions in float with a quarter of the multiplications: Winograd's F(4x4, 3x3), F(4,3) along both axes.
//
// A tile is 6x6 inputs under 4x4 outputs. Its input transform makes 36 sums and differences, 36 products a pair of
// channels take the place of 144, and the output transform makes 16 outputs of them: four rows are made at a time. A
// batch of tiles, of several rows of tiles where there are, is transformed into scratch memory that stays in L2,
// multiplied plane by plane, and transformed back for one group of output vectors after the other. Tiles lie at every
// fourth row and column of the frame.
#pragma once

#include "cpu/conv/kernels/tile_batches.h"
#include "cpu/conv/kernels/winograd_f4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// A run's tiles, transformed: transformed[plane][tile][channel]. Two of a tile's columns are also
// the next one's; `columns` keeps them, already transformed along the column.
inline void input_transform_tiles(const WinogradRows& rows, const TileRun& run, int64_t plane, float* columns,
                                  float* transformed) {
  const int64_t padded = rows.padded_channels, stride = rows.input_stride / static_cast<int64_t>(sizeof(float));
  for (int64_t tile = 0; tile < run.count; ++tile) {
    const int64_t begin = (run.first + tile) * kWinogradOutputs * stride;
    for (int64_t c = 0; c < padded; c += kLanes) {
      float* kept = columns + c * 2 * kWinogradPlanes;
      Floats along[kWinogradPlanes][kWinogradPlanes];  // [column][plane of the column]
      const auto column = [&](int i) __attribute__((always_inline)) {
        Floats d[kWinogradPlanes];
        FASTSR_UNROLL
        for (int k = 0; k < kWinogradPlanes; ++k) {
          d[k] = load_vector<Floats>(reinterpret_cast<const float*>(run.band->rows[k]) + begin + i * stride + c);
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
      float* target = transformed + (run.at + tile) * padded + c;
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

// A run's four rows of one output vector, from the planes of its columns: [column's plane][row][tile][vector].
template <bool kPacks, int kVectors>
void store_run(const WinogradRows& rows, const TileRun& run, const float* along, int vector, int v) {
  constexpr int kPlane = kTileBatch * kVectors * kLanes;
  const Floats init = load_vector<Floats>(rows.conv->init.data() + (vector + v) * sizeof(Floats));
  ConvRow row = output_row(rows);
  for (int r = run.band->from; r < run.band->to; ++r) {
    row.outputs = run.band->outputs + (r - run.band->from) * rows.conv->vectors;
    const Epilogue<kPacks> epilogue(row, vector + v);
    for (int64_t t = 0; t < run.count; ++t) {
      const float* mine = along + r * kPlane + ((run.at + t) * kVectors + v) * kLanes;
      Floats p[kWinogradPlanes], out[kWinogradOutputs];
      FASTSR_UNROLL
      for (int i = 0; i < kWinogradPlanes; ++i) p[i] = load_vector<Floats>(mine + i * kWinogradOutputs * kPlane);
      output_transform(p, out);
      FASTSR_UNROLL
      for (int i = 0; i < kWinogradOutputs; ++i) out[i] += init;
      const int64_t x = (run.first + t) * kWinogradOutputs - rows.before;
      if (x >= 0 && x + kWinogradOutputs <= rows.count) {
        epilogue(x, out);
        continue;
      }
      for (int64_t i = x < 0 ? 0 : x; i < x + kWinogradOutputs && i < rows.count; ++i) {  // the frame's edges
        Floats one_pixel[1] = {out[i - x]};
        epilogue(i, one_pixel);
      }
    }
  }
}

// One group of output vectors of a batch. The six planes of a column are transformed back to four rows at once, while
// they are in L1.
template <bool kPacks, int kVectors>
void f4x4_group(const WinogradRows& rows, const TileRun* runs, int run_count, const float* transformed, int64_t plane,
                float* scratch, int64_t count, int vector) {
  constexpr int kSize = kVectors * kLanes, kPlane = kTileBatch * kSize;
  const int64_t padded = rows.padded_channels, one = padded * kVectors * static_cast<int64_t>(sizeof(Floats));
  const uint8_t* weights =
      rows.conv->weights.data() + vector * kWinogradPlanes2d * padded * static_cast<int64_t>(sizeof(Floats));
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
    for (int i = 0; i < run_count; ++i) store_run<kPacks, kVectors>(rows, runs[i], along, vector, v);
  }
}

template <bool kPacks>
void winograd_rows_of(const WinogradRows& rows) {
  const int64_t padded = rows.padded_channels, plane = kTileBatch * padded + kLanes;
  const int64_t transformed_size = kWinogradPlanes2d * plane, columns_size = 2 * kWinogradPlanes * padded;
  static thread_local Scratch scratch;
  float* transformed =
      scratch.floats(transformed_size + columns_size +
                     (kWinogradPlanes + kWinogradOutputs * kWinogradPlanes) * kTileBatch * kMostVectors * kLanes);
  float* columns = transformed + transformed_size;
  float* products = columns + columns_size;
  const auto batch = [&](const TileRun* runs, int run_count, int64_t count) {
    for (int i = 0; i < run_count; ++i) input_transform_tiles(rows, runs[i], plane, columns, transformed);
    for_each_group(rows.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
      f4x4_group<kPacks, decltype(vectors)::value>(rows, runs, run_count, transformed, plane, products, count, vector);
    });
  };
  for_each_batch<kTileBatch>(rows, winograd_tiles(rows.before + rows.count), batch);
}

inline void winograd_f4x4_3x3(const WinogradRows& rows) {
  return rows.format == StorageFormat::f32 ? winograd_rows_of<false>(rows) : winograd_rows_of<true>(rows);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
