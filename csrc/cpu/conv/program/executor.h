// A frame through a program.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "cpu/conv/aligned_memory.h"
#include "cpu/conv/program/band.h"
#include "cpu/conv/program/planner.h"
#include "cpu/conv/program/run_progress.h"

namespace fastsr::cpu {

// Runs one program, which it refers to; `run` may be called from several threads.
class Executor {
 public:
  explicit Executor(const ConvProgram& program) : program_(program) {}

  // Upscales rows of a frame of shape.height x shape.width input pixels, multiples of the fold. `side` bounds the
  // units' sides in input pixels, `memory` their rings together (0: neither). `report` (may be empty) is called on the
  // caller's thread with (parts done, parts in all), every tenth of a second and at the end; what it throws ends the
  // run.
  void run(const void* pixels, Type type, FrameShape shape, Band band, void* out, CutBounds bounds,
           const RunProgress::Report& report) const;

 private:
  using Memory = std::pair<size_t, Block>;  // bytes, and where they are

  Memory take(size_t bytes) const;
  void give_back(Memory memory) const;

  const ConvProgram& program_;
  mutable std::mutex mutex_;
  mutable std::vector<Memory> spare_;  // memory of finished units
};

}  // namespace fastsr::cpu
