// Rows of a step's target: which kernel makes them, from which rows of the rings, shared out among a team of threads.
#pragma once

#include <cstdint>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// Rows y..y + count - 1 of a step's target (of a convolution that shuffles: of the rows before the shuffle; of
// Winograd's tiles along both axes: four of them each), shared out among `team` threads.
void make_rows(const ConvProgram& program, const Unit& unit, const Step& step, int64_t y, int64_t count, int team);

// Some columns of one row in the same terms, by the thread that calls.
void make_columns(const ConvProgram& program, const Unit& unit, const Step& step, int64_t y, const Interval& columns);

}  // namespace fastsr::cpu
