// Winograd's F(4x4, 3x3) of bfloat16, in integers of 16 bits.
//
// The transforms are in float. What the input transform makes is rounded to integers, with one step for each tile: that
// of the largest magnitude that the tile reads, over 32767. The planes are scaled so that none can be larger. The
// transformed weights are integers too, with a step for each output of a plane; their magnitudes add up to no more than
// 65536, so no sum exceeds 32 bits, and sums are exact. (As bfloat16, whose eight bits are multiplied no faster, both
// would lose ten decibels: the output transform's sums are small differences of what has been rounded.)
#pragma once

#include <algorithm>

#include "cpu/conv/kernels/dot_s16.h"
#include "cpu/conv/kernels/winograd_f4x4.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Pairs of neighbouring channels, of which there are kLanes, or half as many: then zeros follow.
template <int kBytes>
FASTSR_HOT Ints load_pairs(const void* p) {
  Ints pairs{};
  std::memcpy(&pairs, p, kBytes);
  return pairs;
}

// Calls body(Constant<bytes>, first channel) for vectors of pairs that cover all padded channels.
template <typename Body>
FASTSR_HOT void for_each_pairs(int64_t padded, const Body& body) {
  int64_t c = 0;
  for (; c + 2 * kLanes <= padded; c += 2 * kLanes) body(Constant<sizeof(Ints)>{}, c);
  if (c < padded) body(Constant<sizeof(Ints) / 2>{}, c);
}

// Six inputs to six planes; see WinogradPoints. The product of near and far is one.
FASTSR_HOT void integer_input_transform(const Floats (&d)[kWinogradPlanes], Floats (&out)[kWinogradPlanes]) {
  constexpr double kNear = kIntegerPoints.near, kFar = kIntegerPoints.far;
  const Floats near = splat(kNear), near_2 = splat(-kNear * kNear), far = splat(kFar), far_2 = splat(-kFar * kFar);
  const Floats both = splat(-kNear * kNear - kFar * kFar);
  const Floats even = multiply_add(far_2, d[2], d[4]), odd = near * multiply_add(far_2, d[1], d[3]);
  const Floats even_2 = multiply_add(near_2, d[2], d[4]), odd_2 = far * multiply_add(near_2, d[1], d[3]);
  out[0] = multiply_add(both, d[2], d[0] + d[4]);
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = even_2 + odd_2;
  out[4] = even_2 - odd_2;
  out[5] = multiply_add(both, d[3], d[1] + d[5]);
}

// The low halves of two vectors' lanes, those of the second in the high ones.
FASTSR_HOT Ints low_halves(Ints first, Ints second) {
#if defined(__AVX512BW__) && FASTSR_LANES == 16
  return reinterpret_cast<Ints>(_mm512_mask_blend_epi16(0xaaaaaaaau, (__m512i)first, (__m512i)(second << 16)));
#else
  return (first & 0xffff) | (second << 16);
#endif
}

struct IntegerTiles {
  using Dot = DotS16;
  using Item = uint16_t;
  // Of a tile: what one unit of the products is worth, and one over the largest magnitude that it reads.
  static constexpr int64_t tile_floats = 2;
  static int64_t floats(int64_t) { return 0; }

  static void input_transform(const WinogradRows& rows, const TileRun& run, int64_t plane, float*, float* notes,
                              uint16_t* transformed) {
    note_magnitudes(rows, run, notes + run.at * tile_floats);
    for_each_pairs(rows.padded_channels, [&](auto bytes, int64_t channel) __attribute__((always_inline)) {
      transform_pairs<decltype(bytes)::value>(rows, run, plane, channel, notes + run.at * tile_floats, transformed);
    });
  }

