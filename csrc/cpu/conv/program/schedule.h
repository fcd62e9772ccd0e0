// In which order the units of several parts of a frame are worked on.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// A part of a frame, and how it is cut.
struct PlannedPart {
  const Frame* frame;
  Partition parts;
  RingRows rows;

  int64_t units() const { return parts.columns * parts.rows; }
};

// Units that threads take one after the other; the next stage begins when all are done.
struct Stage {
  std::vector<PlannedPart> planned;
  int64_t at_once;  // units

  int64_t units() const;
  // Unit `index` of all, as one of a part.
  std::pair<const PlannedPart*, int64_t> unit(int64_t index) const;
};

// A stage for each part, which all threads share, or a single one where parts are enough to keep each thread busy with
// its own and no bound of memory is given.
std::vector<Stage> schedule(const ConvProgram& program, const std::vector<Frame>& parts, CutBounds bounds);

}  // namespace fastsr::cpu
