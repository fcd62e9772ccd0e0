// Depth to space (pixel shuffle), the body of the scatter and pixel-shuffle kernels, for the GPU and for its emulation
// on the host: both move the channels of a pixel to factor x factor pixels, and differ in what they do to an element on
// the way.
#pragma once

#include <cstdint>

#include "cuda/gather.h"
#include "cuda/vector_access.h"

namespace fastsr::cuda {

struct DepthToSpaceLaunch {
  const void* input;
  int64_t input_bytes;
  void* output;
  int height, width;     // of the input, whose tiles are deep planes (or pixels of deep channels)
  int channels, factor;  // of a pixel of the output; deep is channels * factor^2
  bool channels_last;
  bool staged;          // through shared memory
  bool vectorized;      // staged in 16-byte pieces
  int pitch;            // bytes between two planes (two pixels) in shared memory
  int columns;          // of the input that a block takes
  int pieces;           // of a staged plane: of 16 bytes, or elements
  int threads;          // of a block
  int64_t output_row;   // elements from a row of the output to the next
  int64_t output_tile;  // elements from a tile of the output to the next
  int first_row = 0;    // of this launch's blocks
  int first_tile = 0;   // of this launch in the input
};

// A part of a tile, in pixels of the input.
struct Part {
  int top, left, height, width;  // in the tile
  int64_t out_top, out_left;     // its place on the output
};

// A block takes one row of a tile, `columns` wide, and makes `factor` rows of the output of it; where the input is
// planar only one of them, since each reads planes of its own.
//   load   threads copy the row's planes to shared memory in aligned 16-byte pieces. Rows of pixels (channels last) go
//          there word by word, an odd number of words per pixel, so that threads which read the same channel of
//          neighbouring pixels use different banks.
//   store  each thread picks the elements of one aligned piece of an output row out of shared memory, converts and
//          stores them at once; only the ends of a row are stored one by one. The position of the first element is
//          found by division, that of the others by counting.
// Runs whose alignment forbids 16-byte pieces are copied to shared memory element by element; where a block's planes do
// not fit there, elements are read from the input directly. A Job says which part of a tile is kept and what becomes of
// an element, and fixes channels and factor at compile time where that pays.
template <class Job>
struct DepthToSpace {
  using Args = typename Job::Args;
  using In = typename Job::In;
  using Out = typename Job::Out;
  static constexpr bool has_windows = Job::has_windows;
  static constexpr int item = static_cast<int>(sizeof(In));

  struct Row {
    int tile, y, dy, dy_end;  // the row of the part, the output rows it becomes
    int x, columns;           // of the part
    Part part;
    const unsigned char* first;  // the first element of the row in the tile's first plane (channel)
    int64_t plane;               // bytes from a plane of the input to the next
  };

  static FASTSR_INLINE int channels(const Args& a) { return Job::channels ? Job::channels : a.channels; }
  static FASTSR_INLINE int factor(const Args& a) { return Job::factor ? Job::factor : a.factor; }
  static FASTSR_INLINE int deep(const Args& a) { return channels(a) * factor(a) * factor(a); }

  static FASTSR_INLINE bool find(const Args& a, const Thread& t, Row& p) {
    const int row = a.first_row + t.block_y;
    p.tile = a.first_tile + t.block_z;
    p.part = Job::part(a, t.block_z);
    p.y = a.channels_last ? row : row / factor(a);
    p.dy = a.channels_last ? 0 : row - p.y * factor(a);
    p.dy_end = a.channels_last ? factor(a) : p.dy + 1;
    p.x = t.block_x * a.columns;
    if (p.y >= p.part.height || p.x >= p.part.width) return false;
    p.columns = p.part.width - p.x < a.columns ? p.part.width - p.x : a.columns;
    const int64_t pixels = static_cast<int64_t>(a.height) * a.width;
    const int64_t pixel = static_cast<int64_t>(p.part.top + p.y) * a.width + p.part.left + p.x;
    p.plane = a.channels_last ? item : pixels * item;
    p.first = static_cast<const unsigned char*>(a.input) +
              (p.tile * pixels * deep(a) + pixel * (a.channels_last ? deep(a) : 1)) * item;
    return true;
  }

