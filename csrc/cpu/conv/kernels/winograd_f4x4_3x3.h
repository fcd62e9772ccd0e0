// 3x3 convolutions in float with a quarter of the multiplications: Winograd's F(4x4, 3x3) (Lavin and Gray 2016).
//
// What winograd_f4_row.h does along the row is done along both axes: the 6x6 inputs under 4x4 outputs are spread into 36
// sums and differences, 36 products a pair of channels take the place of 144, and 16 outputs are gathered from them.
// Four rows are thus made at a time. A run of tiles is spread into scratch memory that stays in L2, multiplied plane by
// plane with microkernel.h's loop, and gathered for one group of output vectors after the other. Tiles lie at every
// fourth row and column of the frame, wherever it is cut.
#pragma once

#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/microkernel.h"
#include "cpu/conv/kernels/winograd_f4_row.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

constexpr int kRun = kLanes == 16 ? 24 : 12;  // tiles that are spread at once: a multiple of every width of the loop

// `count` tiles from tile `first` on, spread: spread[plane][tile][channel]. Two of a tile's columns are also the next
// one's; `columns` keeps them, already spread along the column.
inline void spread_tiles(const TileRows& band, int64_t first, int64_t count, int64_t plane, float* columns,
                         float* spread) {
  const int64_t stored = band.stored;
  for (int64_t tile = 0; tile < count; ++tile) {
    const int64_t begin = (first + tile) * kTileOutputs * stored;
    for (int64_t c = 0; c < stored; c += kLanes) {
      float* kept = columns + c * 2 * kTilePlanes;
      Floats along[kTilePlanes][kTilePlanes];  // [column][plane of the column]
      const auto column = [&](int i) __attribute__((always_inline)) {
        Floats d[kTilePlanes];
        FASTSR_UNROLL
        for (int k = 0; k < kTilePlanes; ++k) d[k] = load_vector<Floats>(band.rows[k] + begin + i * stored + c);
        spread_six(d, along[i]);
      };
      if (tile == 0) {
        column(0);
        column(1);
      } else {
        FASTSR_UNROLL
        for (int k = 0; k < 2 * kTilePlanes; ++k) {
          along[k / kTilePlanes][k % kTilePlanes] = load_vector<Floats>(kept + k * kLanes);
        }
      }
      for (int i = 2; i < kTilePlanes; ++i) column(i);
      FASTSR_UNROLL
      for (int k = 0; k < 2 * kTilePlanes; ++k) {
        store_vector(kept + k * kLanes, along[kTileOutputs + k / kTilePlanes][k % kTilePlanes]);
      }
      float* target = spread + tile * stored + c;
      for (int k = 0; k < kTilePlanes; ++k) {
        Floats d[kTilePlanes], out[kTilePlanes];
        FASTSR_UNROLL
        for (int i = 0; i < kTilePlanes; ++i) d[i] = along[i][k];
        spread_six(d, out);
        FASTSR_UNROLL
        for (int i = 0; i < kTilePlanes; ++i) store_vector(target + (i * kTilePlanes + k) * plane, out[i]);
      }
    }
  }
}

template <int kTiles, int kVectors>
__attribute__((noinline)) void plane_products(const float* spread, int64_t stored, const uint8_t* weights, float* out) {
  Floats sums[kTiles][kVectors];
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[m][v] = splat(0.f);
  }
  const uint8_t* row = reinterpret_cast<const uint8_t*>(spread);
  accumulate<DotF32, kTiles, kVectors>(&row, 1, 0, stored * static_cast<int64_t>(sizeof(float)), stored, weights, sums);
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) store_vector(out + (m * kVectors + v) * kLanes, sums[m][v]);
  }
}

// The products of one plane, for `count` tiles.
template <int kVectors>
FASTSR_HOT void plane_run(const float* spread, int64_t stored, const uint8_t* weights, float* out, int64_t count) {
  constexpr int kWide = kRegisters * 3 / 4 / kVectors, kNarrow = 4, kSize = kVectors * kLanes;
  int64_t t = 0;
  if (count >= kWide) {
    for (; t + kWide <= count; t += kWide) {
      plane_products<kWide, kVectors>(spread + t * stored, stored, weights, out + t * kSize);
    }
    t = count - kWide;  // what is made twice is the same
    if (count % kWide) plane_products<kWide, kVectors>(spread + t * stored, stored, weights, out + t * kSize);
    return;
  }
  for (; t + kNarrow <= count; t += kNarrow) {
    plane_products<kNarrow, kVectors>(spread + t * stored, stored, weights, out + t * kSize);
  }
  for (; t < count; ++t) plane_products<1, kVectors>(spread + t * stored, stored, weights, out + t * kSize);
}

