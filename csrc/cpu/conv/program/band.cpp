#include "cpu/conv/program/band.h"

#include <algorithm>
#include <vector>

namespace fastsr::cpu {

Interval input_rows(const ConvProgram& program, int64_t height, int64_t top, int64_t bottom) {
  const int64_t block = program.block(), body = program.body_factor;
  std::vector<Interval> need;
  required_regions(program, top / block * body, (bottom + block - 1) / block * body - 1, 0, need);
  int64_t first = top, last = bottom - 1;
  for (const Step& step : program.steps) {
    if (step.kind != Step::Kind::load || need[step.target].empty()) continue;
    first = std::min(first, need[step.target].first * program.fold);
    last = std::max(last, (need[step.target].last + 1) * program.fold - 1);
  }
  const Base base = program.steps.back().base;
  if (base == Base::bilinear || base == Base::bicubic) {
    first = std::min(first, top - kCubicTaps);
    last = std::max(last, bottom - 1 + kCubicTaps);
  }
  return Interval{std::max<int64_t>(first, 0), std::min(last, height - 1)};
}

}  // namespace fastsr::cpu
