// Which cells of a frame differ from the frame before it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/kernel_args.h"
#include "cpu/conv/program/conv_program.h"

namespace fastsr::cpu {

// A mark for each cell of cell x cell pixels of a frame, less at its right and lower edges.
struct Cells {
  int64_t cell, rows, columns;
  std::vector<uint8_t> marked{};

  Cells(int64_t side, const FrameShape& shape)
      : cell(side), rows((shape.height + side - 1) / side), columns((shape.width + side - 1) / side) {
    marked.resize(static_cast<size_t>(rows * columns));
  }
  int64_t count() const;  // of marked ones
};

// Pixels of a side of the cells that a frame is compared in.
int64_t cell_side(const ConvProgram& program, const FrameShape& shape);

// Marks cells with a pixel that differs in any bit. Both frames are shape.height x shape.width pixels of so many bytes.
Cells changed_cells(const ConvProgram& program, const void* before, const void* after, const FrameShape& shape,
                    int64_t pixel_bytes);

}  // namespace fastsr::cpu
