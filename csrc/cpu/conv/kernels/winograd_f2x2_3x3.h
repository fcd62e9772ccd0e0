// 3x3 convolutions in bfloat16 with four ninths of the multiplications: Winograd's F(2x2, 3x3), F(2,3) along both axes.
//
// A tile is 4x4 inputs under 2x2 outputs; 16 products a pair of channels take the place of 36. The transforms are in
// float. What the input transform makes, and the transformed weights, are rounded to bfloat16, but for the first plane:
// its inputs are sums of four pixels, the only ones that are larger than pixels, and nearly all of the rounding's error
// would be theirs. That plane is in float, which takes the time of one bfloat16 plane more. (F(4x4, 3x3) has fewer
// products still, but its transforms multiply by up to 25, and the rounding with it.)
//
// Along one axis, inputs d make planes, and the planes' products p outputs y:
//   d[1] + d[2],  d[2] - d[1],  d[0] - d[2],  d[1] - d[3]
//   y[0] = p[0] + p[1] + p[2],  y[1] = p[0] - p[1] + p[3]
// so the first two planes' sums and differences are what the sums of the other two start from, and the output transform
// is done while sums are in registers: columns' planes one after the other, and of each column the four planes of its
// rows. Two rows are made at a time. Tiles lie at every second row and column of the frame.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/conv/kernels/dot_bf16.h"
#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/row_driver.h"
#include "cpu/conv/kernels/tile_batches.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Tiles that are transformed at once.
constexpr int kF2Batch = 24;

FASTSR_HOT void input_transform_f2(const Floats (&d)[kWinogradF2Planes], Floats (&out)[kWinogradF2Planes]) {
  out[0] = d[1] + d[2];
  out[1] = d[2] - d[1];
  out[2] = d[0] - d[2];
  out[3] = d[1] - d[3];
}

// kVectors (1 or 2) vectors of channels of a run's tiles: first_plane[tile][channel], and the other planes
// transformed[plane][tile][channel].
template <int kVectors>
void input_transform_f2_vectors(const WinogradRows& rows, const TileRun& run, int64_t plane, int64_t channel,
                                float* first_plane, uint16_t* transformed) {
  constexpr int kPlanes = kWinogradF2Planes, kOutputs = kWinogradF2Outputs;
  const int64_t padded = rows.padded_channels;
  const int64_t stride = rows.input_stride / static_cast<int64_t>(sizeof(uint16_t));
  Floats along[kVectors][kPlanes][kPlanes];  // [vector][column][plane of the column]
  const auto column = [&](int64_t x, int i) __attribute__((always_inline)) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      Floats d[kPlanes];
      FASTSR_UNROLL
      for (int k = 0; k < kPlanes; ++k) {
        const auto* row = reinterpret_cast<const uint16_t*>(run.band->rows[k]);
        d[k] = from_bf16(load_vector<Halves>(row + x * stride + channel + v * kLanes));
      }
      input_transform_f2(d, along[v][i]);
    }
  };
  first_plane += run.at * padded;
  transformed += run.at * padded;
  column(run.first * kOutputs, 0);
  column(run.first * kOutputs + 1, 1);
  for (int64_t tile = run.first; tile < run.first + run.count; ++tile, transformed += padded, first_plane += padded) {
    column(tile * kOutputs + 2, 2);
    column(tile * kOutputs + 3, 3);
    FASTSR_UNROLL
    for (int k = 0; k < kPlanes; ++k) {
      Floats out[kVectors][kPlanes];
      FASTSR_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const Floats d[kPlanes] = {along[v][0][k], along[v][1][k], along[v][2][k], along[v][3][k]};
        input_transform_f2(d, out[v]);
        // Two of a tile's columns are also the next one's.
        along[v][0][k] = d[kOutputs];
        along[v][1][k] = d[kOutputs + 1];
      }
      FASTSR_UNROLL
      for (int i = 0; i < kPlanes; ++i) {
        uint16_t* target = transformed + (i * kPlanes + k - 1) * plane + channel;
        if (i == 0 && k == 0) {
          for (int v = 0; v < kVectors; ++v) store_vector(first_plane + channel + v * kLanes, out[v][i]);
        } else if constexpr (kVectors == 2) {
          store_bf16(target, out[0][i], out[1][i]);
        } else {
          store_vector(target, to_bf16(out[0][i]));
        }
      }
    }
  }
}