  static FASTSR_INLINE void load(const Args& a, const Thread& t) {
    Row p;
    if (!a.staged || !find(a, t, p)) return;
    a.channels_last ? load_pixels(a, t, p) : load_planes(a, t, p);
  }

  static FASTSR_INLINE void store(const Args& a, const Thread& t) {
    Row p;
    if (!find(a, t, p)) return;
    if (Job::channels || a.staged) {
      const int skew = a.vectorized && !a.channels_last ? misalignment(p.first, 16) : 0;
      const int down = a.channels_last ? factor(a) * item : 0;  // planes of other output rows are not there
      const int across = a.channels_last ? item : channels(a) * a.pitch;
      const int between = a.channels_last ? factor(a) * factor(a) * item : a.pitch;
      store_rows<int>(a, t, p, t.shared + skew, down, across, between, a.channels_last ? a.pitch : item);
    } else {
      store_rows<int64_t>(a, t, p, p.first + p.dy * factor(a) * (a.channels_last ? 0 : p.plane),
                          a.channels_last ? factor(a) * p.plane : 0, p.plane, factor(a) * factor(a) * p.plane,
                          a.channels_last ? static_cast<int64_t>(deep(a)) * item : item);
    }
  }

 private:
  static FASTSR_INLINE void load_planes(const Args& a, const Thread& t, const Row& p) {
    const int planes = factor(a) * channels(a), skip = a.threads / a.pieces, rest = a.threads - skip * a.pieces;
    int k = t.index / a.pieces, piece = t.index - k * a.pieces;
    while (k < planes) {
      const int dx = k / channels(a), c = k - dx * channels(a);
      const unsigned char* from = p.first + shuffle_channel(c, p.dy, dx, factor(a)) * p.plane;
      unsigned char* to = t.shared + k * a.pitch;
      if (a.vectorized) {
        const auto* input = static_cast<const unsigned char*>(a.input);
        stage<In>(from, p.columns * item, Extent{input, input + a.input_bytes}, to, piece, a.pieces);
      } else if (piece < p.columns) {
        store_element(to + piece * item, load_element<In>(from + static_cast<int64_t>(piece) * item));
      }
      k += skip;
      piece += rest;
      if (piece >= a.pieces) {
        piece -= a.pieces;
        ++k;
      }
    }
  }

  static FASTSR_INLINE void load_pixels(const Args& a, const Thread& t, const Row& p) {
    const int bytes = deep(a) * item;  // of a pixel
    const auto* input = static_cast<const unsigned char*>(a.input);
    if (!a.vectorized) {
      for (int i = t.index; i < p.columns * deep(a); i += a.threads) {
        const int pixel = i / deep(a), channel = i - pixel * deep(a);
        store_element(t.shared + pixel * a.pitch + channel * item,
                      load_element<In>(p.first + static_cast<int64_t>(i) * item));
      }
      return;
    }
    const int skew = misalignment(p.first, 16), stop = p.columns * bytes;
    for (int piece = t.index; piece * 16 - skew < stop; piece += a.threads) {
      const int at = piece * 16 - skew;  // from the row's first byte; a multiple of 4, as is a pixel
      Vector<16> words{};
      const bool whole = p.first + at >= input && p.first + at + 16 <= input + a.input_bytes;
      if (whole) words = load_vector<16>(p.first + at);
      int pixel = at > 0 ? at / bytes : 0, in_pixel = at > 0 ? at - pixel * bytes : 0;
      FASTSR_UNROLL(4)
      for (int i = 0; i < 4; ++i) {
        const int byte = at + 4 * i;
        if (byte < 0 || byte >= stop) continue;
        store_element(t.shared + pixel * a.pitch + in_pixel,
                      whole ? words.word[i] : load_element<uint32_t>(p.first + byte));
        in_pixel += 4;
        if (in_pixel == bytes) {
          in_pixel = 0;
          ++pixel;
        }
      }
    }
  }

