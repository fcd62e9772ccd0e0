// Compiled once per instruction set (FASTSR_ISA_NAME names the namespace). The kernels below "in vectors" make 16
// samples at a time, so rows of scratch memory are padded and the ends of rows in planes and pixels are copied through
// it. Everything is integer arithmetic whose sums fit, so each instruction set makes the same bytes.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/window.h"
#include "cpu/yuv420.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace fastsr::cpu::FASTSR_ISA_NAME {
namespace {

constexpr int64_t kBlock = 16;  // samples that a kernel makes at a time

// Fractions that integers have: matrices to and from YUV, taps that halve and that enlarge chroma, and what chroma is
// held in between.
constexpr int kFromRgbBits = 15, kToRgbBits = 13, kHalvingBits = 15, kEnlargingBits = 14, kHalvedBits = 6,
              kEnlargedBits = 7;
constexpr int kLimitedBlack = 16, kGray = 128;

// A chroma sample from eight pixels, the first of which lies `first` before the even pixel.
struct HalvingTaps {
  int first;
  int16_t weights[8];
};
constexpr HalvingTaps kHalvedLeft{-4, {0, -1229, 0, 9421, 16384, 9421, 0, -1229}};
constexpr HalvingTaps kHalvedCentre{-3, {-461, -1382, 3942, 14285, 14285, 3942, -1382, -461}};

// An even and an odd pixel from four chroma samples each, those from 2 before on, and those from 1 before on.
struct EnlargingTaps {
  int16_t weights[2][4];
};
constexpr EnlargingTaps kEnlargedLeft{{{0, 0, 16384, 0}, {-1229, 9421, 9421, -1229}}};
constexpr EnlargingTaps kEnlargedCentre{{{-461, 3942, 14285, -1382}, {-1382, 14285, 3942, -461}}};

// Chroma rows lie in the middle between two rows of luma, wherever its columns do.
const HalvingTaps& halving_columns(const YuvColors& colors) { return colors.chroma_left ? kHalvedLeft : kHalvedCentre; }
const EnlargingTaps& enlarging_columns(const YuvColors& colors) {
  return colors.chroma_left ? kEnlargedLeft : kEnlargedCentre;
}

int16_t fixed(double value, int bits) { return static_cast<int16_t>(std::lround(std::ldexp(value, bits))); }

// What is 255 in RGB is worth so many levels of luma and of chroma.
double luma_levels(const YuvColors& colors) { return colors.full_range ? 255 : 219; }
double chroma_levels(const YuvColors& colors) { return colors.full_range ? 255 : 224; }

// Rows for luma, blue and red difference, columns for R, G and B. White is exact and grays have no chroma, for what
// rounding leaves goes to the largest coefficient.
struct FromRgb {
  int16_t weights[3][3];
  int black;

  explicit FromRgb(const YuvColors& colors) : black(colors.full_range ? 0 : kLimitedBlack) {
    const double luma = luma_levels(colors) / 255, chroma = chroma_levels(colors) / 255;
    const double shares[3] = {colors.red, 1 - colors.red - colors.blue, colors.blue};
    int16_t* y = weights[0];
    y[0] = fixed(luma * shares[0], kFromRgbBits);
    y[2] = fixed(luma * shares[2], kFromRgbBits);
    y[1] = static_cast<int16_t>(std::lround(std::ldexp(luma, kFromRgbBits)) - y[0] - y[2]);
    for (const int own : {2, 0}) {
      int16_t* difference = weights[own == 2 ? 1 : 2];
      for (int c = 0; c < 3; ++c) {
        if (c != own) difference[c] = fixed(-chroma * shares[c] / (2 * (1 - shares[own])), kFromRgbBits);
      }
      difference[own] = static_cast<int16_t>(-(difference[1] + difference[2 - own]));
    }
  }
};

// Weights of luma, blue difference and red difference.
struct ToRgb {
  int16_t luma, red_of_red, green_of_blue, green_of_red, blue_of_blue;
  int16_t black;