// Outputs of one run: every second pixel of a row, for tiles from..to - 1 of the batch.
struct OutputRun {
  ConvRow row;
  int64_t from, to;
};

// One plane's products: where they come from, and where to. What is [tile][vector] is scratch memory.
struct PlaneProducts {
  const uint8_t* inputs;  // of the first tile
  int64_t stride, k_blocks;
  const uint8_t* weights;
  const float* start;                     // what sums start from: one for all tiles, or [tile][vector]
  float* sums;                            // [tile][vector]
  const float* minuend;                   // [tile][vector], of a butterfly,
  float* differences;                     // [tile][vector]: less the sums; `sums` are then added to it
  const float *add, *add_to_differences;  // [tile][vector]
  const OutputRun* runs;
  int run_count, vector;
};

// What is done with a plane's sums.
enum class Finish { store, butterfly, butterfly_and_add, epilogue };

// The epilogue of a block that reaches over the edge of a run; `sums` are [tile][vector].
template <int kVectors>
__attribute__((noinline)) void finish_parts(const PlaneProducts& plane, int64_t t, int64_t tiles, const float* sums) {
  for (int i = 0; i < plane.run_count; ++i) {
    const OutputRun& run = plane.runs[i];
    const int64_t from = std::max(t, run.from), to = std::min(t + tiles, run.to);
    const auto part = [&](auto count, int64_t at) __attribute__((always_inline)) {
      constexpr int kTiles = decltype(count)::value;
      const float* mine = sums + (from - t + at) * kVectors * kLanes;
      Floats some[kTiles][kVectors];
      FASTSR_UNROLL
      for (int m = 0; m < kTiles; ++m) {
        FASTSR_UNROLL
        for (int v = 0; v < kVectors; ++v) some[m][v] = load_vector<Floats>(mine + (m * kVectors + v) * kLanes);
      }
      apply_epilogue<DotBf16, kTiles, kVectors>(run.row, from + at, plane.vector, some);
    };
    int64_t at = 0;
    for (; at + 4 <= to - from; at += 4) part(Constant<4>{}, at);
    for (; at < to - from; ++at) part(Constant<1>{}, at);
  }
}

// The epilogue of a block of tiles, from tile t on.
template <int kTiles, int kVectors>
FASTSR_HOT void finish_outputs(const PlaneProducts& plane, int64_t t, Floats (&sums)[kTiles][kVectors]) {
  const OutputRun* run = plane.runs;
  const OutputRun* end = run + plane.run_count;
  while (run != end && !(run->from <= t && t + kTiles <= run->to)) ++run;
  if (run != end) return apply_epilogue<DotBf16, kTiles, kVectors>(run->row, t, plane.vector, sums);
  alignas(64) float kept[kTiles * kVectors * kLanes];  // registers cannot be indexed, memory can
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) store_vector(kept + (m * kVectors + v) * kLanes, sums[m][v]);
  }
  finish_parts<kVectors>(plane, t, kTiles, kept);
}

// A block of tiles, from tile t on.
template <typename Dot, Finish kFinish, bool kStartsAlike, int kTiles, int kVectors>
__attribute__((noinline)) void f2x2_products(const PlaneProducts& plane, int64_t t) {
  constexpr int kTile = kVectors * kLanes;
  Floats sums[kTiles][kVectors];
  const float* start = plane.start + (kStartsAlike ? 0 : t * kTile);
  FASTSR_UNROLL
  for (int m = 0; m < kTiles; ++m) {
    FASTSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sums[m][v] = load_vector<Floats>(start + (kStartsAlike ? 0 : m * kTile) + v * kLanes);
    }
  }
  const uint8_t* inputs = plane.inputs + t * plane.stride;
  accumulate<Dot, kTiles, kVectors>(&inputs, 1, 0, plane.stride, plane.k_blocks, plane.weights, sums);
  if constexpr (kFinish == Finish::epilogue) {
    finish_outputs<kTiles, kVectors>(plane, t, sums);
    return;
  }
  const int64_t offset = t * kTile;
  float* to = plane.sums + offset;  // read once, as stores might change it for all that the compiler knows
  if constexpr (kFinish == Finish::store) {
    FASTSR_UNROLL
    for (int m = 0; m < kTiles; ++m) {
      FASTSR_UNROLL
      for (int v = 0; v < kVectors; ++v) store_vector(to + m * kTile + v * kLanes, sums[m][v]);
    }
  } else {
    constexpr bool kAdds = kFinish == Finish::butterfly_and_add;
    const float* minuend = plane.minuend + offset;
    const float *add = kAdds ? plane.add + offset : nullptr,
                *add_to_differences = kAdds ? plane.add_to_differences + offset : nullptr;
    float* differences = plane.differences + offset;
    FASTSR_UNROLL
    for (int m = 0; m < kTiles; ++m) {
      FASTSR_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const int i = m * kTile + v * kLanes;
        const Floats from = load_vector<Floats>(minuend + i);
        Floats sum = from + sums[m][v], difference = from - sums[m][v];
        if constexpr (kAdds) {
          sum += load_vector<Floats>(add + i);
          difference += load_vector<Floats>(add_to_differences + i);
        }
        store_vector(to + i, sum);
        store_vector(differences + i, difference);
      }
    }
  }
}

