// The remap step: samples moved by a table, such as a pixel shuffle or a nearest enlargement.
#pragma once

#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

inline void remap_row(const RemapRow& row) {
  for (int64_t i = 0; i < row.count; ++i) {
    const int64_t x = i + row.phase;
    const float* source = row.source + x / row.factor * row.source_stride;
    const int32_t* table = row.table + x % row.factor * row.channels;
    float* target = row.target + i * row.target_stride;
    for (int64_t c = 0; c < row.channels; ++c) target[c] = source[table[c]];
    for (int64_t c = row.channels; c < row.target_padded; ++c) target[c] = 0.f;
  }
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
