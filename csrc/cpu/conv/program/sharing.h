// How rows of a step are shared out among a team of threads: as a grid of shares.
#pragma once

#include <cstdint>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

struct Shares {
  Interval columns;              // that the unit makes of the step's target; shares' are runs of whole pieces of them
  int64_t left, piece;           // where the first piece begins, and columns of a piece
  int64_t pieces, rows;          // across, and down
  int64_t across = 1, down = 1;  // shares

  int64_t count() const { return across * down; }
  Interval columns_of(int64_t share) const;
  Interval rows_of(int64_t share) const;  // counted from the first
};

// `count` rows of a step (see step_rows.h), for a team; a single share where more are not worth it.
Shares share_out(const ConvProgram& program, const Unit& unit, const Step& step, int64_t count, int team);

// How many times as fast as one thread a team makes so many rows and columns of tiles, of each step.
double shared_evenly(int64_t columns, int64_t rows, int team);

}  // namespace fastsr::cpu