  explicit ToRgb(const YuvColors& colors) : black(colors.full_range ? 0 : kLimitedBlack) {
    const double gain = 255 / chroma_levels(colors), red = 2 * (1 - colors.red), blue = 2 * (1 - colors.blue);
    const double green = 1 - colors.red - colors.blue;
    luma = fixed(255 / luma_levels(colors), kToRgbBits);
    red_of_red = fixed(gain * red, kToRgbBits);
    blue_of_blue = fixed(gain * blue, kToRgbBits);
    green_of_blue = fixed(-gain * blue * colors.blue / green, kToRgbBits);
    green_of_red = fixed(-gain * red * colors.red / green, kToRgbBits);
  }
};

// ---- in vectors -----------------------------------------------------------------------------------------------------

#if defined(__AVX2__)

using Shorts = __m256i;  // 16 of them

__m256i pairs_of(int16_t first, int16_t second) {
  return _mm256_set1_epi32(
      static_cast<int32_t>(static_cast<uint16_t>(first) | static_cast<uint32_t>(static_cast<uint16_t>(second)) << 16));
}
Shorts load_shorts(const int16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
void store_shorts(int16_t* p, Shorts v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
Shorts widened(const uint8_t* p) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
__m128i narrowed(Shorts v) { return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)); }

// Sums of 32 bits, rounded and without their last bits.
template <int kBits>
__m256i rounded(__m256i sums) {
  return _mm256_srai_epi32(_mm256_add_epi32(sums, _mm256_set1_epi32(1 << (kBits - 1))), kBits);
}

// a[i] * first + b[i] * second + c[i] * third + d[i] * fourth.
template <int kBits>
Shorts weighted(Shorts a, Shorts b, Shorts c, Shorts d, __m256i first_two, __m256i last_two) {
  const auto half = [&](__m256i ab, __m256i cd) {
    return rounded<kBits>(_mm256_add_epi32(_mm256_madd_epi16(ab, first_two), _mm256_madd_epi16(cd, last_two)));
  };
  return _mm256_packs_epi32(half(_mm256_unpacklo_epi16(a, b), _mm256_unpacklo_epi16(c, d)),
                            half(_mm256_unpackhi_epi16(a, b), _mm256_unpackhi_epi16(c, d)));
}

// 16 pixels to luma and both differences.
class FromRgbBlock {
 public:
  explicit FromRgbBlock(const FromRgb& matrix) : black_(_mm256_set1_epi16(static_cast<int16_t>(matrix.black))) {
    for (int i = 0; i < 3; ++i) {
      const int16_t* weights = matrix.weights[i];
      red_green_[i] = pairs_of(weights[0], weights[1]);
      blue_[i] = pairs_of(weights[2], 0);
    }
  }

  void operator()(const uint8_t* pixels, uint8_t* luma, int16_t* blue, int16_t* red) const {
    // 8 pixels a vector, 4 in each half; the last of the four loads ends where the 16 pixels do.
    const auto halves = [&](int low, int high) {
      const auto at = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + i)); };
      return _mm256_inserti128_si256(_mm256_castsi128_si256(at(low)), at(high), 1);
    };
    const __m256i first = halves(0, 12), last = halves(20, 32);
    const __m256i first_rg = _mm256_shuffle_epi8(first, red_green(0)), first_b = _mm256_shuffle_epi8(first, only(2));
    const __m256i last_rg = _mm256_shuffle_epi8(last, red_green(4)), last_b = _mm256_shuffle_epi8(last, only(6));
    const auto sums = [&](int i, __m256i rg, __m256i b) {
      return _mm256_add_epi32(_mm256_madd_epi16(rg, red_green_[i]), _mm256_madd_epi16(b, blue_[i]));
    };
    const auto joined = [](__m256i a, __m256i b) {
      return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), _MM_SHUFFLE(3, 1, 2, 0));
    };
    const auto difference = [&](int i) {
      return joined(rounded<kFromRgbBits - kHalvedBits>(sums(i, first_rg, first_b)),
                    rounded<kFromRgbBits - kHalvedBits>(sums(i, last_rg, last_b)));
    };
    const Shorts y =
        joined(rounded<kFromRgbBits>(sums(0, first_rg, first_b)), rounded<kFromRgbBits>(sums(0, last_rg, last_b)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(luma), narrowed(_mm256_add_epi16(y, black_)));
    store_shorts(blue, difference(1));
    store_shorts(red, difference(2));
  }

 private:
  // Pairs (R, G), or (B, 0), of 16 bits, of four pixels whose bytes begin at `from`.
  static __m256i red_green(int from) {
    return shuffled([&](int i) { return i % 2 ? -1 : from + i / 4 * 3 + i / 2 % 2; });
  }
  static __m256i only(int from) {
    return shuffled([&](int i) { return i % 4 ? -1 : from + i / 4 * 3; });
  }
  template <typename Place>
  static __m256i shuffled(const Place& place) {
    alignas(32) int8_t places[32];
    for (int i = 0; i < 32; ++i) places[i] = static_cast<int8_t>(place(i % 16));
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(places));
  }

  __m256i red_green_[3], blue_[3], black_;
};

