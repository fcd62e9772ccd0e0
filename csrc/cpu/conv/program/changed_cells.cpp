#include "cpu/conv/program/changed_cells.h"

#include <algorithm>
#include <cstring>

#include "cpu/conv/program/regions.h"

namespace fastsr::cpu {
namespace {

constexpr int64_t kCell = 4;         // pixels of a side of what is marked as changed: codecs' blocks are no smaller
constexpr int64_t kMostCells = 240;  // along a side: large frames have larger cells, or planning would take too long

}  // namespace

int64_t Cells::count() const { return std::count(marked.begin(), marked.end(), 1); }

int64_t cell_side(const ConvProgram& program, const FrameShape& shape) {
  const int64_t side = std::max(shape.height, shape.width);
  return round_up(round_up(std::max<int64_t>(side / kMostCells, 1), kCell), program.block());
}

// Of a cell that is marked nothing more is read, so that frames that differ everywhere cost a row of each.
Cells changed_cells(const ConvProgram& program, const void* before, const void* after, const FrameShape& shape,
                    int64_t pixel_bytes) {
  Cells cells(cell_side(program, shape), shape);
  const auto *old = static_cast<const uint8_t*>(before), *now = static_cast<const uint8_t*>(after);
  const int64_t cell = cells.cell, row_bytes = shape.width * pixel_bytes, cell_bytes = cell * pixel_bytes;
  for (int64_t row = 0; row < cells.rows; ++row) {
    uint8_t* marked = cells.marked.data() + row * cells.columns;
    int64_t left = cells.columns;
    for (int64_t y = row * cell; y < std::min((row + 1) * cell, shape.height) && left > 0; ++y) {
      const uint8_t *a = old + y * row_bytes, *b = now + y * row_bytes;
      if (std::memcmp(a, b, static_cast<size_t>(row_bytes)) == 0) continue;
      for (int64_t x = 0; x < cells.columns; ++x) {
        const int64_t at = x * cell_bytes, count = std::min(cell_bytes, row_bytes - at);
        if (marked[x] == 0 && std::memcmp(a + at, b + at, static_cast<size_t>(count)) != 0) {
          marked[x] = 1;
          --left;
        }
      }
    }
  }
  return cells;
}

}  // namespace fastsr::cpu
