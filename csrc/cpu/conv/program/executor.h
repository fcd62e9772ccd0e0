// A frame through a program.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "cpu/conv/aligned_memory.h"
#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// Runs one program, which it refers to; `run` may be called from several threads.
class Executor {
 public:
  explicit Executor(const ConvProgram& program) : program_(program) {}

  // Upscales a frame of shape.height x shape.width input pixels, multiples of the fold. `side` bounds the units' sides
  // in input pixels (0: the memory decides). `progress` (may be empty) is called on the caller's thread with (rows
  // done, rows in all); what it throws ends the run.
  void run(const void* pixels, Type type, FrameShape shape, void* out, int64_t side,
           const std::function<void(int64_t, int64_t)>& progress) const;

 private:
  using Memory = std::pair<size_t, Block>;  // bytes, and where they are

  Memory take(size_t bytes) const;
  void give_back(Memory memory) const;
  void flow(Unit& unit, const RingRows& rows, int team, const std::function<bool(int64_t)>& finished) const;

  const ConvProgram& program_;
  mutable std::mutex mutex_;
  mutable std::vector<Memory> spare_;  // memory of finished units
};

}  // namespace fastsr::cpu
