// Some rows of a frame, made from no more of the frame than they depend on.
#pragma once

#include <cstdint>

#include "cpu/conv/program/regions.h"

namespace fastsr::cpu {

// In input pixels.
struct Band {
  int64_t top = 0, bottom = 0;  // rows whose enlargement is made
  int64_t first_row = 0;        // of the frame, that the pixels at hand begin with
};

// Rows of a frame of so many that the enlargement of rows top..bottom-1 is made from, in input pixels.
Interval input_rows(const ConvProgram& program, int64_t height, int64_t top, int64_t bottom);

}  // namespace fastsr::cpu