// The first `count` tiles of a plane.
template <typename Dot, Finish kFinish, bool kStartsAlike, int kVectors>
FASTSR_HOT void f2x2_plane(const PlaneProducts& plane, int64_t count) {
  for_each_block<kVectors>(count, [&](auto tiles, int64_t t) __attribute__((always_inline)) {
    f2x2_products<Dot, kFinish, kStartsAlike, decltype(tiles)::value, kVectors>(plane, t);
  });
}

// The outputs of a batch, by row and column of a tile.
using BatchOutputs = OutputRun[kWinogradF2Outputs][kWinogradF2Outputs][kF2Batch];

// One group of output vectors of a batch of `count` tiles.
template <int kVectors>
void f2x2_group(const WinogradRows& rows, const BatchOutputs& outputs, int run_count, const float* first_plane,
                const uint16_t* transformed, int64_t plane_size, float* scratch, int64_t count, int vector) {
  constexpr int kPlanes = kWinogradF2Planes, kOutputs = kWinogradF2Outputs;
  constexpr int64_t kSize = int64_t{kF2Batch} * kVectors * kLanes;
  alignas(64) static constexpr float kZeros[kMostVectors * kLanes]{};
  const PackedConv& conv = *rows.conv;
  constexpr int64_t kVector = sizeof(Floats);
  float *first_sums = scratch, *sums = scratch + kSize, *differences = sums + kSize;
  float *columns = differences + kSize, *column_sums = columns + kOutputs * kSize,
        *column_differences = column_sums + kOutputs * kSize;  // [row][tile][vector]
  PlaneProducts plane{};
  plane.vector = vector;
  plane.run_count = run_count;
  const auto next = [&](int index, const float* start) __attribute__((always_inline)) {
    plane.inputs = reinterpret_cast<const uint8_t*>(transformed + (index - 1) * plane_size);
    plane.stride = rows.padded_channels * static_cast<int64_t>(sizeof(uint16_t));
    plane.k_blocks = conv.k_blocks;
    plane.weights =
        conv.weights.data() + (vector * (kPlanes * kPlanes - 1) + (index - 1) * kVectors) * conv.k_blocks * kVector;
    plane.start = start;
  };
  for (int i = 0; i < kPlanes; ++i) {
    plane.sums = first_sums;
    if (i == 0) {
      plane.inputs = reinterpret_cast<const uint8_t*>(first_plane);
      plane.stride = rows.padded_channels * static_cast<int64_t>(sizeof(float));
      plane.k_blocks = rows.padded_channels;
      plane.weights = conv.first_plane.data() + vector * rows.padded_channels * kVector;
      plane.start = reinterpret_cast<const float*>(conv.init.data()) + vector * kLanes;  // all four outputs have it
      f2x2_plane<DotF32, Finish::store, true, kVectors>(plane, count);
    } else {
      next(i * kPlanes, kZeros);
      f2x2_plane<DotBf16, Finish::store, true, kVectors>(plane, count);
    }
    next(i * kPlanes + 1, kZeros);
    plane.minuend = first_sums;
    plane.sums = sums;
    plane.differences = differences;
    if (i < 2) {
      f2x2_plane<DotBf16, Finish::butterfly, true, kVectors>(plane, count);
    } else {
      plane.add = i == 2 ? column_sums : column_differences;
      plane.add_to_differences = plane.add + kSize;
      f2x2_plane<DotBf16, Finish::butterfly_and_add, true, kVectors>(plane, count);
    }
    for (int r = 0; r < kOutputs; ++r) {
      next(i * kPlanes + 2 + r, r == 0 ? sums : differences);
      if (i == 0) {
        plane.sums = columns + r * kSize;
        f2x2_plane<DotBf16, Finish::store, false, kVectors>(plane, count);
      } else if (i == 1) {
        plane.minuend = columns + r * kSize;
        plane.sums = column_sums + r * kSize;
        plane.differences = column_differences + r * kSize;
        f2x2_plane<DotBf16, Finish::butterfly, false, kVectors>(plane, count);
      } else {
        plane.runs = outputs[r][i - 2];
        f2x2_plane<DotBf16, Finish::epilogue, false, kVectors>(plane, count);
      }
    }
  }
}

