// 3x3 convolutions in float with half the multiplications: Winograd's F(4,3) along the row (Lavin and Gray 2016 use it
// along both axes).
//
// Four neighbouring outputs of one kernel row need 12 products. They can also be had from 6: the six inputs below them
// are spread into six sums and differences, the three weights likewise beforehand, each pair is multiplied, and four
// sums of the six products are the outputs. Products of all kernel rows and input channels are added up before that
// last step, so for each of the six there is a convolution with 1x1 columns, which microkernel.h's loop computes. A row
// is spread once and read by three output rows. Tiles of four lie at multiples of four of the frame, wherever it is
// cut.
#pragma once

#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/microkernel.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Six values to the six sums and differences of F(4,3).
FASTSR_HOT void spread_six(const Floats (&d)[kTilePlanes], Floats (&out)[kTilePlanes]) {
  const Floats two = splat(2.f), four = splat(4.f), five = splat(5.f);
  const Floats even = d[4] - four * d[2], odd = d[3] - four * d[1];
  const Floats even_2 = d[4] - d[2], odd_2 = two * (d[3] - d[1]);
  out[0] = four * d[0] - five * d[2] + d[4];
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = even_2 + odd_2;
  out[4] = even_2 - odd_2;
  out[5] = four * d[1] - five * d[3] + d[5];
}

// Six products to the four outputs of F(4,3).
FASTSR_HOT void gather_four(const Floats (&p)[kTilePlanes], Floats (&out)[kTileOutputs]) {
  const Floats sum = p[1] + p[2], difference = p[1] - p[2], sum_2 = p[3] + p[4], difference_2 = p[3] - p[4];
  out[0] = p[0] + sum + sum_2;
  out[1] = difference + splat(2.f) * difference_2;
  out[2] = sum + splat(4.f) * sum_2;
  out[3] = difference + splat(8.f) * difference_2 + p[5];
}

// One row, spread: target[plane][tile][channel].
inline void spread_row(const SpreadRow& row) {
  for (int64_t tile = 0; tile < row.tiles; ++tile) {
    for (int64_t c = 0; c < row.stored; c += kLanes) {
      const float* source = row.source + tile * kTileOutputs * row.stored + c;
      Floats d[kTilePlanes], spread[kTilePlanes];
      FASTSR_UNROLL
      for (int i = 0; i < kTilePlanes; ++i) d[i] = load_vector<Floats>(source + i * row.stored);
      spread_six(d, spread);
      float* target = row.target + tile * row.stored + c;
      FASTSR_UNROLL
      for (int i = 0; i < kTilePlanes; ++i) store_vector(target + i * row.plane, spread[i]);
    }
  }
}

template <int kTiles, int kVectors>
__attribute__((noinline)) void tile_products(const ConvRow& row, int plane, int64_t tile, int vector, float* out) {
  const PackedConv& conv = *row.conv;
  const int64_t one = conv.kernel_rows * conv.steps * static_cast<int64_t>(sizeof(Floats));  // weights of a vector
  const uint8_t* rows[kMaxKernel];
  for (int k = 0; k < conv.kernel_rows; ++k) rows[k] = row.rows[k] + plane * row.plane;
  Floats sums[kTiles][kVectors];
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[m][v] = splat(0.f);
  }
  accumulate<DotF32, kTiles, kVectors>(rows, conv.kernel_rows, tile * row.input_stride, row.input_stride, conv.steps,
                                       conv.weights.data() + (vector * kTilePlanes + plane * kVectors) * one, sums);
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) store_vector(out + (m * kVectors + v) * kLanes, sums[m][v]);
  }
}

// Four outputs from six products, for one vector of channels; at the end of a row fewer are kept.
template <int kVectors, int kChunk>
FASTSR_HOT void finish_products(const ConvRow& row, const float (&products)[kTilePlanes][kChunk * kVectors * kLanes],
                                int64_t place, int64_t tile, int vector) {
  FASTSR_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Floats p[kTilePlanes];
    FASTSR_UNROLL
    for (int i = 0; i < kTilePlanes; ++i) p[i] = load_vector<Floats>(products[i] + (place * kVectors + v) * kLanes);
    const Floats start = load_vector<Floats>(row.conv->starts.data() + (vector + v) * sizeof(Floats));
    Floats out[kTileOutputs];
    gather_four(p, out);
    FASTSR_UNROLL
    for (int i = 0; i < kTileOutputs; ++i) out[i] += start;
    const Finisher<true> finish(row, vector + v);
    const int64_t x = tile * kTileOutputs;
    if (x + kTileOutputs <= row.count) {
      finish(x, out);
      continue;
    }
    for (int64_t i = x; i < row.count; ++i) {
      Floats one[1] = {out[i - x]};
      finish(i, one);
    }
  }
}

template <int kVectors>
void winograd_group(const ConvRow& row, int vector) {
  constexpr int kWide = kRegisters * 3 / 4 / kVectors, kNarrow = 4;
  constexpr int kChunk = kWide * (kLanes == 16 ? 2 : 4);  // tiles whose products stay in L1
  alignas(64) float products[kTilePlanes][kChunk * kVectors * kLanes];
  const int64_t tiles = (row.count + kTileOutputs - 1) / kTileOutputs;
  for (int64_t first = 0; first < tiles; first += kChunk) {
    const int64_t count = tiles - first < kChunk ? tiles - first : kChunk;
    for (int plane = 0; plane < kTilePlanes; ++plane) {
      const auto at = [&](int64_t t) { return products[plane] + t * kVectors * kLanes; };
      int64_t t = 0;
      if (count >= kWide) {
        for (; t + kWide <= count; t += kWide) tile_products<kWide, kVectors>(row, plane, first + t, vector, at(t));
        t = count - kWide;  // what is made twice is the same
        if (count % kWide) tile_products<kWide, kVectors>(row, plane, first + t, vector, at(t));
        continue;
      }
      for (; t + kNarrow <= count; t += kNarrow) tile_products<kNarrow, kVectors>(row, plane, first + t, vector, at(t));
      for (; t < count; ++t) tile_products<1, kVectors>(row, plane, first + t, vector, at(t));
    }
    for (int64_t t = 0; t < count; ++t) finish_products<kVectors, kChunk>(row, products, t, first + t, vector);
  }
}

inline void winograd_row(const ConvRow& row) {
  for (int vector = 0; vector < row.conv->vectors;) {
    const int take = group(row.conv->vectors - vector);
    switch (take) {
      case 1: winograd_group<1>(row, vector); break;
      case 2: winograd_group<2>(row, vector); break;
#if FASTSR_LANES == 16
      case 3: winograd_group<3>(row, vector); break;
      default: winograd_group<4>(row, vector);
#endif
    }
    vector += take;
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