  // Strides, in bytes of the memory that `from` points to: between rows, sub-pixels, channels and pixels.
  template <typename Offset>
  static FASTSR_INLINE void store_rows(const Args& a, const Thread& t, const Row& p, const unsigned char* from,
                                       Offset down, Offset across, Offset between, Offset along) {
    const int depth = channels(a), scale = factor(a), planes = depth * scale;
    for (int dy = p.dy; dy < p.dy_end; ++dy, from += down) {
      const int64_t row = (p.part.out_top + p.y) * scale + dy, column = (p.part.out_left + p.x) * planes;
      const Pieces<Out, Job::store_bytes> pieces(
          static_cast<Out*>(a.output) + p.tile * a.output_tile + row * a.output_row + column, p.columns * planes);
      for (int i = t.index; pieces.has(i); i += a.threads) {
        const int start = pieces.start(i);
        int x = start / planes, dx = (start - x * planes) / depth, c = start - x * planes - dx * depth;
        Offset offset = x * along + dx * across + c * between;
        const auto next = [&] {
          const In element = load_element<In>(from + offset);
          const Out value = Job::epilogue(a, p.tile, p.part, element, p.y, p.x + x, dy, dx, c);
          offset += between;
          if (++c == depth) {
            c = 0;
            offset += across - depth * between;
            if (++dx == scale) {
              dx = 0;
              ++x;
              offset += along - scale * across;
            }
          }
          return value;
        };
        // Only staged elements are worth the code of an unrolled piece.
        if (sizeof(Offset) == sizeof(int) && pieces.whole(i)) {
          pieces.store_at_once(i, next);
        } else {
          pieces.store_each(i, next);
        }
      }
    }
  }
};

// ---- scatter --------------------------------------------------------------------------------------------------------

struct ScatterLaunch : DepthToSpaceLaunch {
  int64_t frame_height, frame_width;  // of the low-resolution frame
  const void* low;
  Window windows[kWindows];
};

// C and S fix channels and factor; 0 leaves them open.
template <typename I, typename T, int C, int S, Residual residual>
struct Scatter {
  using Args = ScatterLaunch;
  using In = I;
  using Out = T;
  static constexpr bool has_windows = true;
  static constexpr int channels = C, factor = S;
  // 16 single bytes per thread would put more of them on the same banks than a second store costs.
  static constexpr int store_bytes = sizeof(T) == 1 ? 8 : 16;

  static FASTSR_INLINE Part part(const Args& a, int tile) {
    const Window& w = a.windows[tile];
    return Part{static_cast<int>(w.core_top - w.top),
                static_cast<int>(w.core_left - w.left),
                static_cast<int>(w.core_bottom - w.core_top),
                static_cast<int>(w.core_right - w.core_left),
                w.core_top,
                w.core_left};
  }

  static FASTSR_INLINE T epilogue(const Args& a, int, const Part& part, I element, int y, int x, int dy, int dx,
                                  int c) {
    float value = load(element);
    const int depth = C ? C : a.channels, scale = S ? S : a.factor;
    const T* low = static_cast<const T*>(a.low);
    const int64_t row = part.out_top + y, column = part.out_left + x;
    if constexpr (residual == Residual::nearest) {
      value = value + to_network(low[(row * a.frame_width + column) * depth + c]);
    } else if constexpr (residual == Residual::bilinear) {
      const FrameShape shape{a.frame_height, a.frame_width, depth};
      value = value + bilinear_at(low, shape, scale, row * scale + dy, column * scale + dx, c);
    }
    return to_pixel<T>(value);
  }
};

// ---- pixel shuffle --------------------------------------------------------------------------------------------------

// Planar images count as a tile of one channel each.
struct ShuffleLaunch : DepthToSpaceLaunch {
  const float *bias, *slope;
  int biases;  // output channels
};

template <typename T, int C, int S, bool fused>
struct Shuffle {
  using Args = ShuffleLaunch;
  using In = T;
  using Out = T;
  static constexpr bool has_windows = false;
  static constexpr int channels = C, factor = S;
  static constexpr int store_bytes = 16;

  static FASTSR_INLINE Part part(const Args& a, int) { return Part{0, 0, a.height, a.width, 0, 0}; }

  static FASTSR_INLINE T epilogue(const Args& a, int tile, const Part&, T element, int, int, int, int, int c) {
    if constexpr (fused) {
      const int channel = a.channels_last ? c : tile % a.biases;
      return biased_prelu(element, a.bias ? a.bias + channel : nullptr, a.slope ? a.slope + channel : nullptr);
    } else {
      return element;
    }
  }
};

}  // namespace fastsr::cuda
