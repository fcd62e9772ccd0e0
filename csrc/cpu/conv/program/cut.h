// What a cut of a frame costs, foretold.
#pragma once

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

struct Cut {
  Partition parts;
  int64_t bytes;  // of the rings of all units that are worked on at once
  double work;    // multiplications, as a multiple of those of a single unit
};

// How `Executor::run` would cut a frame; the shape is in pixels.
Cut cut(const ConvProgram& program, FrameShape shape, CutBounds bounds);

}  // namespace fastsr::cpu
