// The row reduction: kernel rows that were computed apart, as outputs of their own, are added up.
#pragma once

#include <algorithm>

#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

constexpr int64_t kFew = 4;  // channels that are summed at once
typedef float FewFloats __attribute__((vector_size(4 * kFew)));
typedef int32_t FewInts __attribute__((vector_size(4 * kFew)));

constexpr int kUsualTerms = 10;  // of a kernel of nine rows in int8

// Of up to kFew channels: reads that many of each row, and keeps as many as there are. A small kMostTerms has the
// compiler unroll the loop over them.
template <bool kScaled, int kMostTerms>
void reduce_few(const ReduceRows& row) {
  FewFloats init{}, scales[kMostTerms];
  FewInts kept{};
  const float* rows[kMostTerms]{};
  std::copy(row.rows, row.rows + row.terms, rows);
  for (int64_t c = 0; c < row.channels; ++c) {
    init[c] = row.init[c];
    kept[c] = -1;
  }
  for (int k = 0; kScaled && k < row.terms; ++k) {
    for (int64_t c = 0; c < row.channels; ++c) scales[k][c] = row.scales[k * row.channels + c];
    for (int64_t c = row.channels; c < kFew; ++c) scales[k][c] = 0.f;
  }
  // Read once: the stores could reach them, as far as the compiler knows.
  const int64_t stride = row.target_stride, padded = row.target_padded;
  for (int64_t x = 0; x < row.count; ++x) {
    FewFloats sum = init;
    for (int k = 0; k < row.terms; ++k) {
      const float* term = rows[k] + x * row.source_padded + k * row.channels;
      if (kScaled) {
        sum += __builtin_convertvector(load_vector<FewInts>(term), FewFloats) * scales[k];
      } else {
        sum += load_vector<FewFloats>(term);
      }
    }
    float* target = row.target + x * stride;
    store_vector(target, reinterpret_cast<FewInts>(sum) & kept);
    for (int64_t c = kFew; c < padded; ++c) target[c] = 0.f;
  }
}

template <bool kScaled>
void reduce_few(const ReduceRows& row) {
  return row.terms <= kUsualTerms ? reduce_few<kScaled, kUsualTerms>(row) : reduce_few<kScaled, kMaxKernel + 1>(row);
}

FASTSR_HOT float reduce_one(const ReduceRows& row, int64_t x, int64_t c) {
  float sum = row.init[c];
  for (int k = 0; k < row.terms; ++k) {
    const float* term = row.rows[k] + x * row.source_padded + k * row.channels + c;
    int32_t bits;
    std::memcpy(&bits, term, sizeof bits);
    sum += row.scales == nullptr ? *term : static_cast<float>(bits) * row.scales[k * row.channels + c];
  }
  return sum;
}

inline void reduce_rows(const ReduceRows& row) {
  if (row.channels <= kFew && (row.terms - 1) * row.channels + kFew <= row.source_padded) {
    return row.scales == nullptr ? reduce_few<false>(row) : reduce_few<true>(row);
  }
  for (int64_t x = 0; x < row.count; ++x) {
    float* target = row.target + x * row.target_stride;
    for (int64_t c = 0; c < row.channels; ++c) target[c] = reduce_one(row, x, c);
    for (int64_t c = row.channels; c < row.target_padded; ++c) target[c] = 0.f;
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
