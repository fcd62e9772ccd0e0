#include "cpu/conv/program/frame_part.h"

#include <algorithm>
#include <vector>

namespace fastsr::cpu {

Interval input_reads(const ConvProgram& program, int axis, int64_t length, int64_t begin, int64_t end) {
  const int64_t block = program.block(), body = program.body_factor;
  std::vector<Interval> need;
  required_regions(program, begin / block * body, (end + block - 1) / block * body - 1, axis, need);
  int64_t first = begin, last = end - 1;
  for (const Step& step : program.steps) {
    if (step.kind != Step::Kind::load || need[step.target].empty()) continue;
    first = std::min(first, need[step.target].first * program.fold);
    last = std::max(last, (need[step.target].last + 1) * program.fold - 1);
  }
  const Base base = program.steps.back().base;
  if (base == Base::bilinear || base == Base::bicubic) {
    first = std::min(first, begin - kCubicTaps);
    last = std::max(last, end - 1 + kCubicTaps);
  }
  return Interval{std::max<int64_t>(first, 0), std::min(last, length - 1)};
}

}  // namespace fastsr::cpu
