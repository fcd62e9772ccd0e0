// A frame through a program.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "cpu/conv/aligned_memory.h"
#include "cpu/conv/program/frame_part.h"
#include "cpu/conv/program/planner.h"
#include "cpu/conv/program/run_progress.h"

namespace fastsr::cpu {

// A frame of shape.height x shape.width input pixels, multiples of the block; `pixels` are `columns` of each of some
// rows, from (first_row, first_column) on.
struct Source {
  const void* pixels;
  Type type;
  FrameShape shape;
  int64_t columns;
  int64_t first_row = 0, first_column = 0;
};

// Where the enlargement of some of a frame is stored: `pixels` begins with that of input pixel (top, left), and a row
// of it is that of `width` input pixels.
struct Destination {
  void* pixels;
  int64_t top, left, width;
};

// Runs one program, which it refers to; `run` may be called from several threads.
class Executor {
 public:
  explicit Executor(const ConvProgram& program) : program_(program) {}

  // Upscales parts of a frame, whose sides are multiples of the block and which do not overlap. `bounds.side` bounds
  // the units' sides in input pixels, `bounds.memory` their rings together (0: neither). `report` (may be empty) is
  // called on the caller's thread with (parts of the work done, in all), every tenth of a second and at the end; what
  // it throws ends the run.
  void run(const Source& from, const Destination& to, const std::vector<FramePart>& parts, CutBounds bounds,
           const RunProgress::Report& report) const;

 private:
  using Memory = std::pair<size_t, Block>;  // bytes, and where they are

  Memory take(size_t bytes) const;
  void give_back(Memory memory) const;
  Frame frame_of(const Source& from, const Destination& to, const FramePart& part) const;

  const ConvProgram& program_;
  mutable std::mutex mutex_;
  mutable std::vector<Memory> spare_;  // memory of finished units
};

}  // namespace fastsr::cpu
