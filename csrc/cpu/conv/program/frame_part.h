// A part of a frame, made from no more of the frame than it depends on.
#pragma once

#include <cstdint>

#include "cpu/conv/program/regions.h"

namespace fastsr::cpu {

// Rows top..bottom-1 and columns left..right-1 of a frame, whose enlargement is made.
struct FramePart {
  int64_t top = 0, bottom = 0, left = 0, right = 0;

  int64_t height() const { return bottom - top; }
  int64_t width() const { return right - left; }
};

// Rows (axis 0) or columns (axis 1) of a frame of `length` that the enlargement of begin..end-1 is made from; all in
// input pixels.
Interval input_reads(const ConvProgram& program, int axis, int64_t length, int64_t begin, int64_t end);

}  // namespace fastsr::cpu