  // The sums of a column's planes: a float is an integer times its step.
  class Sums {
   public:
    __attribute__((always_inline)) Sums(const PackedConv& conv, int column, int vector) {
      const float* scales = conv.scales.data() + vector * kLanes;
      FASTSR_UNROLL
      for (int k = 0; k < kWinogradPlanes; ++k) {
        scales_[k] = load_vector<Floats>(scales + (column * kWinogradPlanes + k) * conv.vectors * kLanes);
      }
    }
    __attribute__((always_inline)) Floats operator()(const float* sums, int k) const {
      return __builtin_convertvector(load_vector<Ints>(sums), Floats) * scales_[k];
    }

   private:
    Floats scales_[kWinogradPlanes];
  };

  FASTSR_HOT void output_transform(const Floats (&p)[kWinogradPlanes], Floats (&out)[kWinogradOutputs]) {
    constexpr double kNear = kIntegerPoints.near, kFar = kIntegerPoints.far;
    const Floats sum = p[1] + p[2], difference = p[1] - p[2], sum_2 = p[3] + p[4], difference_2 = p[3] - p[4];
    out[0] = p[0] + (sum + sum_2);
    out[1] = multiply_add(splat(kNear), difference, splat(kFar) * difference_2);
    out[2] = multiply_add(splat(kNear * kNear), sum, splat(kFar * kFar) * sum_2);
    out[3] = multiply_add(splat(kNear * kNear * kNear), difference,
                          multiply_add(splat(kFar * kFar * kFar), difference_2, p[5]));
  }
  FASTSR_HOT void outputs(Floats (&out)[kWinogradOutputs], Floats init, const float* notes) {
    const Floats unit = splat(notes[0]);
    FASTSR_UNROLL
    for (int i = 0; i < kWinogradOutputs; ++i) out[i] = multiply_add(out[i], unit, init);
  }

 private:
  typedef uint16_t Magnitudes __attribute__((vector_size(sizeof(Ints))));  // bfloat16 without signs, as integers
  FASTSR_HOT Magnitudes larger_of(Magnitudes a, Magnitudes b) { return a > b ? a : b; }

  // Of the channels that count, six rows and two columns from x on.
  static Magnitudes largest_of_columns(const WinogradRows& rows, const TileRun& run, int64_t x) {
    Magnitudes largest{};
    const uint16_t* masks = rows.conv->magnitude_masks.data();
    for_each_pairs(rows.padded_channels, [&](auto bytes, int64_t channel) __attribute__((always_inline)) {
      constexpr int kBytes = decltype(bytes)::value;
      const Ints mask = load_pairs<kBytes>(masks + channel);
      for (int k = 0; k < kWinogradPlanes; ++k) {
        const uint8_t* pixel = run.band->rows[k] + x * rows.input_stride + channel * 2;
        const Ints first = load_pairs<kBytes>(pixel) & mask,
                   second = load_pairs<kBytes>(pixel + rows.input_stride) & mask;
        largest =
            larger_of(largest, larger_of(reinterpret_cast<Magnitudes>(first), reinterpret_cast<Magnitudes>(second)));
      }
    });
    return largest;
  }

