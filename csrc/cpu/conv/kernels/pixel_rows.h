// What surrounds the convolutions, row by row: pixels in, sums of kernel rows, additions and activations on their own,
// moved samples, pixels out. Plain loops that the compiler vectorises.
#pragma once

#include <algorithm>

#include "cpu/conv/kernel_table.h"
#include "cpu/conv/kernels/microkernel.h"
#include "cpu/conv/kernels/simd.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// One value packed; the twin of store_packed.
FASTSR_HOT void pack_one(uint8_t* packed, int64_t i, float v, Packed kind, const Grid& grid, float inverse) {
  alignas(64) uint8_t lanes[2 * kLanes];
  store_packed(lanes, splat(v), kind, grid, inverse);
  if (kind == Packed::u8) {
    packed[i] = lanes[0];
  } else {
    std::memcpy(packed + 2 * i, lanes, 2);
  }
}

template <typename T>
void load_pixels(const LoadRow& row) {
  const T* pixels = static_cast<const T*>(row.pixels);
  const float inverse = 1.f / row.grid.scale;
  for (int64_t x = 0; x < row.count; ++x) {
    for (int64_t c = 0; c < row.stored; ++c) {
      const float v = c < row.channels ? to_network(pixels[x * row.channels + c]) : 0.f;
      const int64_t i = x * row.stored + c;
      if (row.floats != nullptr) row.floats[i] = v;
      if (row.packed != nullptr) pack_one(row.packed, i, v, row.kind, row.grid, inverse);
    }
  }
}

inline void load_row(const LoadRow& row) {
  switch (row.type) {
    case Type::u8: return load_pixels<uint8_t>(row);
    case Type::u16: return load_pixels<uint16_t>(row);
    default: return load_pixels<float>(row);
  }
}

inline void gather_row(const GatherRow& row) {
  for (int64_t i = 0; i < row.count; ++i) {
    const int64_t x = i + row.phase;
    const float* source = row.source + x / row.factor * row.source_stored;
    const int32_t* table = row.table + x % row.factor * row.channels;
    float* target = row.target + i * row.target_stored;
    for (int64_t c = 0; c < row.channels; ++c) target[c] = source[table[c]];
    for (int64_t c = row.channels; c < row.target_stored; ++c) target[c] = 0.f;
  }
}

constexpr int64_t kFew = 4;  // channels that are summed at once
typedef float FewFloats __attribute__((vector_size(4 * kFew)));
typedef int32_t FewInts __attribute__((vector_size(4 * kFew)));

// Of up to kFew channels: reads that many of each row, and keeps as many as there are.
template <bool kScaled>
void sum_few(const SumRow& row) {
  FewFloats start{}, scales[kMaxKernel + 1];
  FewInts kept{};
  for (int64_t c = 0; c < row.channels; ++c) {
    start[c] = row.starts[c];
    kept[c] = -1;
  }
  for (int k = 0; kScaled && k < row.terms; ++k) {
    for (int64_t c = 0; c < row.channels; ++c) scales[k][c] = row.scales[k * row.channels + c];
    for (int64_t c = row.channels; c < kFew; ++c) scales[k][c] = 0.f;
  }
  for (int64_t x = 0; x < row.count; ++x) {
    FewFloats sum = start;
    for (int k = 0; k < row.terms; ++k) {
      const float* term = row.rows[k] + x * row.source_stored + k * row.channels;
      if (kScaled) {
        sum += __builtin_convertvector(load_vector<FewInts>(term), FewFloats) * scales[k];
      } else {
        sum += load_vector<FewFloats>(term);
      }
    }
    float* target = row.target + x * row.target_stored;
    store_vector(target, reinterpret_cast<FewInts>(sum) & kept);
    for (int64_t c = kFew; c < row.target_stored; ++c) target[c] = 0.f;
  }
}

FASTSR_HOT float sum_one(const SumRow& row, int64_t x, int64_t c) {
  float sum = row.starts[c];
  for (int k = 0; k < row.terms; ++k) {
    const float* term = row.rows[k] + x * row.source_stored + k * row.channels + c;
    int32_t level;
    std::memcpy(&level, term, sizeof level);
    sum += row.scales == nullptr ? *term : static_cast<float>(level) * row.scales[k * row.channels + c];
  }
  return sum;
}

inline void sum_row(const SumRow& row) {
  if (row.channels <= kFew && (row.terms - 1) * row.channels + kFew <= row.source_stored) {
    return row.scales == nullptr ? sum_few<false>(row) : sum_few<true>(row);
  }
  for (int64_t x = 0; x < row.count; ++x) {
    float* target = row.target + x * row.target_stored;
    for (int64_t c = 0; c < row.channels; ++c) target[c] = sum_one(row, x, c);
    for (int64_t c = row.channels; c < row.target_stored; ++c) target[c] = 0.f;
  }
}

