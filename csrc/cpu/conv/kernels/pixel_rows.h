// Pixels in and pixels out: the program's first and last step, row by row. Plain loops that the compiler vectorises.
#pragma once

#include <algorithm>

#include "cpu/conv/kernels/requantize.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/kernels/store_bytes.h"
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

// The same for bytes, of which there are so few that a table holds what becomes of each.
template <typename Item>
void look_up(const LoadRow& row, const Item* table, Item* out) {
  const auto* pixels = static_cast<const uint8_t*>(row.pixels);
  const int64_t count = row.count, channels = row.channels, padded = row.padded_channels;
  if (channels == 3 && padded == 4) {
    for (int64_t x = 0; x < count; ++x) {
      const Item four[4] = {table[pixels[3 * x]], table[pixels[3 * x + 1]], table[pixels[3 * x + 2]], table[0]};
      std::memcpy(out + 4 * x, four, sizeof four);
    }
    return;
  }
  for (int64_t x = 0; x < count; ++x) {
    for (int64_t c = 0; c < padded; ++c) out[x * padded + c] = table[c < channels ? pixels[x * channels + c] : 0];
  }
}

// Bytes that stay what they are: three of each pixel and a zero.
inline void copy_bytes(const LoadRow& row) {
  typedef uint8_t Sixteen __attribute__((vector_size(16)));
  constexpr Sixteen kPlaces{0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16};
  const auto* pixels = static_cast<const uint8_t*>(row.pixels);
  const int64_t count = row.count;
  uint8_t* out = row.packed;
  int64_t x = 0;
  for (; 3 * x + 16 <= 3 * count; x += 4) {
    const Sixteen bytes = load_vector<Sixteen>(pixels + 3 * x);
    store_vector(out + 4 * x, __builtin_shuffle(bytes, Sixteen{}, kPlaces));
  }
  for (; x < count; ++x) {
    const uint8_t four[4] = {pixels[3 * x], pixels[3 * x + 1], pixels[3 * x + 2], 0};
    std::memcpy(out + 4 * x, four, sizeof four);
  }
}

inline void load_bytes(const LoadRow& row) {
  constexpr int kBytes = 256;
  alignas(64) float values[kBytes];
  for (int i = 0; i < kBytes; ++i) values[i] = to_network(static_cast<uint8_t>(i));
  if (row.floats != nullptr) look_up(row, values, row.floats);
  if (row.packed == nullptr) return;
  const float inverse = 1.f / row.quantization.scale;
  const int item = row.format == StorageFormat::u8x4 ? 1 : 2;
  alignas(64) uint8_t packed[2 * kBytes];
  for (int i = 0; i < kBytes; i += kLanes) {
    requantize(packed + item * i, load_vector<Floats>(values + i), row.format, row.quantization, inverse);
  }
  if (item == 2) {
    uint16_t table[kBytes];
    std::memcpy(table, packed, sizeof table);
    return look_up(row, table, reinterpret_cast<uint16_t*>(row.packed));
  }
  int changed = 0;
  for (int i = 0; i < kBytes; ++i) changed += packed[i] != i;
  if (changed == 0 && row.channels == 3 && row.padded_channels == 4) return copy_bytes(row);
  look_up(row, packed, row.packed);
}

inline void load_row(const LoadRow& row) {
  switch (row.type) {
    case Type::u8: return load_bytes(row);
    case Type::u16: return load_pixels<uint16_t>(row);
    default: return load_pixels<float>(row);
  }
}

// `kRun` samples of row dy of the frame for each pixel of kChannels; as many as the row says where they are 0.
template <int kRun, int kChannels, typename T>
void store_run(const StoreRow& row, int64_t dy) {
  const int64_t channels = kChannels ? kChannels : row.channels, length = kRun ? kRun : row.factor * channels;
  const float* source = row.source + dy * length;
  const T* low = static_cast<const T*>(row.low);
  T* pixels = reinterpret_cast<T*>(static_cast<uint8_t*>(row.pixels) + dy * row.pixels_stride);
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
void store_pixels(const StoreRow& row, int64_t dy) {
  if (row.channels != 3) return store_run<0, 0, T>(row, dy);
  switch (row.factor) {
    case 1: return store_run<3, 3, T>(row, dy);
    case 2: return store_run<6, 3, T>(row, dy);
    case 4: return store_run<12, 3, T>(row, dy);
    case 8: return store_run<24, 3, T>(row, dy);
    default: return store_run<0, 3, T>(row, dy);
  }
}

inline void store_row(const StoreRow& row) {
#if defined(FASTSR_NARROWS_FOUR)
  if (stores_bytes(row)) return row.factor == 4 ? store_bytes<4>(row) : store_bytes<2>(row);
#endif
  const int64_t first = row.base == nullptr ? 0 : row.dy, last = row.base == nullptr ? row.factor - 1 : row.dy;
  for (int64_t dy = first; dy <= last; ++dy) {
    switch (row.type) {
      case Type::u8: store_pixels<uint8_t>(row, dy); break;
      case Type::u16: store_pixels<uint16_t>(row, dy); break;
      default: store_pixels<float>(row, dy);
    }
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
