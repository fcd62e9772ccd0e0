// How a frame is cut into units, and what each unit needs.
#pragma once

#include <cstdint>
#include <vector>

#include "common/kernel_args.h"
#include "cpu/conv/program/frame_part.h"
#include "cpu/conv/program/rings.h"

namespace fastsr::cpu {

// What is upscaled, and to where; the shape is in blocks (ConvProgram::block), and so is the part that is made.
struct Frame {
  FrameShape shape;
  FramePart part;
  const void* pixels = nullptr;
  Type type = Type::u8;
  int64_t first_row = 0, first_column = 0;  // of input pixels, that `pixels` begins with
  int64_t row = 0, pixel = 0;               // bytes from one row of `pixels` to the next, and of a pixel
  uint8_t* out = nullptr;                   // the enlargement of the part's first block,
  int64_t out_row = 0;                      // and bytes from one of its rows to the next

  // The input pixel in row `y` and column `x`.
  const uint8_t* at(int64_t y, int64_t x) const {
    return static_cast<const uint8_t*>(pixels) + (y - first_row) * row + (x - first_column) * pixel;
  }
};

// What a cut has to keep to: the units' sides in input pixels, the bytes of all rings that are held at once (0:
// neither), and what it is made for (0: the threads that there are).
struct CutBounds {
  int64_t side = 0, memory = 0;
  int threads = 0;
};

// How a frame is cut.
struct Partition {
  int64_t columns, rows;  // units across and down
  int team;               // threads that share a unit
  int64_t batch;          // rows of the input that one step makes before the next one begins
};

// A part of a frame that is computed on its own.
struct Unit {
  const Frame& frame;
  int64_t top = 0, bottom = 0;      // rows of blocks that the unit is for
  int64_t left = 0, right = 0;      // columns
  std::vector<Interval> rows{};     // of every tensor, that the row at hand needs
  std::vector<Interval> columns{};  // of every tensor, that the unit makes
  std::vector<Interval> held{};     // those, or one where only columns beyond the tensor's edges are read
  std::vector<int64_t> next{};      // row of every tensor to be made next
  Rings rings{};
};

// Blocks that a unit for `part` of a frame computes, weighed by the work of the layers: with the rows and columns that
// they look at beyond it.
class PartWork {
 public:
  explicit PartWork(const ConvProgram& program);
  double operator()(const FrameShape& shape, const FramePart& part) const;

 private:
  double beyond_[2];
};

// The partition of a frame's part that keeps all threads busy with the least work done twice. Where none keeps to the
// bound of memory, the one that takes the least.
Partition partition(const ConvProgram& program, const Frame& frame, CutBounds bounds);

// Units that are worked on at once.
int64_t units_at_once(const Partition& parts, int threads);

// Bytes that the rings of all units that are worked on at once take.
int64_t partition_bytes(const ConvProgram& program, const Frame& frame, const Partition& parts, int threads);

// Unit `index` of a frame's part: the rows and columns of every tensor that it needs.
Unit make_unit(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t index);

}  // namespace fastsr::cpu