// One group of output vectors. The six planes of a column are gathered to four rows at once, while they are in L1.
template <bool kPacks, int kVectors>
void tiles_group(const TileRows& band, const ConvRow (&rows)[kTileOutputs], const float* spread, int64_t plane,
                 float* scratch, int64_t first, int64_t count, int vector) {
  constexpr int kSize = kVectors * kLanes, kPlane = kRun * kSize;
  const int64_t stored = band.stored, one = stored * kVectors * static_cast<int64_t>(sizeof(Floats));
  const uint8_t* weights =
      band.conv->weights.data() + vector * kPlanes2 * stored * static_cast<int64_t>(sizeof(Floats));
  float* products = scratch;                      // [plane of a column][tile][vector]
  float* along = scratch + kTilePlanes * kPlane;  // [column's plane][row][tile][vector]: each part is written at once
  for (int i = 0; i < kTilePlanes; ++i) {
    for (int k = 0; k < kTilePlanes; ++k, weights += one, spread += plane) {
      plane_run<kVectors>(spread, stored, weights, products + k * kPlane, count);
    }
    for (int64_t t = 0; t < count * kVectors; ++t) {
      Floats p[kTilePlanes], out[kTileOutputs];
      FASTSR_UNROLL
      for (int k = 0; k < kTilePlanes; ++k) p[k] = load_vector<Floats>(products + k * kPlane + t * kLanes);
      gather_four(p, out);
      FASTSR_UNROLL
      for (int r = 0; r < kTileOutputs; ++r) {
        store_vector(along + (i * kTileOutputs + r) * kPlane + t * kLanes, out[r]);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    const Floats start = load_vector<Floats>(band.conv->starts.data() + (vector + v) * sizeof(Floats));
    for (int r = band.from; r < band.to; ++r) {
      const Finisher<kPacks> finish(rows[r], vector + v);
      for (int64_t t = 0; t < count; ++t) {
        const float* mine = along + r * kPlane + (t * kVectors + v) * kLanes;
        Floats p[kTilePlanes], out[kTileOutputs];
        FASTSR_UNROLL
        for (int i = 0; i < kTilePlanes; ++i) p[i] = load_vector<Floats>(mine + i * kTileOutputs * kPlane);
        gather_four(p, out);
        FASTSR_UNROLL
        for (int i = 0; i < kTileOutputs; ++i) out[i] += start;
        const int64_t x = (first + t) * kTileOutputs - band.before;
        if (x >= 0 && x + kTileOutputs <= band.count) {
          finish(x, out);
          continue;
        }
        for (int64_t i = x < 0 ? 0 : x; i < x + kTileOutputs && i < band.count; ++i) {  // the frame's edges
          Floats one_pixel[1] = {out[i - x]};
          finish(i, one_pixel);
        }
      }
    }
  }
}

template <bool kPacks>
void tile_rows_of(const TileRows& band) {
  constexpr int64_t kMost = kRegisters == 32 ? 4 : 2;  // vectors in a group
  const int64_t stored = band.stored, plane = kRun * stored + kLanes;
  const int64_t spread_size = kPlanes2 * plane, columns_size = 2 * kTilePlanes * stored;
  static thread_local Scratch scratch;
  float* spread =
      scratch.floats(spread_size + columns_size + (kTilePlanes + kTileOutputs * kTilePlanes) * kRun * kMost * kLanes);
  float* columns = spread + spread_size;
  float* products = columns + columns_size;
  ConvRow rows[kTileOutputs]{};
  for (int r = band.from; r < band.to; ++r) {
    rows[r].conv = band.conv;
    rows[r].places = band.places + (r - band.from) * band.conv->vectors;
    rows[r].stride = band.stride;
    rows[r].packed = band.packed;
    rows[r].grid = band.grid;
  }
  const int64_t tiles = (band.before + band.count + kTileOutputs - 1) / kTileOutputs;
  for (int64_t first = 0; first < tiles; first += kRun) {
    const int64_t count = tiles - first < kRun ? tiles - first : kRun;
    spread_tiles(band, first, count, plane, columns, spread);
    for (int vector = 0; vector < band.conv->vectors;) {
      const int take = group(band.conv->vectors - vector);
      switch (take) {
        case 1: tiles_group<kPacks, 1>(band, rows, spread, plane, products, first, count, vector); break;
        case 2: tiles_group<kPacks, 2>(band, rows, spread, plane, products, first, count, vector); break;
#if FASTSR_LANES == 16
        case 3: tiles_group<kPacks, 3>(band, rows, spread, plane, products, first, count, vector); break;
        default: tiles_group<kPacks, 4>(band, rows, spread, plane, products, first, count, vector);
#endif
      }
      vector += take;
    }
  }
}

inline void tile_rows(const TileRows& band) {
  return band.packed == Packed::none ? tile_rows_of<false>(band) : tile_rows_of<true>(band);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