  FASTSR_HOT float largest_lane(Magnitudes m) {
    const Words pairs = reinterpret_cast<Words>(m), low = pairs << 16, high = pairs & 0xffff0000u;
    uint32_t lanes[kLanes];
    store_vector(lanes, low > high ? low : high);
    FASTSR_UNROLL
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) lanes[i] = std::max(lanes[i], lanes[i + half]);
    }
    float largest;
    std::memcpy(&largest, lanes, sizeof largest);
    return largest;
  }

  static void note_magnitudes(const WinogradRows& rows, const TileRun& run, float* notes) {
    const Magnitudes least = Magnitudes{} + static_cast<uint16_t>((127 - 100) << 7);  // 2^-100: one over it is finite
    Magnitudes shared = largest_of_columns(rows, run, run.first * kWinogradOutputs);
    for (int64_t tile = run.first; tile < run.first + run.count; ++tile, notes += tile_floats) {
      const Magnitudes middle = largest_of_columns(rows, run, tile * kWinogradOutputs + 2),
                       next = largest_of_columns(rows, run, tile * kWinogradOutputs + 4);
      const float largest = largest_lane(larger_of(larger_of(shared, least), larger_of(middle, next)));
      notes[0] = largest * (1.f / kWinogradLargest);
      notes[1] = 1.f / largest;
      shared = next;
    }
  }

  // To integers in the low halves of the lanes.
  FASTSR_HOT Ints rounded(Floats v, Floats scale) {
    return reinterpret_cast<Ints>(multiply_add(v, scale, splat(12582912.f)));  // see near_integer
  }

  // A run's tiles are transformed by twos: two of a tile's columns are also the next one's.
  template <int kBytes>
  static void transform_pairs(const WinogradRows& rows, const TileRun& run, int64_t plane, int64_t channel,
                              const float* notes, uint16_t* transformed) {
    constexpr int kPlanes = kWinogradPlanes, kOutputs = kWinogradOutputs, kColumns = kPlanes + kOutputs;
    Floats even[kColumns][kPlanes], odd[kColumns][kPlanes];  // channels: [column][plane of the column]
    const auto columns = [&](int64_t x, int from, int to) __attribute__((always_inline)) {
      for (int i = from; i < to; ++i, ++x) {
        Floats evens[kPlanes], odds[kPlanes];
        FASTSR_UNROLL
        for (int k = 0; k < kPlanes; ++k) {
          const Ints pairs = load_pairs<kBytes>(run.band->rows[k] + x * rows.input_stride + channel * 2);
          evens[k] = reinterpret_cast<Floats>(pairs << 16);
          odds[k] = reinterpret_cast<Floats>(pairs & static_cast<int>(0xffff0000u));
        }
        integer_input_transform(evens, even[i]);
        integer_input_transform(odds, odd[i]);
      }
    };
    const auto scale = [](int i, int k) {
      return splat(static_cast<float>(kIntegerPoints.scale(i) * kIntegerPoints.scale(k) * kWinogradLargest));
    };
    uint16_t* target = transformed + run.at * rows.padded_channels + channel;
    const auto tile = [&](int first, float inverse) __attribute__((always_inline)) {
      FASTSR_UNROLL
      for (int k = 0; k < kPlanes; ++k) {
        Floats evens[kPlanes], odds[kPlanes], even_planes[kPlanes], odd_planes[kPlanes];
        FASTSR_UNROLL
        for (int i = 0; i < kPlanes; ++i) {
          evens[i] = even[first + i][k];
          odds[i] = odd[first + i][k];
        }
        integer_input_transform(evens, even_planes);
        integer_input_transform(odds, odd_planes);
        FASTSR_UNROLL
        for (int i = 0; i < kPlanes; ++i) {
          const Floats factor = scale(i, k) * splat(inverse);
          const Ints pairs = low_halves(rounded(even_planes[i], factor), rounded(odd_planes[i], factor));
          std::memcpy(target + (i * kPlanes + k) * plane, &pairs, kBytes);
        }
      }
      target += rows.padded_channels;
    };
    columns(run.first * kOutputs, 0, 2);
    for (int64_t t = 0; t < run.count; t += 2) {
      const int64_t x = (run.first + t) * kOutputs;
      const int two = t + 1 < run.count ? 2 : 1;
      columns(x + 2, 2, two * kOutputs + 2);
      for (int i = 0; i < two; ++i) tile(i * kOutputs, notes[(t + i) * tile_floats + 1]);
      FASTSR_UNROLL
      for (int i = 0; i < 2 * kPlanes; ++i) {
        even[i / kPlanes][i % kPlanes] = even[2 * kOutputs + i / kPlanes][i % kPlanes];
        odd[i / kPlanes][i % kPlanes] = odd[2 * kOutputs + i / kPlanes][i % kPlanes];
      }
    }
  }
};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
