// Rings: the few rows of a tensor that are kept, how many they must be, and where they lie in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/conv/program/conv_program.h"
#include "cpu/conv/program/regions.h"

namespace fastsr::cpu {

// One tensor's rows in memory: columns first..last of a unit with the margins beside them.
struct Ring {
  uint8_t* data = nullptr;  // column `first` of the ring's first row
  int64_t pixel = 0, row = 0, capacity = 0;
  int64_t first = 0;
  uint8_t* outside = nullptr;  // a row of zeros: the rows above and below the frame

  uint8_t* at(int64_t y, int64_t x) const { return data + (y % capacity) * row + (x - first) * pixel; }
};

// The rings of a unit, by tensor; those of tensors that are not held so are empty. A range of another tensor's ring has
// that one's pixels and rows, and begins at its own first channel.
struct Rings {
  std::vector<Ring> floats, packed;
};

// Rows that every ring must hold, by tensor, where steps make `batch` rows of the input at once, and with that the
// pipeline's latency: rows of the body between the first layer's start and the first row that is stored.
struct RingRows {
  int64_t batch;
  std::vector<int64_t> rows{};
  int64_t latency = 0;
};
RingRows ring_rows(const ConvProgram& program, int64_t batch);

// Bytes that the rings of a unit of `width` input pixels take, and those that one row of the input fills in all of
// them; the unit's margins do not reach beyond a frame of `frame_width`.
struct UnitBytes {
  int64_t all, row;
};
UnitBytes unit_bytes(const ConvProgram& program, const RingRows& rows, int64_t width, int64_t frame_width);

// Gives the rings of a unit that needs these columns of every tensor their sizes; returns the bytes they take together.
size_t lay_out(const ConvProgram& program, const RingRows& rows, const std::vector<Interval>& columns, Rings& rings);

// Places the rings in memory. Whatever kernels read beyond the frame's edges is zero: the margins beside each row, and
// one row outside.
void place(const ConvProgram& program, const std::vector<Interval>& columns, uint8_t* memory, Rings& rings);

}  // namespace fastsr::cpu
