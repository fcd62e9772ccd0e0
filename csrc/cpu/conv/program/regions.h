// Required regions: which rows and columns of every tensor a part of the output depends on.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/conv/program/conv_program.h"

namespace fastsr::cpu {

constexpr int64_t kFarRow = 1 << 24;  // far from any edge, and a multiple of every factor's power in use

// First and last row (or column); empty when last < first.
struct Interval {
  int64_t first = 0, last = -1;
  bool empty() const { return last < first; }
  int64_t length() const { return last - first + 1; }
};

inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
inline int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }
// Where those rows (or columns) begin that are made together with `v`.
inline int64_t aligned_begin(int64_t v, int64_t alignment, int64_t shift) {
  return floor_div(v - shift, alignment) * alignment + shift;
}

// What of every tensor rows (axis 0) or columns (axis 1) first..last of the tensor that the store step reads depend on,
// in a frame without edges. Of a tensor that others are ranges of: what of any of them.
void required_regions(const ConvProgram& program, int64_t first, int64_t last, int axis, std::vector<Interval>& need);

// The other way round: what of every tensor depends on rows (columns) first..last of the pixels of a frame of so many
// blocks along the axis, in whole tiles; and what the store step makes of them, in terms of the tensor that it reads.
Interval dependent_regions(const ConvProgram& program, int64_t first, int64_t last, int axis, int64_t blocks,
                           std::vector<Interval>& depends);

}  // namespace fastsr::cpu
