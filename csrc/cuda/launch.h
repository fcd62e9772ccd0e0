// Which kernel runs, over which blocks: one place for the GPU and for the emulation, which hand in a Runner:
//   run.max_rows, run.max_tiles      blocks of a grid in y and z
//   run.start<Kernel>(args, grid)    every block of a launch
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "cuda/depth_to_space.h"
#include "cuda/gather.h"

namespace fastsr::cuda {

struct Grid {
  int x, y, z, threads, shared;  // blocks, threads per block, bytes of shared memory per block
};

constexpr int kSharedBytes = 8 << 10;    // that a block aims at: 16 blocks and more fit a multiprocessor
constexpr int kSharedLimit = 40 << 10;   // that a block may have where one column needs it
constexpr int64_t kMaxSide = 1LL << 30;  // of an array: indices inside a tile are 32 bits wide

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline int narrow(int64_t side) {
  if (side > kMaxSide) throw std::invalid_argument("an array has too long a side for one CUDA kernel");
  return static_cast<int>(side);
}

// Launches over `rows` blocks in y and `tiles` in z, in as many parts as the grid's limits ask for.
template <class Kernel, class Runner>
void start_all(typename Kernel::Args& args, Grid grid, int64_t rows, int64_t tiles, const Window* windows,
               Runner& run) {
  const int64_t most = Kernel::has_windows ? std::min<int64_t>(run.max_tiles, kWindows) : run.max_tiles;
  for (int64_t tile = 0; tile < tiles; tile += most) {
    grid.z = static_cast<int>(std::min(most, tiles - tile));
    args.first_tile = static_cast<int>(tile);
    if constexpr (Kernel::has_windows) std::copy_n(windows + tile, grid.z, args.windows);
    for (int64_t row = 0; row < rows; row += run.max_rows) {
      grid.y = static_cast<int>(std::min<int64_t>(run.max_rows, rows - row));
      args.first_row = static_cast<int>(row);
      run.template start<Kernel>(args, grid);
    }
  }
}

// ---- gather ---------------------------------------------------------------------------------------------------------

template <typename T, typename O, int C, class Runner>
void gather(const GatherArgs& a, Runner& run) {
  constexpr int per_thread = 16 / static_cast<int>(sizeof(O));
  GatherLaunch args{};
  args.frame = a.frame;
  args.batch = a.batch;
  args.height = a.shape.height;
  args.width = a.shape.width;
  args.channels = narrow(a.shape.channels);
  args.tile_height = narrow(a.tile_height);
  args.tile_width = narrow(a.tile_width);
  args.channels_last = a.channels_last;
  // As few threads along a row as make it in one go: a small tile's blocks take several rows.
  args.lanes_log2 = 3;
  while ((1 << args.lanes_log2) < kThreads && (per_thread << args.lanes_log2) < args.tile_width) ++args.lanes_log2;
  args.columns = per_thread << args.lanes_log2;
  const int rows_per_block = kThreads >> args.lanes_log2;
  const int row_bytes = args.columns * C * static_cast<int>(sizeof(T));
  args.shared_row = C == 0 ? 0 : (row_bytes + 31 + 15) / 16 * 16;
  narrow(static_cast<int64_t>(args.columns) * args.channels);
  const Grid grid{static_cast<int>(ceil_div(args.tile_width, args.columns)), 0, 0, kThreads,
                  rows_per_block * args.shared_row};
  start_all<Gather<T, O, C>>(args, grid, ceil_div(args.tile_height, rows_per_block), a.tiles, a.windows, run);
}

template <typename T, typename O, class Runner>
void gather_channels(const GatherArgs& a, Runner& run) {
  switch (a.shape.channels) {
    case 1: return gather<T, O, 1>(a, run);
    case 3: return gather<T, O, 3>(a, run);
    default: return gather<T, O, 0>(a, run);
  }
}

template <class Runner>
void gather_any(const GatherArgs& a, Runner& run) {
  const bool half = a.batch_type == Type::f16;
  switch (a.frame_type) {
    case Type::u8: return half ? gather_channels<uint8_t, Half>(a, run) : gather_channels<uint8_t, float>(a, run);
    case Type::u16: return half ? gather_channels<uint16_t, Half>(a, run) : gather_channels<uint16_t, float>(a, run);
    default: return half ? gather_channels<float, Half>(a, run) : gather_channels<float, float>(a, run);
  }
}

// ---- depth to space -------------------------------------------------------------------------------------------------

// Chooses how the input is staged and how much of a row a block takes; `widest` is the longest row.
inline Grid plan_depth_to_space(DepthToSpaceLaunch& args, int64_t tiles, int item, int64_t widest) {
  const int64_t deep = static_cast<int64_t>(args.channels) * args.factor * args.factor;
  const int64_t planes = static_cast<int64_t>(args.channels) * args.factor;
  const int64_t plane_bytes = static_cast<int64_t>(args.height) * args.width * item;
  narrow(deep);
  args.input_bytes = tiles * deep * plane_bytes;
  const auto address = reinterpret_cast<uintptr_t>(args.input);
  // Pieces of 16 bytes need the same misalignment in every plane, or pixels of whole words.
  args.vectorized = args.channels_last ? address % 4 == 0 && deep * item % 4 == 0 : plane_bytes % 16 == 0;
  const int64_t unit = std::max(4, item);
  const int64_t pixel = (ceil_div(deep * item, unit) | 1) * unit;
  const auto plane = [&](int64_t columns) { return (ceil_div(columns * item + 30, 16) | 1) * 16; };
  const auto bytes = [&](int64_t columns) { return args.channels_last ? columns * pixel : planes * plane(columns); };
  int64_t columns = 1024;
  while (columns > 1 && (columns / 2 >= widest || bytes(columns) > kSharedBytes)) columns /= 2;
  args.staged = bytes(columns) <= kSharedLimit;
  if (!args.staged) columns = 16;
  args.columns = static_cast<int>(std::min(columns, std::max<int64_t>(widest, 1)));
  args.pieces = static_cast<int>(args.vectorized ? (args.columns * item + 30) / 16 : args.columns);
  args.pitch = args.staged ? static_cast<int>(args.channels_last ? pixel : plane(args.columns)) : 0;
  args.threads = kThreads;
  narrow(args.columns * planes);
  return Grid{static_cast<int>(ceil_div(widest, args.columns)), 0, 0, args.threads,
              args.staged ? static_cast<int>(bytes(args.columns)) : 0};
}

template <typename I, typename T, int C, int S, Residual residual, class Runner>
void scatter(const ScatterArgs& a, Runner& run) {
  ScatterLaunch args{};
  args.input = a.batch;
  args.output = a.frame;
  args.height = narrow(a.tile_height);
  args.width = narrow(a.tile_width);
  args.channels = static_cast<int>(a.shape.channels);
  args.factor = static_cast<int>(a.factor);
  args.channels_last = a.channels_last;
  args.output_row = a.shape.width * a.shape.channels;
  args.output_tile = 0;
  args.frame_height = a.shape.height / a.factor;
  args.frame_width = a.shape.width / a.factor;
  args.low = a.low;
  int64_t widest = 0, highest = 0;
  for (int64_t i = 0; i < a.tiles; ++i) {
    widest = std::max(widest, a.windows[i].core_right - a.windows[i].core_left);
    highest = std::max(highest, a.windows[i].core_bottom - a.windows[i].core_top);
  }
  if (widest == 0) return;
  const Grid grid = plan_depth_to_space(args, a.tiles, static_cast<int>(sizeof(I)), widest);
  start_all<DepthToSpace<Scatter<I, T, C, S, residual>>>(args, grid, highest * (a.channels_last ? 1 : a.factor),
                                                         a.tiles, a.windows, run);
}

template <typename I, typename T, class Runner>
void scatter_shape(const ScatterArgs& a, Runner& run) {
  // Channels and factor are fixed for what video is made of; compiling that for every type would take minutes.
  const int64_t factor = a.shape.channels == 3 && sizeof(T) == 1 ? a.factor : 0;
  if constexpr (sizeof(T) == 1) {
    const bool nearest = a.residual == Residual::nearest;
    if (a.residual == Residual::none && factor == 1) return scatter<I, T, 3, 1, Residual::none>(a, run);
    if (a.residual == Residual::none && factor == 2) return scatter<I, T, 3, 2, Residual::none>(a, run);
    if (a.residual == Residual::none && factor == 4) return scatter<I, T, 3, 4, Residual::none>(a, run);
    if (nearest && factor == 2) return scatter<I, T, 3, 2, Residual::nearest>(a, run);
    if (nearest && factor == 4) return scatter<I, T, 3, 4, Residual::nearest>(a, run);
  }
  switch (a.residual) {
    case Residual::none: return scatter<I, T, 0, 0, Residual::none>(a, run);
    case Residual::nearest: return scatter<I, T, 0, 0, Residual::nearest>(a, run);
    default: return scatter<I, T, 0, 0, Residual::bilinear>(a, run);
  }
}

template <class Runner>
void scatter_any(const ScatterArgs& a, Runner& run) {
  const bool half = a.batch_type == Type::f16;
  switch (a.frame_type) {
    case Type::u8: return half ? scatter_shape<Half, uint8_t>(a, run) : scatter_shape<float, uint8_t>(a, run);
    case Type::u16: return half ? scatter_shape<Half, uint16_t>(a, run) : scatter_shape<float, uint16_t>(a, run);
    default: return half ? scatter_shape<Half, float>(a, run) : scatter_shape<float, float>(a, run);
  }
}

template <typename T, int C, int S, bool fused, class Runner>
void shuffle(const ShuffleArgs& a, Runner& run) {
  ShuffleLaunch args{};
  args.input = a.input;
  args.output = a.output;
  args.height = narrow(a.height);
  args.width = narrow(a.width);
  args.channels = a.channels_last ? narrow(a.channels) : 1;
  args.factor = static_cast<int>(a.factor);
  args.channels_last = a.channels_last;
  args.output_row = a.width * a.factor * args.channels;
  args.output_tile = a.height * a.factor * args.output_row;
  args.bias = a.bias;
  args.slope = a.slope;
  args.biases = narrow(a.channels);
  const int64_t tiles = a.batch * (a.channels_last ? 1 : a.channels);
  if (tiles * a.height * a.width * args.channels == 0) return;
  const Grid grid = plan_depth_to_space(args, narrow(tiles), static_cast<int>(sizeof(T)), a.width);
  start_all<DepthToSpace<Shuffle<T, C, S, fused>>>(args, grid, a.height * (a.channels_last ? 1 : a.factor), tiles,
                                                   nullptr, run);
}

template <typename T, bool fused, class Runner>
void shuffle_factor(const ShuffleArgs& a, Runner& run) {
  if constexpr (sizeof(T) <= 4 && !(fused && sizeof(T) == 4)) {
    if (!a.channels_last && a.factor == 2) return shuffle<T, 1, 2, fused>(a, run);
    if (!a.channels_last && a.factor == 4) return shuffle<T, 1, 4, fused>(a, run);
  }
  return shuffle<T, 0, 0, fused>(a, run);
}

template <class Runner>
void shuffle_any(const ShuffleArgs& a, Runner& run) {
  if (a.bias != nullptr || a.slope != nullptr) {
    switch (a.type) {
      case Type::f16: return shuffle_factor<Half, true>(a, run);
      case Type::bf16: return shuffle_factor<BFloat, true>(a, run);
      default: return shuffle_factor<float, true>(a, run);
    }
  }
  switch (a.item) {
    case 1: return shuffle_factor<uint8_t, false>(a, run);
    case 2: return shuffle_factor<uint16_t, false>(a, run);
    case 4: return shuffle_factor<uint32_t, false>(a, run);
    default: return shuffle_factor<uint64_t, false>(a, run);
  }
}

}  // namespace fastsr::cuda
