// Winograd's F(4,3) (Lavin and Gray 2016): its input and output transforms, and the products between them.
//
// Four neighbouring outputs of one kernel row of three columns take 12 products, or 6: the input transform makes six
// sums and differences of the six inputs under them (a tile), the filter transform (program/weight_packing.cpp) six of
// the three weights, each pair is multiplied, and the output transform makes four sums of the six products. Products of
// all input channels are added up before that last step, so for each of the six planes there is a convolution of one
// tap, which the microkernel's loop computes. Tiles lie at multiples of four of the frame, wherever it is cut.
#pragma once

#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/row_driver.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Tiles that are transformed at once: a multiple of every width of a block.
constexpr int kTileBatch = kLanes == 16 ? 24 : 12;

inline int64_t winograd_tiles(int64_t outputs) { return (outputs + kWinogradOutputs - 1) / kWinogradOutputs; }

// Six inputs to six sums and differences.
FASTSR_HOT void input_transform(const Floats (&d)[kWinogradPlanes], Floats (&out)[kWinogradPlanes]) {
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

// Six products to four outputs.
FASTSR_HOT void output_transform(const Floats (&p)[kWinogradPlanes], Floats (&out)[kWinogradOutputs]) {
  const Floats sum = p[1] + p[2], difference = p[1] - p[2], sum_2 = p[3] + p[4], difference_2 = p[3] - p[4];
  out[0] = p[0] + sum + sum_2;
  out[1] = difference + splat(2.f) * difference_2;
  out[2] = sum + splat(4.f) * sum_2;
  out[3] = difference + splat(8.f) * difference_2 + p[5];
}

// The products of one plane for a block of tiles, each of so many K blocks; `out` is [tile][vector] of sums.
template <typename Dot, int kTiles, int kVectors>
__attribute__((noinline)) void plane_products(const uint8_t* transformed, int64_t k_blocks, const uint8_t* weights,
                                              float* out) {
  typename Dot::Sum sums[kTiles][kVectors];
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) sums[m][v] = typename Dot::Sum{};
  }
  accumulate<Dot, kTiles, kVectors>(&transformed, 1, 0, 4 * k_blocks, k_blocks, weights, sums);
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) store_vector(out + (m * kVectors + v) * kLanes, sums[m][v]);
  }
}

// The products of one plane, for `count` tiles.
template <typename Dot, int kVectors>
FASTSR_HOT void plane_row(const void* transformed, int64_t k_blocks, const uint8_t* weights, float* out,
                          int64_t count) {
  for_each_block<kVectors>(count, [&](auto tiles, int64_t t) __attribute__((always_inline)) {
    plane_products<Dot, decltype(tiles)::value, kVectors>(static_cast<const uint8_t*>(transformed) + 4 * t * k_blocks,
                                                          k_blocks, weights, out + t * kVectors * kLanes);
  });
}

// Four outputs from six products, for one vector of channels; at the end of a row fewer are kept.
template <int kVectors, int kChunk>
FASTSR_HOT void output_tile(const ConvRow& row, const float (&products)[kWinogradPlanes][kChunk * kVectors * kLanes],
                            int64_t place, int64_t tile, int vector) {
  FASTSR_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Floats p[kWinogradPlanes];
    FASTSR_UNROLL
    for (int i = 0; i < kWinogradPlanes; ++i) p[i] = load_vector<Floats>(products[i] + (place * kVectors + v) * kLanes);
    const Floats init = load_vector<Floats>(row.conv->init.data() + (vector + v) * sizeof(Floats));
    Floats out[kWinogradOutputs];
    output_transform(p, out);
    FASTSR_UNROLL
    for (int i = 0; i < kWinogradOutputs; ++i) out[i] += init;
    const Epilogue<true> epilogue(row, vector + v);
    const int64_t x = tile * kWinogradOutputs;
    if (x + kWinogradOutputs <= row.count) {
      epilogue(x, out);
      continue;
    }
    for (int64_t i = x; i < row.count; ++i) {
      Floats one[1] = {out[i - x]};
      epilogue(i, one);
    }
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
