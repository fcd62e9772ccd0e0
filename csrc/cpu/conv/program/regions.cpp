#include "cpu/conv/program/regions.h"

#include <algorithm>

namespace fastsr::cpu {
namespace {

Interval joined(Interval a, Interval b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return Interval{std::min(a.first, b.first), std::max(a.last, b.last)};
}

// Rows of a step's target that read any of source rows first..last, of `length`. Beyond its edges a source is read as
// its border says, so whatever reads beyond one may read the rows behind it.
Interval readers(const Step& step, int axis, const Interval& changed, int64_t length) {
  if (changed.empty()) return changed;
  const int64_t first = changed.first <= 0 ? 0 : -floor_div(step.after[axis] - changed.first, step.down);
  const int64_t last = changed.last >= length - 1 ? kFarRow : floor_div(changed.last + step.before[axis], step.down);
  return Interval{first * step.factor, last * step.factor + step.factor - 1};
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

Interval dependent_regions(const ConvProgram& program, int64_t first, int64_t last, int axis, int64_t blocks,
                           std::vector<Interval>& depends) {
  depends.assign(program.tensors.size(), Interval{});
  const auto of = [&](int tensor) {
    Interval all = depends[tensor];
    for (const int part : program.tensors[tensor].parts) all = joined(all, depends[part]);
    return all;
  };
  for (const Step& step : program.steps) {
    if (step.kind == Step::Kind::store) break;
    const Tensor& target = program.tensors[step.target];
    Interval made{floor_div(first, program.fold), floor_div(last, program.fold)};
    if (step.kind != Step::Kind::load) {
      made = readers(step, axis, of(step.source), program.tensors[step.source].length(axis, blocks));
      if (step.add >= 0) made = joined(made, of(step.add));
      if (step.times >= 0) made = joined(made, of(step.times));
    }
    if (made.empty()) continue;
    const int64_t alignment = target.alignment[axis], shift = target.shift[axis];
    const int64_t end = aligned_begin(made.last, alignment, shift) + alignment;
    depends[step.target] = Interval{std::max<int64_t>(aligned_begin(made.first, alignment, shift), 0),
                                    std::min(end, target.length(axis, blocks)) - 1};
  }
  const Step& store = program.steps.back();
  const int64_t reach = store.base == Base::bilinear || store.base == Base::bicubic ? kCubicTaps : 0;
  const int64_t scale = program.scale();
  const Interval base{floor_div((first - reach) * scale, store.factor),
                      floor_div((last + reach + 1) * scale - 1, store.factor)};
  const Interval stored = joined(of(store.source), base);
  return Interval{std::max<int64_t>(stored.first, 0), std::min(stored.last, blocks * program.body_factor - 1)};
}

}  // namespace fastsr::cpu
