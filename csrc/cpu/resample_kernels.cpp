// Compiled once per instruction set (FASTSR_ISA_NAME names the namespace); plain loops that the compiler vectorises.
#include <algorithm>

#include "common/pixel.h"
#include "cpu/resampling.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {
namespace {

constexpr int64_t kRangeSums = 1 << 14;  // sums per range, so that waking a thread pays
constexpr int64_t kBlock = 512;          // samples whose sums stay in the cache

int64_t rows_per_range(int64_t sums) { return std::max<int64_t>(1, kRangeSums / std::max<int64_t>(1, sums)); }

// C is known so that the sums of a pixel stay in registers; 0: any number of channels.
template <int C>
void resample_row(const ResampleColumns& a, const float* __restrict row, float* __restrict out) {
  const int64_t channels = C ? C : a.channels;
  for (int64_t x = 0; x < a.taps.count; ++x) {
    const float* first = row + a.taps.starts[x] * channels;
    const double* weights = a.taps.weights + x * a.taps.taps;
    if constexpr (C > 0) {
      double sums[C] = {};
      for (int64_t k = 0; k < a.taps.taps; ++k) {
        for (int c = 0; c < C; ++c) sums[c] += static_cast<double>(first[k * C + c]) * weights[k];
      }
      for (int c = 0; c < C; ++c) out[x * C + c] = static_cast<float>(sums[c]);
    } else {
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < a.taps.taps; ++k) sum += static_cast<double>(first[k * channels + c]) * weights[k];
        out[x * channels + c] = static_cast<float>(sum);
      }
    }
  }
}

void columns(const ResampleColumns& a) {
  const auto row = a.channels == 1   ? resample_row<1>
                   : a.channels == 2 ? resample_row<2>
                   : a.channels == 3 ? resample_row<3>
                                     : resample_row<0>;
  parallel_for(a.height, rows_per_range(a.taps.count * a.channels), [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      row(a, a.rows + y * a.width * a.channels, a.out + y * a.taps.count * a.channels);
    }
  });
}

template <typename T>
void rows_as(const ResampleRows& a) {
  parallel_for(a.taps.count, rows_per_range(a.samples), [&](int64_t begin, int64_t end) {
    double sums[kBlock];
    for (int64_t y = begin; y < end; ++y) {
      const float* first = a.rows + a.taps.starts[y] * a.samples;
      const double* weights = a.taps.weights + y * a.taps.taps;
      T* out = static_cast<T*>(a.out) + y * a.samples;
      for (int64_t x = 0; x < a.samples; x += kBlock) {
        const int64_t count = std::min(kBlock, a.samples - x);
        std::fill_n(sums, count, 0.0);
        for (int64_t k = 0; k < a.taps.taps; ++k) {
          const float* __restrict row = first + k * a.samples + x;
          const double weight = weights[k];
          for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(row[i]) * weight;
        }
        for (int64_t i = 0; i < count; ++i) out[x + i] = to_pixel<T>(static_cast<float>(sums[i]));
      }
    }
  });
}

void rows(const ResampleRows& a) {
  switch (a.type) {
    case Type::u8: return rows_as<uint8_t>(a);
    case Type::u16: return rows_as<uint16_t>(a);
    default: return rows_as<float>(a);
  }
}

}  // namespace

const ResampleKernels resample_kernels{columns, rows};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
