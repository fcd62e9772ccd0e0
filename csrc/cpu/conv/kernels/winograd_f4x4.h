// 3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3), F(4,3) along both axes.
//
// A tile is 6x6 inputs under 4x4 outputs. Its input transform makes 36 sums and differences, 36 products a pair of
// channels take the place of 144, and the output transform makes 16 outputs of them: four rows are made at a time. A
// batch of tiles, of several rows of tiles where there are, is transformed into scratch memory that stays in L2,
// multiplied plane by plane, and transformed back for one group of output vectors after the other. Tiles lie at every
// fourth row and column of the frame.
//
// Here is what both forms share, in floats (winograd_f4x4_f32.h) and in integers (winograd_f4x4_s16.h). A Form has
//   Dot, Item               its dot product, and what a transformed tile has for each channel;
//   tile_floats, floats     what it notes of each tile, and other scratch memory that it needs;
//   input_transform         of a run, to transformed[plane][tile][channel], and those notes;
//   Sums                    of six planes: makes floats of them;
//   output_transform, outputs   what follows, and of that and a tile's notes the outputs.
#pragma once

#include "cpu/conv/kernels/tile_batches.h"
#include "cpu/conv/kernels/winograd_f4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// A run's four rows of one output vector, from the planes of its columns: [column's plane][row][tile][vector].
template <typename Form, bool kPacks, int kVectors>
void store_run(const WinogradRows& rows, const TileRun& run, const float* notes, const float* along, int vector,
               int v) {
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
      Form::output_transform(p, out);
      Form::outputs(out, init, notes + (run.at + t) * Form::tile_floats);
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
template <typename Form, bool kPacks, int kVectors>
void f4x4_group(const WinogradRows& rows, const TileRun* runs, int run_count, const float* notes,
                const typename Form::Item* transformed, int64_t plane, float* scratch, int64_t count, int vector) {
  constexpr int kSize = kVectors * kLanes, kPlane = kTileBatch * kSize;
  const int64_t k_blocks = rows.conv->k_blocks, one = k_blocks * static_cast<int64_t>(sizeof(Floats));
  const uint8_t* weights = rows.conv->weights.data() + vector * kWinogradPlanes2d * one;
  float* products = scratch;  // [plane of a column][tile][vector]
  // [column's plane][row][tile][vector]: each part is written at once.
  float* along = scratch + kWinogradPlanes * kPlane;
  for (int i = 0; i < kWinogradPlanes; ++i) {
    for (int k = 0; k < kWinogradPlanes; ++k, weights += kVectors * one, transformed += plane) {
      plane_row<typename Form::Dot, kVectors>(transformed, k_blocks, weights, products + k * kPlane, count);
    }
    for (int v = 0; v < kVectors; ++v) {
      const typename Form::Sums sums(*rows.conv, i, vector + v);
      for (int64_t t = 0; t < count; ++t) {
        const int64_t at = (t * kVectors + v) * kLanes;
        Floats p[kWinogradPlanes], out[kWinogradOutputs];
        FASTSR_UNROLL
        for (int k = 0; k < kWinogradPlanes; ++k) p[k] = sums(products + k * kPlane + at, k);
        Form::output_transform(p, out);
        FASTSR_UNROLL
        for (int r = 0; r < kWinogradOutputs; ++r) {
          store_vector(along + (i * kWinogradOutputs + r) * kPlane + at, out[r]);
        }
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int i = 0; i < run_count; ++i) {
      store_run<Form, kPacks, kVectors>(rows, runs[i], notes, along, vector, v);
    }
  }
}

template <typename Form, bool kPacks>
void f4x4_rows(const WinogradRows& rows) {
  using Item = typename Form::Item;
  // The odd line: planes that do not share the cache's lines.
  const int64_t padded = rows.padded_channels, line = 64 / static_cast<int64_t>(sizeof(Item));
  const int64_t plane = kTileBatch * padded + line;
  const int64_t transformed_size = kWinogradPlanes2d * plane * static_cast<int64_t>(sizeof(Item)) / 4,
                notes_size = kTileBatch * Form::tile_floats;
  static thread_local Scratch scratch;
  float* memory =
      scratch.floats(transformed_size + notes_size + Form::floats(padded) +
                     (kWinogradPlanes + kWinogradOutputs * kWinogradPlanes) * kTileBatch * kMostVectors * kLanes);
  auto* transformed = reinterpret_cast<Item*>(memory);
  float* notes = memory + transformed_size;
  float* more = notes + notes_size;
  float* products = more + Form::floats(padded);
  const auto batch = [&](const TileRun* runs, int run_count, int64_t count) {
    for (int i = 0; i < run_count; ++i) Form::input_transform(rows, runs[i], plane, more, notes, transformed);
    for_each_group(rows.conv->vectors, [&](auto vectors, int vector) __attribute__((always_inline)) {
      f4x4_group<Form, kPacks, decltype(vectors)::value>(rows, runs, run_count, notes, transformed, plane, products,
                                                         count, vector);
    });
  };
  for_each_batch<kTileBatch>(rows, winograd_tiles(rows.before + rows.count), batch);
}

template <typename Form>
void winograd_f4x4(const WinogradRows& rows) {
  return rows.format == StorageFormat::f32 ? f4x4_rows<Form, false>(rows) : f4x4_rows<Form, true>(rows);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
