// Winograd's F(4x4, 3x3) in floats.
#pragma once

#include "cpu/conv/kernels/winograd_f4x4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

struct FloatTiles {
  using Dot = DotF32;
  using Item = float;
  static constexpr int64_t tile_floats = 0;
  // Two of a tile's columns are also the next one's; they are kept, already transformed along the column.
  static int64_t floats(int64_t padded) { return 2 * kWinogradPlanes * padded; }

  static void input_transform(const WinogradRows& rows, const TileRun& run, int64_t plane, float* columns, float*,
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
          FASTSR_ISA_NAME::input_transform(d, along[i]);
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
          FASTSR_ISA_NAME::input_transform(d, out);
          FASTSR_UNROLL
          for (int i = 0; i < kWinogradPlanes; ++i) store_vector(target + (i * kWinogradPlanes + k) * plane, out[i]);
        }
      }
    }
  }

  struct Sums {
    Sums(const PackedConv&, int, int) {}
    __attribute__((always_inline)) Floats operator()(const float* sums, int) const { return load_vector<Floats>(sums); }
  };

  FASTSR_HOT void output_transform(const Floats (&p)[kWinogradPlanes], Floats (&out)[kWinogradOutputs]) {
    FASTSR_ISA_NAME::output_transform(p, out);
  }
  FASTSR_HOT void outputs(Floats (&out)[kWinogradOutputs], Floats init, const float*) {
    FASTSR_UNROLL
    for (int i = 0; i < kWinogradOutputs; ++i) out[i] += init;
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