void halve_columns(const int16_t* row, const HalvingTaps& taps, int64_t count, int16_t* out) {
  __m256i weights[4];
  for (int k = 0; k < 4; ++k) weights[k] = pairs_of(taps.weights[2 * k], taps.weights[2 * k + 1]);
  const auto eight = [&](const int16_t* from) {
    __m256i sums = _mm256_madd_epi16(load_shorts(from), weights[0]);
    for (int k = 1; k < 4; ++k) {
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(load_shorts(from + 2 * k), weights[k]));
    }
    return rounded<kHalvingBits>(sums);
  };
  for (int64_t i = 0; i < count; i += kBlock) {
    const int16_t* from = row + 2 * i + taps.first;
    const Shorts made = _mm256_packs_epi32(eight(from), eight(from + 16));
    store_shorts(out + i, _mm256_permute4x64_epi64(made, _MM_SHUFFLE(3, 1, 2, 0)));
  }
}

void halve_rows(const int16_t* const* rows, const HalvingTaps& taps, int64_t i, uint8_t* out) {
  __m256i low = _mm256_setzero_si256(), high = low;
  for (int k = 0; k < 8; k += 2) {
    const Shorts a = load_shorts(rows[k] + i), b = load_shorts(rows[k + 1] + i);
    const __m256i weights = pairs_of(taps.weights[k], taps.weights[k + 1]);
    low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), weights));
    high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), weights));
  }
  constexpr int kBits = kHalvingBits + kHalvedBits;
  const Shorts made = _mm256_packs_epi32(rounded<kBits>(low), rounded<kBits>(high));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), narrowed(_mm256_add_epi16(made, _mm256_set1_epi16(kGray))));
}

void enlarge_rows(const uint8_t* const* rows, const int16_t* taps, int64_t i, int16_t* out) {
  const auto row = [&](int k) { return _mm256_sub_epi16(widened(rows[k] + i), _mm256_set1_epi16(kGray)); };
  constexpr int kBits = kEnlargingBits - kEnlargedBits;
  store_shorts(out,
               weighted<kBits>(row(0), row(1), row(2), row(3), pairs_of(taps[0], taps[1]), pairs_of(taps[2], taps[3])));
}

void enlarge_columns(const int16_t* row, const EnlargingTaps& taps, int64_t count, int16_t* out) {
  __m256i weights[2][2];
  for (int phase = 0; phase < 2; ++phase) {
    const int16_t* w = taps.weights[phase];
    weights[phase][0] = pairs_of(w[0], w[1]);
    weights[phase][1] = pairs_of(w[2], w[3]);
  }
  for (int64_t i = 0; i < count; i += kBlock) {
    Shorts near[5];
    for (int k = 0; k < 5; ++k) near[k] = load_shorts(row + i + k - 2);
    const auto phase = [&](int p) {
      return weighted<kEnlargingBits>(near[p], near[p + 1], near[p + 2], near[p + 3], weights[p][0], weights[p][1]);
    };
    const Shorts even = phase(0), odd = phase(1);
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    store_shorts(out + 2 * i, _mm256_permute2x128_si256(low, high, 0x20));
    store_shorts(out + 2 * i + 16, _mm256_permute2x128_si256(low, high, 0x31));
  }
}

