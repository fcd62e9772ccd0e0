// Compiled once per instruction set (FASTSR_ISA_NAME names the namespace); plain loops that the compiler vectorises.
#include "cpu/png_filters.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "cpu/thread_pool.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {
namespace {

constexpr int64_t kRangeBytes = 1 << 16;  // work per range, so that waking a thread pays
constexpr int64_t kBlock = 256;           // bytes whose absolute values, up to 128 each, add up in 16 bits
constexpr int64_t kBlocks = 24;           // of a long row, at the least, that tell of its cost
constexpr int kFilters = 5;

// By value: the references of std::min and std::max keep the compiler from vectorising.
uint8_t lesser(uint8_t a, uint8_t b) { return a < b ? a : b; }
uint8_t greater(uint8_t a, uint8_t b) { return a > b ? a : b; }
uint8_t distance(uint8_t a, uint8_t b) { return static_cast<uint8_t>(greater(a, b) - lesser(a, b)); }

// Of a (left), b (above) and c (above left) the one nearest to p = a + b - c, ties in this order; in bytes alone. Where
// c does not lie between a and b, p is beyond both of them, nearest to the one away from c. Else p - c is the
// difference of |p - a| = |b - c| and |p - b| = |a - c|.
uint8_t paeth(uint8_t a, uint8_t b, uint8_t c) {
  const uint8_t low = lesser(a, b), high = greater(a, b);
  const uint8_t to_a = distance(b, c), to_b = distance(a, c), to_c = distance(to_a, to_b);
  const uint8_t b_or_c = to_b <= to_c ? b : c;
  const uint8_t between = to_a <= lesser(to_b, to_c) ? a : b_or_c;
  const uint8_t below = c >= high ? low : between;
  return c <= low ? high : below;
}

// What filter F predicts of a byte.
template <int F>
uint8_t predicted(uint8_t a, uint8_t b, uint8_t c) {
  switch (F) {
    case 1: return a;
    case 2: return b;
    case 3: return static_cast<uint8_t>((a & b) + ((a ^ b) >> 1));
    case 4: return paeth(a, b, c);
    default: return 0;
  }
}

// A row and the one above it; before both lie kMaxPixelBytes zeros, the pixel left of the first.
struct RowPair {
  const uint8_t *row, *above;
  int64_t bytes, pixel;
};

template <int F>
void store(const RowPair& pair, uint8_t* __restrict out) {
  const uint8_t *row = pair.row, *left = row - pair.pixel, *above = pair.above, *above_left = above - pair.pixel;
  for (int64_t i = 0; i < pair.bytes; ++i) {
    out[i] = static_cast<uint8_t>(row[i] - predicted<F>(left[i], above[i], above_left[i]));
  }
}

template <int F>
uint16_t block_cost(const uint8_t* row, const uint8_t* above, int64_t pixel, int64_t count) {
  const uint8_t *left = row - pixel, *above_left = above - pixel;
  uint16_t sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<uint8_t>(row[i] - predicted<F>(left[i], above[i], above_left[i]));
    sum = static_cast<uint16_t>(sum + lesser(value, static_cast<uint8_t>(-value)));
  }
  return sum;
}

int best_filter(const RowPair& pair) {
  std::array<int64_t, kFilters> costs{};
  const int64_t step = kBlock * std::max<int64_t>(1, pair.bytes / (kBlock * kBlocks));
  for (int64_t begin = 0; begin < pair.bytes; begin += step) {
    const int64_t count = std::min(kBlock, pair.bytes - begin);
    const uint8_t *row = pair.row + begin, *above = pair.above + begin;
    costs[0] += block_cost<0>(row, above, pair.pixel, count);
    costs[1] += block_cost<1>(row, above, pair.pixel, count);
    costs[2] += block_cost<2>(row, above, pair.pixel, count);
    costs[3] += block_cost<3>(row, above, pair.pixel, count);
    costs[4] += block_cost<4>(row, above, pair.pixel, count);
  }
  return static_cast<int>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

void store_best(const RowPair& pair, uint8_t* out) {
  const int filter = best_filter(pair);
  *out++ = static_cast<uint8_t>(filter);
  switch (filter) {
    case 0: return store<0>(pair, out);
    case 1: return store<1>(pair, out);
    case 2: return store<2>(pair, out);
    case 3: return store<3>(pair, out);
    default: return store<4>(pair, out);
  }
}

// The bytes of row `index` (-1: the one above the first) as PNG has them, most significant first.
void load(const PngRows& a, int64_t index, uint8_t* out) {
  const void* given = index < 0 ? a.above : static_cast<const uint8_t*>(a.rows) + index * a.row_bytes;
  if (given == nullptr) {
    std::memset(out, 0, a.row_bytes);
  } else if (a.sample_bytes == 1) {
    std::memcpy(out, given, a.row_bytes);
  } else {
    const auto* samples = static_cast<const uint16_t*>(given);
    for (int64_t i = 0; i < a.row_bytes / 2; ++i) {
      out[2 * i] = static_cast<uint8_t>(samples[i] >> 8);
      out[2 * i + 1] = static_cast<uint8_t>(samples[i]);
    }
  }
}

void filter_rows(const PngRows& a) {
  const auto rows = [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> first(kMaxPixelBytes + a.row_bytes), second(kMaxPixelBytes + a.row_bytes);
    uint8_t *row = first.data() + kMaxPixelBytes, *above = second.data() + kMaxPixelBytes;
    load(a, begin - 1, above);
    for (int64_t y = begin; y < end; ++y) {
      load(a, y, row);
      store_best({row, above, a.row_bytes, a.pixel_bytes}, a.out + y * (1 + a.row_bytes));
      std::swap(row, above);
    }
  };
  parallel_for(a.count, std::max<int64_t>(1, kRangeBytes / std::max<int64_t>(1, a.row_bytes)), rows);
}

}  // namespace

const PngKernels png_kernels{filter_rows};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
