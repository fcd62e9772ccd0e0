// Compiled once per instruction set (FASTSR_ISA_NAME names the namespace); plain loops that the compiler vectorises.
#include "cpu/tile_kernels.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cpu/thread_pool.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {
namespace {

constexpr int64_t kRowBytes = 1 << 16;  // work per range, so that waking a thread pays
constexpr int64_t kBlock = 64;          // columns converted at a time: the planes of a block stay in L1

int64_t rows_per_range(int64_t row_bytes) { return std::max<int64_t>(1, kRowBytes / std::max<int64_t>(1, row_bytes)); }

// ---- gather ---------------------------------------------------------------------------------------------------------

// `count` neighbouring pixels to planes `stride` apart. C is known so that the strided loads vectorise.
template <int C, typename T, typename O>
void gather_run(const T* __restrict source, int64_t count, O* __restrict planes, int64_t stride) {
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < C; ++c) planes[c * stride + i] = store<O>(to_network(source[i * C + c]));
  }
}

template <typename T, typename O>
void gather_pixel(const T* source, int64_t channels, O* out, int64_t stride) {
  for (int64_t c = 0; c < channels; ++c) out[c * stride] = store<O>(to_network(source[c]));
}

template <typename T, typename O>
void gather(const GatherArgs& a) {
  const T* frame = static_cast<const T*>(a.frame);
  O* batch = static_cast<O*>(a.batch);
  const int64_t channels = a.shape.channels, plane = a.tile_height * a.tile_width;
  const int64_t step = a.channels_last ? channels : 1, stride = a.channels_last ? 1 : plane;  // per column, per channel
  const auto rows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t tile = row / a.tile_height, y = row % a.tile_height;
      const Window& window = a.windows[tile];
      const T* source = frame + reflect(window.top + y, a.shape.height) * a.shape.width * channels;
      O* out = batch + tile * channels * plane + y * a.tile_width * step;
      // Columns first..last-1 lie inside the frame; the others are mirrored.
      const int64_t first = std::clamp<int64_t>(-window.left, 0, a.tile_width);
      const int64_t last = std::clamp<int64_t>(a.shape.width - window.left, first, a.tile_width);
      for (int64_t x = 0; x < first; ++x) {
        gather_pixel(source + reflect(window.left + x, a.shape.width) * channels, channels, out + x * step, stride);
      }
      const T* run = source + (window.left + first) * channels;
      if (a.channels_last) {
        gather_run<1>(run, (last - first) * channels, out + first * channels, 0);
      } else if (channels == 3) {
        gather_run<3>(run, last - first, out + first, plane);
      } else if (channels == 1) {
        gather_run<1>(run, last - first, out + first, plane);
      } else {
        for (int64_t x = first; x < last; ++x) {
          gather_pixel(source + (window.left + x) * channels, channels, out + x * step, stride);
        }
      }
      for (int64_t x = last; x < a.tile_width; ++x) {
        gather_pixel(source + reflect(window.left + x, a.shape.width) * channels, channels, out + x * step, stride);
      }
    }
  };
  const int64_t row_bytes = a.tile_width * channels * static_cast<int64_t>(sizeof(O));
  parallel_for(a.tiles * a.tile_height, rows_per_range(row_bytes), rows);
}

void gather_any(const GatherArgs& a) {
  const bool half = a.batch_type == Type::f16;
  switch (a.frame_type) {
    case Type::u8: return half ? gather<uint8_t, Half>(a) : gather<uint8_t, float>(a);
    case Type::u16: return half ? gather<uint16_t, Half>(a) : gather<uint16_t, float>(a);
    default: return half ? gather<float, Half>(a) : gather<float, float>(a);
  }
}

// ---- scatter --------------------------------------------------------------------------------------------------------

// The enlarged low-resolution frame at one output sample, in 0..1.
template <typename T>
float residual_at(const ScatterArgs& a, int64_t y, int64_t x, int64_t c) {
  const T* low = static_cast<const T*>(a.low);
  const FrameShape shape{a.shape.height / a.factor, a.shape.width / a.factor, a.shape.channels};
  if (a.residual == Residual::bilinear) return bilinear_at(low, shape, a.factor, y, x, c);
  return to_network(low[((y / a.factor) * shape.width + x / a.factor) * shape.channels + c]);
}