// Luma and both differences to 16 pixels.
class ToRgbBlock {
 public:
  explicit ToRgbBlock(const ToRgb& matrix)
      : black_(_mm256_set1_epi16(matrix.black)),
        red_(pairs_of(matrix.luma, matrix.red_of_red)),
        blue_(pairs_of(matrix.luma, matrix.blue_of_blue)),
        green_(pairs_of(matrix.luma, matrix.green_of_blue)),
        more_green_(pairs_of(0, matrix.green_of_red)) {
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < 48; ++i) places_[c][i] = static_cast<int8_t>(i % 3 == c ? i / 3 : -1);
    }
  }

  void operator()(const uint8_t* luma, const int16_t* blue, const int16_t* red, uint8_t* pixels) const {
    const Shorts y = _mm256_slli_epi16(_mm256_sub_epi16(widened(luma), black_), kEnlargedBits);
    const Shorts cb = load_shorts(blue), cr = load_shorts(red);
    const __m256i of_red[2] = {_mm256_unpacklo_epi16(y, cr), _mm256_unpackhi_epi16(y, cr)};
    const __m256i of_blue[2] = {_mm256_unpacklo_epi16(y, cb), _mm256_unpackhi_epi16(y, cb)};
    const auto made = [](__m256i low, __m256i high) {
      constexpr int kBits = kToRgbBits + kEnlargedBits;
      return narrowed(_mm256_packs_epi32(rounded<kBits>(low), rounded<kBits>(high)));
    };
    const auto green = [&](int half) {
      return _mm256_add_epi32(_mm256_madd_epi16(of_blue[half], green_), _mm256_madd_epi16(of_red[half], more_green_));
    };
    const __m128i channels[3] = {made(_mm256_madd_epi16(of_red[0], red_), _mm256_madd_epi16(of_red[1], red_)),
                                 made(green(0), green(1)),
                                 made(_mm256_madd_epi16(of_blue[0], blue_), _mm256_madd_epi16(of_blue[1], blue_))};
    for (int part = 0; part < 48; part += 16) {
      __m128i bytes = _mm_setzero_si128();
      for (int c = 0; c < 3; ++c) {
        const __m128i places = _mm_load_si128(reinterpret_cast<const __m128i*>(places_[c] + part));
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(channels[c], places));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels + part), bytes);
    }
  }

 private:
  __m256i black_, red_, blue_, green_, more_green_;
  alignas(16) int8_t places_[3][48];
};

// ---- the same, sample by sample -------------------------------------------------------------------------------------

#else

int32_t rounded(int32_t sum, int bits) { return (sum + (1 << (bits - 1))) >> bits; }
uint8_t clamped(int32_t value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

class FromRgbBlock {
 public:
  explicit FromRgbBlock(const FromRgb& matrix) : matrix_(matrix) {}

  void operator()(const uint8_t* pixels, uint8_t* luma, int16_t* blue, int16_t* red) const {
    for (int i = 0; i < kBlock; ++i) {
      const auto sum = [&](int k) {
        const int16_t* weights = matrix_.weights[k];
        return weights[0] * pixels[3 * i] + weights[1] * pixels[3 * i + 1] + weights[2] * pixels[3 * i + 2];
      };
      luma[i] = clamped(rounded(sum(0), kFromRgbBits) + matrix_.black);
      blue[i] = static_cast<int16_t>(rounded(sum(1), kFromRgbBits - kHalvedBits));
      red[i] = static_cast<int16_t>(rounded(sum(2), kFromRgbBits - kHalvedBits));
    }
  }

 private:
  FromRgb matrix_;
};

void halve_columns(const int16_t* row, const HalvingTaps& taps, int64_t count, int16_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 8; ++k) sum += taps.weights[k] * row[2 * i + taps.first + k];
    out[i] = static_cast<int16_t>(rounded(sum, kHalvingBits));
  }
}

