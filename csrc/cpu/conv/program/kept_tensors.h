// Every tensor of a frame as a whole, kept so that of the next frame only what depends on a changed pixel is made.
//
// Rings hold a few rows of each tensor and serve one frame. Here a tensor has all its rows, and layer after layer makes
// anew what depends on the changed cells of the input: the first layers little around each, the last ones as much as
// the network looks at. A part of a frame by rings (frame_part.h) makes the other way round most in its first layers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/conv/aligned_memory.h"
#include "cpu/conv/program/changed_cells.h"
#include "cpu/conv/program/planner.h"
#include "cpu/conv/program/run_progress.h"

namespace fastsr::cpu {

// For frames of one size, one after the other; refers to the program. One thread at a time may use it.
class KeptTensors {
 public:
  // A frame of shape.height x shape.width input pixels, multiples of the block.
  KeptTensors(const ConvProgram& program, const FrameShape& shape);
  KeptTensors(const KeptTensors&) = delete;
  KeptTensors& operator=(const KeptTensors&) = delete;

  // What one takes.
  static size_t bytes(const ConvProgram& program, const FrameShape& shape);

  // Stores into `out`, which holds the enlargement of the frame `before`, what differs in that of `after`; where there
  // is none before, all of it. Returns the share of the network's work that was done. `report` is called as by
  // `Executor::run`; what it throws ends the run, after which `before` must be null.
  double run(const void* before, const void* after, Type type, void* out, const RunProgress::Report& report);

  const ConvProgram& program() const { return program_; }
  const FrameShape& shape() const { return shape_; }

 private:
  // Columns to be made of a row of a step's target, or of those that are made together with it (step_rows.h).
  struct Piece {
    int64_t row;
    Interval columns;
  };
  using Pieces = std::vector<Piece>;     // of a step, row after row
  using Region = std::vector<Interval>;  // of each step, rows that are made together, or columns

  Interval made_together(const Step& step, const Interval& rows) const;
  Region region_of(int axis, int64_t first) const;
  Pieces all_of(const Step& step) const;
  Pieces depending(size_t step, const Cells& changed) const;
  double work_of(const Step& step, const Pieces& pieces) const;
  void make(const Step& step, const Pieces& pieces, RunProgress& progress) const;

  const ConvProgram& program_;
  const FrameShape shape_;  // pixels
  const int64_t cell_;
  Frame frame_;  // blocks
  Unit unit_;
  Block memory_;
  std::vector<Region> rows_, columns_;  // what depends on each row and column of cells
  std::vector<Pieces> all_;             // of each step
  double all_work_ = 1e-9;              // multiplications
};

}  // namespace fastsr::cpu
