// What a cut of a frame costs, foretold.
#pragma once

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

struct Cut {
  Partition parts;
  int64_t at_once;    // units that are worked on together
  int64_t bytes;      // of all their rings
  double work;        // multiplications, as a multiple of those of a single unit
  double efficiency;  // share of the threads' time that is not waiting for one another or done twice, by counting
};

// How `Executor::run` would cut a part of a frame; the shape and the part are in pixels.
Cut cut(const ConvProgram& program, const FrameShape& shape, const FramePart& part, CutBounds bounds);

}  // namespace fastsr::cpu