void halve_rows(const int16_t* const* rows, const HalvingTaps& taps, int64_t first, uint8_t* out) {
  for (int64_t i = 0; i < kBlock; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 8; ++k) sum += taps.weights[k] * rows[k][first + i];
    out[i] = clamped(rounded(sum, kHalvingBits + kHalvedBits) + kGray);
  }
}

void enlarge_rows(const uint8_t* const* rows, const int16_t* taps, int64_t first, int16_t* out) {
  for (int64_t i = 0; i < kBlock; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 4; ++k) sum += taps[k] * (rows[k][first + i] - kGray);
    out[i] = static_cast<int16_t>(rounded(sum, kEnlargingBits - kEnlargedBits));
  }
}

void enlarge_columns(const int16_t* row, const EnlargingTaps& taps, int64_t count, int16_t* out) {
  for (int64_t i = 0; i < 2 * count; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 4; ++k) sum += taps.weights[i % 2][k] * row[i / 2 + i % 2 - 2 + k];
    out[i] = static_cast<int16_t>(rounded(sum, kEnlargingBits));
  }
}

class ToRgbBlock {
 public:
  explicit ToRgbBlock(const ToRgb& matrix) : matrix_(matrix) {}

  void operator()(const uint8_t* luma, const int16_t* blue, const int16_t* red, uint8_t* pixels) const {
    for (int i = 0; i < kBlock; ++i) {
      const int32_t y = matrix_.luma * ((luma[i] - matrix_.black) * (1 << kEnlargedBits));
      const auto made = [&](int32_t sum) { return clamped(rounded(sum, kToRgbBits + kEnlargedBits)); };
      pixels[3 * i] = made(y + matrix_.red_of_red * red[i]);
      pixels[3 * i + 1] = made(y + matrix_.green_of_blue * blue[i] + matrix_.green_of_red * red[i]);
      pixels[3 * i + 2] = made(y + matrix_.blue_of_blue * blue[i]);
    }
  }

 private:
  ToRgb matrix_;
};

#endif

// ---- rows and frames ------------------------------------------------------------------------------------------------

int64_t whole_blocks(int64_t samples) { return (samples + kBlock - 1) / kBlock * kBlock; }

// Rows of samples that kernels may read and write beyond their ends.
class Rows {
 public:
  Rows(int64_t rows, int64_t width) : width_(width + 2 * kAround), samples_(static_cast<size_t>(rows * width_)) {}

  int16_t* operator[](int64_t row) { return samples_.data() + row * width_ + kAround; }

  // The first of `count` samples repeated before them, the last one behind.
  void extend(int64_t row, int64_t count) {
    int16_t* samples = (*this)[row];
    std::fill(samples - kAround, samples, samples[0]);
    std::fill(samples + count, samples + width_ - kAround, samples[count - 1]);
  }

 private:
  static constexpr int64_t kAround = kBlock;
  int64_t width_;
  std::vector<int16_t> samples_;
};

// Calls body(first sample, how many) for blocks that cover 0..count - 1.
template <typename Body>
void for_each_block(int64_t count, const Body& body) {
  for (int64_t i = 0; i < count; i += kBlock) body(i, std::min(kBlock, count - i));
}

// Where a block reads or writes: in place, or, where a row ends inside of it, in a copy.
class Bytes {
 public:
  const uint8_t* read(const uint8_t* from, int64_t count, int64_t whole) {
    if (count == whole) return from;
    std::memset(copy_, 0, sizeof copy_);
    std::memcpy(copy_, from, count);
    return copy_;
  }
  uint8_t* place(uint8_t* to, int64_t count, int64_t whole) { return count == whole ? to : copy_; }
  void written(uint8_t* to, int64_t count, int64_t whole) const {
    if (count < whole) std::memcpy(to, copy_, count);
  }

 private:
  uint8_t copy_[3 * kBlock];
};