// The same of the pixel `x` pixels further on.
inline OutputPointers moved(const OutputPointers& from, const OutputStrides& strides, int64_t x) {
  const auto by = [x](auto* p, int64_t stride) {
    using Pointer = decltype(p);
    return p == nullptr ? p : reinterpret_cast<Pointer>(reinterpret_cast<uintptr_t>(p) + x * stride);
  };
  return {by(from.floats, strides.floats), by(from.packed, strides.packed), by(from.add, strides.add)};
}

// Row r, column c of a run's tiles. Its pointers, for `pointers`, are the batch's first tile's, were it the run's too.
inline OutputRun output_run(const WinogradRows& rows, const TileRun& run, int r, int c, OutputPointers* pointers) {
  constexpr int kOutputs = kWinogradF2Outputs;
  OutputRun made{output_row(rows), 0, 0};
  made.row.strides = {kOutputs * rows.strides.floats, kOutputs * rows.strides.packed, kOutputs * rows.strides.add};
  made.row.outputs = pointers;
  if (r < run.band->from || r >= run.band->to) return made;
  const int64_t vectors = rows.conv->vectors, x = (run.first - run.at) * kOutputs + c - rows.before;
  for (int64_t v = 0; v < vectors; ++v) {
    pointers[v] = moved(run.band->outputs[(r - run.band->from) * vectors + v], rows.strides, x);
  }
  // Columns before..before + count - 1 of the tiles' are made.
  const int64_t outside = rows.before - c - run.first * kOutputs;
  made.from = run.at + std::max<int64_t>(0, (outside + 1) / kOutputs);
  made.to = run.at + std::min<int64_t>(run.count, (outside + rows.count + 1) / kOutputs);
  return made;
}

inline void winograd_f2x2_3x3(const WinogradRows& rows) {
  constexpr int kPlanes = kWinogradF2Planes, kOutputs = kWinogradF2Outputs;
  const int64_t padded = rows.padded_channels, vectors = rows.conv->vectors;
  // The odd line: planes that do not share the cache's lines.
  const int64_t plane = kF2Batch * padded + 2 * kLanes, first_size = kF2Batch * padded + kLanes;
  const int64_t transformed_size = (kPlanes * kPlanes - 1) * plane / 2;
  static thread_local Scratch scratch;
  float* first_plane =
      scratch.floats(first_size + transformed_size + (3 + 3 * kOutputs) * kF2Batch * kMostVectors * kLanes);
  auto* transformed = reinterpret_cast<uint16_t*>(first_plane + first_size);
  float* memory = first_plane + first_size + transformed_size;
  static thread_local std::vector<OutputPointers> pointers;
  BatchOutputs outputs;
  const auto batch = [&](const TileRun* runs, int run_count, int64_t count) {
    pointers.resize(static_cast<size_t>(run_count * kOutputs * kOutputs * vectors));
    for (int i = 0; i < run_count; ++i) {
      int64_t channel = 0;
      for (; channel + 2 * kLanes <= padded; channel += 2 * kLanes) {
        input_transform_f2_vectors<2>(rows, runs[i], plane, channel, first_plane, transformed);
      }
      if (channel < padded) input_transform_f2_vectors<1>(rows, runs[i], plane, channel, first_plane, transformed);
      for (int k = 0; k < kOutputs * kOutputs; ++k) {
        const int r = k / kOutputs, c = k % kOutputs;
        outputs[r][c][i] = output_run(rows, runs[i], r, c, pointers.data() + (i * kOutputs * kOutputs + k) * vectors);
      }
    }
    for_each_group(rows.conv->vectors, [&](auto group, int vector) __attribute__((always_inline)) {
      f2x2_group<decltype(group)::value>(rows, outputs, run_count, first_plane, transformed, plane, memory, count,
                                         vector);
    });
  };
  for_each_batch<kF2Batch>(rows, (rows.before + rows.count + kOutputs - 1) / kOutputs, batch);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