// Planes to interleaved pixels; K planes known at compile time, or `planes` of them when K is 0.
template <int K, typename T>
void interleave(const T (*__restrict block)[kBlock], int64_t planes, int64_t count, T* __restrict out) {
  const int64_t k_count = K ? K : planes;
  for (int64_t x = 0; x < count; ++x) {
    for (int64_t k = 0; k < k_count; ++k) out[x * k_count + k] = block[k][x];
  }
}

template <typename T>
void interleave_any(const T (*block)[kBlock], int64_t planes, int64_t count, T* out) {
  switch (planes) {
    case 1: return interleave<1>(block, planes, count, out);
    case 2: return interleave<2>(block, planes, count, out);
    case 3: return interleave<3>(block, planes, count, out);
    case 4: return interleave<4>(block, planes, count, out);
    case 6: return interleave<6>(block, planes, count, out);
    case 9: return interleave<9>(block, planes, count, out);
    case 12: return interleave<12>(block, planes, count, out);
    default: return interleave<0>(block, planes, count, out);
  }
}

template <typename I, typename T, bool channels_last>
void scatter_row(const ScatterArgs& a, int64_t tile, int64_t y, int64_t dy) {
  const Window& window = a.windows[tile];
  const int64_t channels = a.shape.channels, plane = a.tile_height * a.tile_width;
  const int64_t deep = channels * a.factor * a.factor;
  // A compile-time 1 for planes, so that the loops over columns vectorise.
  const int64_t step = channels_last ? deep : 1, stride = channels_last ? 1 : plane;  // per column, per channel
  const I* source = static_cast<const I*>(a.batch) + tile * deep * plane + (y - window.top) * a.tile_width * step;
  T* out = static_cast<T*>(a.frame) + (y * a.factor + dy) * a.shape.width * channels;
  const int64_t planes = a.factor * channels;
  alignas(64) T block[kMaxPlanes][kBlock];
  for (int64_t x = window.core_left; x < window.core_right; x += kBlock) {
    const int64_t count = std::min(kBlock, window.core_right - x);
    for (int64_t dx = 0; dx < a.factor; ++dx) {
      for (int64_t c = 0; c < channels; ++c) {
        const I* __restrict values = source + shuffle_channel(c, dy, dx, a.factor) * stride + (x - window.left) * step;
        T* __restrict converted = block[dx * channels + c];
        if (a.residual == Residual::none) {
          for (int64_t i = 0; i < count; ++i) converted[i] = to_pixel<T>(load(values[i * step]));
        } else {
          for (int64_t i = 0; i < count; ++i) {
            const float low = residual_at<T>(a, y * a.factor + dy, (x + i) * a.factor + dx, c);
            converted[i] = to_pixel<T>(load(values[i * step]) + low);
          }
        }
      }
    }
    interleave_any<T>(block, planes, count, out + x * planes);
  }
}

template <typename I, typename T>
void scatter(const ScatterArgs& a) {
  for (int64_t tile = 0; tile < a.tiles; ++tile) {
    const Window& window = a.windows[tile];
    const int64_t height = (window.core_bottom - window.core_top) * a.factor;
    const int64_t row_bytes =
        (window.core_right - window.core_left) * a.factor * a.shape.channels * static_cast<int64_t>(sizeof(I));
    parallel_for(height, rows_per_range(row_bytes), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t y = window.core_top + row / a.factor, dy = row % a.factor;
        a.channels_last ? scatter_row<I, T, true>(a, tile, y, dy) : scatter_row<I, T, false>(a, tile, y, dy);
      }
    });
  }
}

void scatter_any(const ScatterArgs& a) {
  const bool half = a.batch_type == Type::f16;
  switch (a.frame_type) {
    case Type::u8: return half ? scatter<Half, uint8_t>(a) : scatter<float, uint8_t>(a);
    case Type::u16: return half ? scatter<Half, uint16_t>(a) : scatter<float, uint16_t>(a);
    default: return half ? scatter<Half, float>(a) : scatter<float, float>(a);
  }
}

// ---- pixel shuffle --------------------------------------------------------------------------------------------------

