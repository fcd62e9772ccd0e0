// Pixels in and pixels out: the program's first and last step, row by row. Plain loops that the compiler vectorises.
#pragma once

#include <algorithm>

#include "cpu/conv/kernels/requantize.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

template <typename T>
void load_pixels(const LoadRow& row) {
  const T* pixels = static_cast<const T*>(row.pixels);
  const float inverse = 1.f / row.quantization.scale;
  for (int64_t x = 0; x < row.count; ++x) {
    for (int64_t c = 0; c < row.padded_channels; ++c) {
      const float v = c < row.channels ? to_network(pixels[x * row.channels + c]) : 0.f;
      const int64_t i = x * row.padded_channels + c;
      if (row.floats != nullptr) row.floats[i] = v;
      if (row.packed != nullptr) requantize_one(row.packed, i, v, row.format, row.quantization, inverse);
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
      const float* samples = source + (first + x) * row.input_stride;
      if (low == nullptr) {
        for (int64_t i = 0; i < length; ++i) block[x * length + i] = samples[i];
      } else {
        float added[kMaxPlanes];
        for (int64_t c = 0; c < channels; ++c) added[c] = row.low_gain * to_network(low[(first + x) * channels + c]);
        for (int64_t i = 0; i < length; ++i) block[x * length + i] = samples[i] + added[i % channels];
      }
      if (row.base != nullptr) {
        const float* base = row.base + (first + x) * length;
        for (int64_t i = 0; i < length; ++i) block[x * length + i] += base[i];
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