inline void finish_row(const FinishRow& row) {
  const Finish& finish = *row.finish;
  const float inverse = 1.f / row.grid.scale;
  const int64_t width = row.kind == Packed::u8 ? 1 : 2;
  for (int64_t x = 0; x < row.count; ++x) {
    for (int64_t c = 0; c < row.stored; c += kLanes) {
      const int64_t i = x * row.stored + c;
      Floats v = load_vector<Floats>(row.floats + i);
      if (!finish.slopes.empty()) v = v < 0.f ? v * load_vector<Floats>(finish.slopes.data() + c) : v;
      if (row.add != nullptr) v += load_vector<Floats>(row.add + i);
      if (finish.clipped) v = smaller(larger(v, splat(finish.low)), splat(finish.high));
      store_vector(row.floats + i, v);
      if (row.packed != nullptr) store_packed(row.packed + i * width, v, row.kind, row.grid, inverse);
    }
  }
}

// Rows first, one after the other, then columns: the order of additions is the same on every instruction set.
template <typename T>
void bicubic_pixels(const BicubicRow& row) {
  const int64_t from = row.first - kTaps, wide = row.count + 2 * kTaps;
  for (int64_t i = 0; i < wide; ++i) {
    const int64_t x = clamp_index(from + i, row.width);
    for (int64_t c = 0; c < row.channels; ++c) {
      float sum = 0.f;
      for (int k = 0; k < kTaps; ++k) {
        sum += row.weights[k] * to_network(static_cast<const T*>(row.rows[k])[x * row.channels + c]);
      }
      row.column[i * row.channels + c] = sum;
    }
  }
  for (int64_t x = 0; x < row.count; ++x) {
    for (int64_t p = 0; p < row.scale; ++p) {
      const float* taps = row.column + (x + kTaps + row.starts[p]) * row.channels;
      const float* weights = row.phases + p * kTaps;
      float* target = row.target + (x * row.scale + p) * row.channels;
      for (int64_t c = 0; c < row.channels; ++c) {
        float sum = 0.f;
        for (int k = 0; k < kTaps; ++k) sum += weights[k] * taps[k * row.channels + c];
        target[c] = sum;
      }
    }
  }
}

inline void bicubic_row(const BicubicRow& row) {
  switch (row.type) {
    case Type::u8: return bicubic_pixels<uint8_t>(row);
    case Type::u16: return bicubic_pixels<uint16_t>(row);
    default: return bicubic_pixels<float>(row);
  }
}

constexpr int64_t kStoreBlock = 32;  // pixels at a time: their samples stay in L1

// `kRun` samples of one row of the frame for each pixel of kChannels; as many as the row says where they are 0.
template <int kRun, int kChannels, typename T>
void store_run(const StoreRow& row) {
  const int64_t channels = kChannels ? kChannels : row.channels, length = kRun ? kRun : row.factor * channels;
  const float* source = row.source + row.dy * length;
  const T* low = static_cast<const T*>(row.low);
  T* pixels = static_cast<T*>(row.pixels);
  alignas(64) float block[kStoreBlock * kMaxPlanes];
  for (int64_t first = 0; first < row.count; first += kStoreBlock) {
    const int64_t count = std::min(kStoreBlock, row.count - first);
    for (int64_t x = 0; x < count; ++x) {
      const float* samples = source + (first + x) * row.stored;
      if (row.base != nullptr) {
        const float* base = row.base + (first + x) * length;
        for (int64_t i = 0; i < length; ++i) block[x * length + i] = samples[i] + base[i];
      } else if (low == nullptr) {
        for (int64_t i = 0; i < length; ++i) block[x * length + i] = samples[i];
      } else {
        float added[kMaxPlanes];
        for (int64_t c = 0; c < channels; ++c) added[c] = to_network(low[(first + x) * channels + c]);
        for (int64_t i = 0; i < length; ++i) block[x * length + i] = samples[i] + added[i % channels];
      }
    }
    T* __restrict out = pixels + first * length;
    for (int64_t i = 0; i < count * length; ++i) out[i] = to_pixel<T>(block[i]);
  }
}

template <typename T>
void store_pixels(const StoreRow& row) {
  if (row.channels != 3) return store_run<0, 0, T>(row);
  switch (row.factor) {
    case 1: return store_run<3, 3, T>(row);
    case 2: return store_run<6, 3, T>(row);
    case 4: return store_run<12, 3, T>(row);
    case 8: return store_run<24, 3, T>(row);
    default: return store_run<0, 3, T>(row);
  }
}

inline void store_row(const StoreRow& row) {
  switch (row.type) {
    case Type::u8: return store_pixels<uint8_t>(row);
    case Type::u16: return store_pixels<uint16_t>(row);
    default: return store_pixels<float>(row);
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
