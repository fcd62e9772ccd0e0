// Samples of 8-bit colour images, enlarged by two or four, to all rows of the frame at once: four pixels are narrowed
// to bytes together, which one permutation puts where a row has them.
#pragma once

#include <algorithm>
#include <cstring>

#include "common/pixel.h"
#include "cpu/conv/kernels/requantize.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

constexpr int64_t kStoreBlock = 32;  // pixels at a time: their samples stay in L1

#if defined(FASTSR_NARROWS_FOUR)

constexpr int kColors = 3, kTogether = 4;  // channels, pixels

// Whether what is asked is what store_bytes makes.
inline bool stores_bytes(const StoreRow& row) {
  const bool shuffled = row.factor == 2 || row.factor == 4;
  return row.type == Type::u8 && row.channels == kColors && shuffled && row.base == nullptr &&
         row.input_stride % kLanes == 0;
}

// Of each lane of vector k of a pixel's samples: its colour.
struct LaneColors {
  int32_t of[3][kLanes];
  constexpr LaneColors() : of() {
    for (int k = 0; k < 3; ++k) {
      for (int lane = 0; lane < kLanes; ++lane) of[k][lane] = (k * kLanes + lane) % kColors;
    }
  }
};

// narrowed_four leaves four bytes of each of the pixels, the next four of each, and so on. Where a row of four pixels
// finds its bytes: for a factor of four by fours in vectors dy / 2 and the next, for two by twos, both rows in one.
struct RowsOfFour {
  int32_t places[4][16];
  constexpr RowsOfFour() : places() {
    for (int dy = 0; dy < 4; ++dy) {
      for (int i = 0; i < 12; ++i) places[dy][i] = (3 * dy + i % 3 - 4 * (dy / 2)) * kTogether + i / 3;
    }
  }
};
struct RowsOfTwo {
  int16_t places[32];
  constexpr RowsOfTwo() : places() {
    for (int dy = 0; dy < 2; ++dy) {
      for (int i = 0; i < 12; ++i) {
        const int two = 3 * dy + i % 3;
        places[16 * dy + i] = static_cast<int16_t>(two / 2 * 2 * kTogether + i / 3 * 2 + two % 2);
      }
    }
  }
};

template <int kFactor>
void store_bytes(const StoreRow& row) {
  constexpr int kVectors = kFactor == 4 ? 3 : 1, kRun = kFactor * kColors;  // bytes of a pixel in a row
  alignas(64) static constexpr LaneColors kLaneColors;
  alignas(64) static constexpr RowsOfFour kRowsOfFour;
  alignas(64) static constexpr RowsOfTwo kRowsOfTwo;
  const float* source = row.source;
  const auto* low = static_cast<const uint8_t*>(row.low);
  auto* pixels = static_cast<uint8_t*>(row.pixels);
  const int64_t input_stride = row.input_stride, pixels_stride = row.pixels_stride, all = row.count;
  const float gain = row.low_gain;
  const Floats full = splat(Pixel<uint8_t>::full);
  alignas(64) float added[kStoreBlock * kColors + kLanes] = {};
  for (int64_t first = 0; first < all; first += kStoreBlock) {
    const int64_t count = std::min(kStoreBlock, all - first);
    if (low != nullptr) {
      for (int64_t i = 0; i < count * kColors; ++i) added[i] = gain * to_network(low[first * kColors + i]);
    }
    for (int64_t x = 0; x < count; x += kTogether) {
      const int64_t here = std::min<int64_t>(kTogether, count - x);
      __m512i bytes[kVectors];
      FASTSR_UNROLL
      for (int k = 0; k < kVectors; ++k) {
        Floats values[kTogether];
        FASTSR_UNROLL
        for (int p = 0; p < kTogether; ++p) {
          const int64_t at = std::min(x + p, count - 1);
          values[p] = load_vector<Floats>(source + (first + at) * input_stride + k * kLanes);
          if (low != nullptr) {
            const __m512i colors = load_vector<__m512i>(kLaneColors.of[k]);
            values[p] += (Floats)_mm512_maskz_permutexvar_ps(0xffff, colors, load_vector<__m512>(added + at * kColors));
          }
          values[p] *= full;
        }
        bytes[k] = narrowed_four(values, full, Ints{});
      }
      alignas(64) uint8_t rest[64];
      const auto store = [&](int dy, __m256i most, __m128i others) {
        uint8_t* out = pixels + dy * pixels_stride + (first + x) * kRun;
        uint8_t* to = here == kTogether ? out : rest;
        if constexpr (kFactor == 4) {
          store_vector(to, most);
          store_vector(to + 32, others);
        } else {
          store_vector(to, _mm256_castsi256_si128(most));
          _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), _mm256_extracti128_si256(most, 1));
        }
        if (here < kTogether) std::memcpy(out, rest, here * kRun);
      };
      if constexpr (kFactor == 4) {
        FASTSR_UNROLL
        for (int dy = 0; dy < 4; ++dy) {
          const __m512i places = load_vector<__m512i>(kRowsOfFour.places[dy]);
          const __m512i made = _mm512_permutex2var_epi32(bytes[dy / 2], places, bytes[dy / 2 + 1]);
          store(dy, _mm512_maskz_extracti64x4_epi64(0xff, made, 0), _mm512_maskz_extracti32x4_epi32(0xf, made, 2));
        }
      } else {
        const __m512i made = _mm512_maskz_permutexvar_epi16(~0u, load_vector<__m512i>(kRowsOfTwo.places), bytes[0]);
        store(0, _mm512_maskz_extracti64x4_epi64(0xff, made, 0), __m128i{});
        store(1, _mm512_maskz_extracti64x4_epi64(0xff, made, 1), __m128i{});
      }
    }
  }
}

#endif

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