// Bias and PReLU in place over a row that is still in the cache: elements of `channels` channels from `channel` on.
template <typename T>
void epilogue_row(const ShuffleArgs& a, int64_t count, int64_t channel, int64_t channels, T* __restrict row) {
  if constexpr (!std::is_integral_v<T>) {
    for (int64_t c = 0; c < channels; ++c) {
      const float* bias = a.bias ? a.bias + channel + c : nullptr;
      const float* slope = a.slope ? a.slope + channel + c : nullptr;
      for (int64_t i = c; i < count; i += channels) row[i] = biased_prelu(row[i], bias, slope);
    }
  }
}

// R rows of one plane each, interleaved into one row; R known at compile time, or `factor` when R is 0.
template <int R, typename T>
void shuffle_row(const T* __restrict source, int64_t plane, int64_t width, int64_t factor, T* __restrict out) {
  const int64_t r = R ? R : factor;
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t dx = 0; dx < r; ++dx) out[x * r + dx] = source[dx * plane + x];
  }
}

template <typename T>
void shuffle_planes(const ShuffleArgs& a) {
  const T* input = static_cast<const T*>(a.input);
  T* output = static_cast<T*>(a.output);
  const int64_t r = a.factor, plane = a.height * a.width, out_rows = a.batch * a.channels * a.height * r;
  const int64_t grain = rows_per_range(a.width * r * static_cast<int64_t>(sizeof(T)));
  parallel_for(out_rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t nc = row / (a.height * r), y = row % (a.height * r);
      const T* source = input + (nc * r * r + (y % r) * r) * plane + (y / r) * a.width;
      T* out = output + row * a.width * r;
      switch (r) {
        case 1: std::memcpy(out, source, static_cast<size_t>(a.width) * sizeof(T)); break;
        case 2: shuffle_row<2>(source, plane, a.width, r, out); break;
        case 3: shuffle_row<3>(source, plane, a.width, r, out); break;
        case 4: shuffle_row<4>(source, plane, a.width, r, out); break;
        default: shuffle_row<0>(source, plane, a.width, r, out);
      }
      epilogue_row(a, a.width * r, nc % a.channels, 1, out);
    }
  });
}

template <int C, int R, typename T>
void shuffle_pixels(const T* __restrict source, int64_t width, int64_t channels, int64_t factor, T* __restrict out) {
  const int64_t c_count = C ? C : channels, r = R ? R : factor;
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t dx = 0; dx < r; ++dx) {
      for (int64_t c = 0; c < c_count; ++c) {
        out[(x * r + dx) * c_count + c] = source[x * c_count * r * r + shuffle_channel(c, 0, dx, r)];
      }
    }
  }
}

template <typename T>
void shuffle_channels_last(const ShuffleArgs& a) {
  const T* input = static_cast<const T*>(a.input);
  T* output = static_cast<T*>(a.output);
  const int64_t r = a.factor, c = a.channels, out_rows = a.batch * a.height * r;
  const int64_t grain = rows_per_range(a.width * r * c * static_cast<int64_t>(sizeof(T)));
  parallel_for(out_rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* source = input + (row / r) * a.width * c * r * r + (row % r) * r;
      T* out = output + row * a.width * r * c;
      if (c == 3 && r == 4) {
        shuffle_pixels<3, 4>(source, a.width, c, r, out);
      } else if (c == 3 && r == 2) {
        shuffle_pixels<3, 2>(source, a.width, c, r, out);
      } else {
        shuffle_pixels<0, 0>(source, a.width, c, r, out);
      }
      epilogue_row(a, a.width * r * c, 0, c, out);
    }
  });
}

template <typename T>
void shuffle(const ShuffleArgs& a) {
  return a.channels_last ? shuffle_channels_last<T>(a) : shuffle_planes<T>(a);
}

void shuffle_any(const ShuffleArgs& a) {
  if (a.bias != nullptr || a.slope != nullptr) {
    switch (a.type) {
      case Type::f16: return shuffle<Half>(a);
      case Type::bf16: return shuffle<BFloat>(a);
      default: return shuffle<float>(a);
    }
  }
  switch (a.item) {
    case 1: return shuffle<uint8_t>(a);
    case 2: return shuffle<uint16_t>(a);
    case 4: return shuffle<uint32_t>(a);
    default: return shuffle<uint64_t>(a);
  }
}

}  // namespace

const TileKernels tile_kernels{gather_any, scatter_any, shuffle_any};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
