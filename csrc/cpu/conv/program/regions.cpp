#include "cpu/conv/program/regions.h"

#include <algorithm>

namespace fastsr::cpu {
namespace {

Interval joined(Interval a, Interval b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return Interval{std::min(a.first, b.first), std::max(a.last, b.last)};
}

}  // namespace

void required_regions(const ConvProgram& program, int64_t first, int64_t last, int axis, std::vector<Interval>& need) {
  need.assign(program.tensors.size(), Interval{});
  const auto require = [&](int tensor, const Interval& read) {
    need[tensor] = joined(need[tensor], read);
    for (const int part : program.tensors[tensor].parts) need[part] = joined(need[part], read);
  };
  require(program.steps.back().source, Interval{first, last});
  for (auto step = program.steps.rbegin(); step != program.steps.rend(); ++step) {
    if (step->kind == Step::Kind::store || step->kind == Step::Kind::load) continue;
    Interval& made = need[step->target];
    if (made.empty()) continue;
    const Tensor& target = program.tensors[step->target];
    const int64_t alignment = target.alignment[axis], shift = target.shift[axis];
    made = Interval{aligned_begin(made.first, alignment, shift),
                    aligned_begin(made.last, alignment, shift) + alignment - 1};
    const Interval read{floor_div(made.first, step->factor) * step->down - step->before[axis],
                        floor_div(made.last, step->factor) * step->down + step->after[axis]};
    if (step->add >= 0) require(step->add, made);
    if (step->times >= 0) require(step->times, made);
    require(step->source, read);
  }
  // Whose ring others are ranges of holds what any of them holds.
  for (size_t i = 0; i < need.size(); ++i) {
    for (int t = program.tensors[i].whole; t >= 0; t = program.tensors[t].whole) need[t] = joined(need[t], need[i]);
  }
}

}  // namespace fastsr::cpu
