// The order in which a unit's steps make their rows.
#pragma once

#include <algorithm>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// Calls make(step, first row, rows), in the terms of make_rows (step_rows.h), for batch after batch of a unit's rows,
// as long as it returns true.
template <typename Make>
void in_order(const ConvProgram& program, Unit& unit, const RingRows& rows, const Make& make) {
  const int64_t body = program.body_factor, batch = rows.batch;
  // The layers start one after the other, `latency` rows before the first one comes out at the end.
  const int64_t before = round_up(rows.latency, batch * body) / body;
  for (int64_t top = unit.top - before; top < unit.bottom; top += batch) {
    const int64_t bottom = std::min(top + batch, unit.bottom);
    required_regions(program, top * body, bottom * body - 1, 0, unit.rows);
    for (const Step& step : program.steps) {
      if (step.kind == Step::Kind::store) {
        const int64_t first = std::max(top, unit.top);
        if (first < bottom && !make(step, first * body, (bottom - first) * body)) return;
        continue;
      }
      int64_t& next = unit.next[step.target];
      const Tensor& target = program.tensors[step.target];
      const int64_t end = std::min(unit.rows[step.target].last, target.length(0, unit.frame.shape.height) - 1);
      const int64_t alignment = target.alignment[0], count = end < next ? 0 : (end - next) / alignment + 1;
      if (count == 0) continue;
      const int64_t first = (next - target.shift[0]) / alignment;
      next += count * alignment;
      if (!make(step, first, count)) return;
    }
  }
}

}  // namespace fastsr::cpu
