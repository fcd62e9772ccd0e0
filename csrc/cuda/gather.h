// The body of the gather kernel, for the GPU and for its emulation on the host.
#pragma once

#include <cstdint>

#include "common/kernel_args.h"
#include "cuda/vector_access.h"

namespace fastsr::cuda {

constexpr int kThreads = 128;
constexpr int kWindows = 64;  // tiles per launch: their windows travel among a kernel's parameters, at most 4 KiB

// A thread's place in the grid, and its block's shared memory.
struct Thread {
  int block_x, block_y, block_z, index;
  unsigned char* shared;
};

struct GatherLaunch {
  const void* frame;
  void* batch;
  int64_t height, width;  // of the frame
  int channels, tile_height, tile_width;
  bool channels_last;
  int lanes_log2;      // threads along a row; the others of a block take further rows
  int columns;         // that a block makes of a row
  int shared_row;      // bytes of shared memory per row
  int first_row = 0;   // of this launch's blocks, in groups of rows
  int first_tile = 0;  // of this launch in the batch
  Window windows[kWindows];
};

// Interleaved pixels to planes (or to interleaved floats). A block makes a few rows of a tile, `columns` wide:
//   load   the pixels of a row lie side by side, at any byte: threads copy the aligned 16-byte pieces that hold them to
//          shared memory, so that every sector of the frame is read once.
//   store  each thread picks the elements of 8 or 4 neighbouring columns out of shared memory, divides, and stores them
//          to each plane as one aligned 16-byte piece; only the ends of a run are stored one by one.
// Columns that are mirrored are read from the frame directly: they are few, and in the cache.
// C is 1 or 3; 0 stands for any number, which is read directly as well.
template <typename T, typename O, int C>
struct Gather {
  using Args = GatherLaunch;
  static constexpr bool has_windows = true;

  struct Row {
    const T* source;  // the frame's row
    int tile, y;      // in the launch
    int left, right;  // columns of the tile that this block makes
    int begin, end;   // those of them that lie inside the frame
    int64_t shift;    // from a column of the tile to one of the frame
    unsigned char* shared;
  };

  static FASTSR_INLINE int64_t clamped(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : (v > high ? high : v);
  }

  static FASTSR_INLINE bool find(const Args& a, const Thread& t, Row& row) {
    const int in_block = t.index >> a.lanes_log2;
    row.y = ((a.first_row + t.block_y) << (log2_threads - a.lanes_log2)) + in_block;
    row.left = t.block_x * a.columns;
    if (row.y >= a.tile_height || row.left >= a.tile_width) return false;
    row.right = row.left + a.columns < a.tile_width ? row.left + a.columns : a.tile_width;
    row.tile = t.block_z;
    const Window& window = a.windows[row.tile];
    row.shift = window.left;
    row.source = static_cast<const T*>(a.frame) + reflect(window.top + row.y, a.height) * a.width * channels(a);
    row.begin = static_cast<int>(clamped(-row.shift, row.left, row.right));
    row.end = static_cast<int>(clamped(a.width - row.shift, row.begin, row.right));
    row.shared = t.shared + in_block * a.shared_row;
    return true;
  }

  static FASTSR_INLINE void load(const Args& a, const Thread& t) {
    Row row;
    if (C == 0 || !find(a, t, row) || row.begin == row.end) return;
    const auto* frame = static_cast<const unsigned char*>(a.frame);
    const Extent whole{frame, frame + a.height * a.width * channels(a) * static_cast<int64_t>(sizeof(T))};
    stage<T>(first_inside(a, row), (row.end - row.begin) * channels(a) * static_cast<int>(sizeof(T)), whole, row.shared,
             t.index & ((1 << a.lanes_log2) - 1), 1 << a.lanes_log2);
  }

  static FASTSR_INLINE void store(const Args& a, const Thread& t) {
    Row row;
    if (!find(a, t, row)) return;
    const int lane = t.index & ((1 << a.lanes_log2) - 1), lanes = 1 << a.lanes_log2, columns = row.right - row.left;
    const int64_t plane = static_cast<int64_t>(a.tile_height) * a.tile_width;
    O* tile = static_cast<O*>(a.batch) + (a.first_tile + row.tile) * plane * channels(a);
    const int64_t pixel = static_cast<int64_t>(row.y) * a.tile_width + row.left;
    if (a.channels_last) {
      const Pieces<O, 16> pieces(tile + pixel * channels(a), columns * channels(a));
      const int begin = (row.begin - row.left) * channels(a), end = (row.end - row.left) * channels(a);
      for (int i = lane; pieces.has(i); i += lanes) store_piece(a, row, pieces, i, begin, end, 0, 1);
    } else {
      for (int c = 0; c < channels(a); ++c) {
        const Pieces<O, 16> pieces(tile + c * plane + pixel, columns);
        const int begin = row.begin - row.left, end = row.end - row.left;
        for (int i = lane; pieces.has(i); i += lanes) store_piece(a, row, pieces, i, begin, end, c, channels(a));
      }
    }
  }

 private:
  static constexpr int log2_threads = 7;
  static_assert(1 << log2_threads == kThreads);

  static FASTSR_INLINE int channels(const Args& a) { return C ? C : a.channels; }

  static FASTSR_INLINE const unsigned char* first_inside(const Args& a, const Row& row) {
    return reinterpret_cast<const unsigned char*>(row.source + (row.shift + row.begin) * channels(a));
  }

  // Elements begin..end-1 of the run lie inside the frame: its channel c, or all of them with a `step` of 1.
  static FASTSR_INLINE void store_piece(const Args& a, const Row& row, const Pieces<O, 16>& pieces, int piece,
                                        int begin, int end, int c, int step) {
    const int start = pieces.start(piece);
    if (pieces.whole(piece) && start >= begin && start + pieces.width <= end) {
      const auto* inside = C == 0 ? reinterpret_cast<const T*>(first_inside(a, row))
                                  : reinterpret_cast<const T*>(row.shared + misalignment(first_inside(a, row), 16));
      const T* from = inside + static_cast<int64_t>(start - begin) * step + c;
      const auto next = [&] {
        const O value = fastsr::store<O>(to_network(*from));
        from += step;
        return value;
      };
      pieces.store_at_once(piece, next);
      return;
    }
    const bool all = a.channels_last;
    int x = row.left + (all ? start / channels(a) : start), channel = all ? start % channels(a) : c;
    const auto next = [&] {
      const O value = fastsr::store<O>(to_network(row.source[reflect(row.shift + x, a.width) * channels(a) + channel]));
      if (!all || ++channel == channels(a)) {
        channel = all ? 0 : c;
        ++x;
      }
      return value;
    };
    pieces.store_each(piece, next);
  }
};

}  // namespace fastsr::cuda