void from_rgb(const YuvConversion& a) {
  const YuvFrame& frame = a.frame;
  const int64_t height = frame.height, width = frame.width, rows = (height + 1) / 2, columns = (width + 1) / 2;
  if (height == 0 || width == 0) return;
  constexpr int kTaps = 8, kKept = 8;  // rows that one row of chroma is made of
  const FromRgbBlock block{FromRgb(a.colors)};
  const HalvingTaps &across = halving_columns(a.colors), &down = kHalvedCentre;
  Rows whole(2, 2 * whole_blocks(columns)), halved(2 * kKept, whole_blocks(columns));
  int64_t next = 0;  // row of chroma
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* pixels = a.pixels + y * width * 3;
    uint8_t* luma = frame.planes[0].data + y * frame.planes[0].stride;
    for_each_block(width, [&](int64_t x, int64_t count) {
      Bytes given, made;
      block(given.read(pixels + 3 * x, 3 * count, 3 * kBlock), made.place(luma + x, count, kBlock), whole[0] + x,
            whole[1] + x);
      made.written(luma + x, count, kBlock);
    });
    for (int c = 0; c < 2; ++c) {
      whole.extend(c, width);
      halve_columns(whole[c], across, columns, halved[c * kKept + y % kKept]);
    }
    for (; next < rows && std::min(2 * next + down.first + kTaps - 1, height - 1) <= y; ++next) {
      for (int c = 0; c < 2; ++c) {
        const int16_t* near[kTaps];
        for (int k = 0; k < kTaps; ++k) {
          near[k] = halved[c * kKept + clamp_index(2 * next + down.first + k, height) % kKept];
        }
        uint8_t* chroma = frame.planes[1 + c].data + next * frame.planes[1 + c].stride;
        for_each_block(columns, [&](int64_t x, int64_t count) {
          Bytes made;
          halve_rows(near, down, x, made.place(chroma + x, count, kBlock));
          made.written(chroma + x, count, kBlock);
        });
      }
    }
  }
}

void to_rgb(const YuvConversion& a) {
  const YuvFrame& frame = a.frame;
  const int64_t height = frame.height, width = frame.width, rows = (height + 1) / 2, columns = (width + 1) / 2;
  if (height == 0 || width == 0) return;
  constexpr int kTaps = 4;
  const ToRgbBlock block{ToRgb(a.colors)};
  const EnlargingTaps& across = enlarging_columns(a.colors);
  Rows high(2, whole_blocks(columns)), whole(2, 2 * whole_blocks(columns));
  for (int64_t y = 0; y < height; ++y) {
    const int16_t* down = kEnlargedCentre.weights[y % 2];
    for (int c = 0; c < 2; ++c) {
      const YuvPlane& plane = frame.planes[1 + c];
      const uint8_t* near[kTaps];
      for (int k = 0; k < kTaps; ++k) near[k] = plane.data + clamp_index(y / 2 + y % 2 - 2 + k, rows) * plane.stride;
      for_each_block(columns, [&](int64_t x, int64_t count) {
        Bytes copies[kTaps];
        const uint8_t* read[kTaps];
        for (int k = 0; k < kTaps; ++k) read[k] = copies[k].read(near[k] + x, count, kBlock);
        enlarge_rows(read, down, 0, high[c] + x);
      });
      high.extend(c, columns);
      enlarge_columns(high[c], across, columns, whole[c]);
    }
    const uint8_t* luma = frame.planes[0].data + y * frame.planes[0].stride;
    uint8_t* pixels = a.pixels + y * width * 3;
    for_each_block(width, [&](int64_t x, int64_t count) {
      Bytes given, made;
      block(given.read(luma + x, count, kBlock), whole[0] + x, whole[1] + x,
            made.place(pixels + 3 * x, 3 * count, 3 * kBlock));
      made.written(pixels + 3 * x, 3 * count, 3 * kBlock);
    });
  }
}

}  // namespace

const Yuv420Kernels yuv420_kernels{from_rgb, to_rgb};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
