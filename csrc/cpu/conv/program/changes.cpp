#include "cpu/conv/program/changes.h"

#include <algorithm>
#include <cstring>

namespace fastsr::cpu {
namespace {

constexpr int64_t kCell = 4;         // pixels of a side of what is marked as changed: codecs' blocks are no smaller
constexpr int64_t kMostCells = 240;  // along a side: large frames have larger cells, or planning would take too long
constexpr double kWorthwhile = 0.9;  // of a frame's work: parts of it are made no faster than that would tell
constexpr double kPartBlocks = 200;  // blocks that could be made while a part is begun and ended

// A mark for each cell of cell x cell pixels of a frame, less at its right and lower edges.
struct Marks {
  int64_t cell, rows, columns;
  std::vector<uint8_t> set{};

  Marks(int64_t side, const FrameShape& shape)
      : cell(side), rows((shape.height + side - 1) / side), columns((shape.width + side - 1) / side) {
    set.resize(static_cast<size_t>(rows * columns));
  }
};

// Cells of rows and columns from..to-1.
struct Box {
  int64_t top, bottom, left, right;
  bool empty() const { return top >= bottom || left >= right; }
};

// How many cells are marked in any box, by sums over all boxes from the first cell on.
class Sums {
 public:
  explicit Sums(const Marks& marks) : width_(marks.columns + 1) {
    sums_.resize(static_cast<size_t>((marks.rows + 1) * width_));
    for (int64_t y = 0; y < marks.rows; ++y) {
      int64_t row = 0;
      for (int64_t x = 0; x < marks.columns; ++x) {
        row += marks.set[y * marks.columns + x];
        sums_[(y + 1) * width_ + x + 1] = sums_[y * width_ + x + 1] + row;
      }
    }
  }

  int64_t in(const Box& box) const {
    return at(box.bottom, box.right) - at(box.top, box.right) - at(box.bottom, box.left) + at(box.top, box.left);
  }

  // The least box with all marks of another one; empty where there are none.
  Box around(Box box) const {
    if (in(box) == 0) return Box{box.top, box.top, box.left, box.left};
    while (in({box.top, box.top + 1, box.left, box.right}) == 0) ++box.top;
    while (in({box.bottom - 1, box.bottom, box.left, box.right}) == 0) --box.bottom;
    while (in({box.top, box.bottom, box.left, box.left + 1}) == 0) ++box.left;
    while (in({box.top, box.bottom, box.right - 1, box.right}) == 0) --box.right;
    return box;
  }

 private:
  int64_t at(int64_t y, int64_t x) const { return sums_[y * width_ + x]; }

  int64_t width_;
  std::vector<int64_t> sums_;
};

// Cells with a pixel that differs. Of a cell that is marked nothing more is read, so that frames that differ everywhere
// cost a row of each.
Marks differing(const uint8_t* before, const uint8_t* after, const FrameShape& shape, int64_t pixel, int64_t cell) {
  Marks marks(cell, shape);
  const int64_t row_bytes = shape.width * pixel, cell_bytes = cell * pixel;
  for (int64_t row = 0; row < marks.rows; ++row) {
    uint8_t* set = marks.set.data() + row * marks.columns;
    int64_t left = marks.columns;
    for (int64_t y = row * cell; y < std::min((row + 1) * cell, shape.height) && left > 0; ++y) {
      const uint8_t *a = before + y * row_bytes, *b = after + y * row_bytes;
      if (std::memcmp(a, b, static_cast<size_t>(row_bytes)) == 0) continue;
      for (int64_t x = 0; x < marks.columns; ++x) {
        const int64_t at = x * cell_bytes, count = std::min(cell_bytes, row_bytes - at);
        if (set[x] == 0 && std::memcmp(a + at, b + at, static_cast<size_t>(count)) != 0) {
          set[x] = 1;
          --left;
        }
      }
    }
  }
  return marks;
}

// Of each row (axis 0) or column (axis 1) of cells, the first and last one that its enlargement is made from.
std::vector<Interval> reads(const ConvProgram& program, int axis, int64_t length, int64_t cell) {
  std::vector<Interval> made;
  for (int64_t begin = 0; begin < length; begin += cell) {
    const Interval pixels = input_reads(program, axis, length, begin, std::min(begin + cell, length));
    made.push_back(Interval{pixels.first / cell, pixels.last / cell});
  }
  return made;
}

// Cells whose enlargement depends on a marked one.
Marks depending(const ConvProgram& program, const Marks& changed, const FrameShape& shape) {
  Marks marks(changed.cell, shape);
  const Sums sums(changed);
  const std::vector<Interval> rows = reads(program, 0, shape.height, changed.cell),
                              columns = reads(program, 1, shape.width, changed.cell);
  for (int64_t y = 0; y < marks.rows; ++y) {
    for (int64_t x = 0; x < marks.columns; ++x) {
      const Box read{rows[y].first, rows[y].last + 1, columns[x].first, columns[x].last + 1};
      marks.set[y * marks.columns + x] = sums.in(read) > 0;
    }
  }
  return marks;
}

// Divides the marked cells into boxes: the one around all is cut in two wherever that leaves least to be made, and
// each half likewise, as long as that is less than before.
class Cover {
 public:
  Cover(const ConvProgram& program, const Marks& marks, const FrameShape& shape)
      : sums_(marks), work_(program), shape_(shape), cell_(marks.cell), block_(program.block()) {
    divide(sums_.around({0, marks.rows, 0, marks.columns}));
  }

  const std::vector<FramePart>& parts() const { return parts_; }
  double work() const { return all_; }  // blocks

 private:
  FramePart part(const Box& box) const {
    return {box.top * cell_, std::min(box.bottom * cell_, shape_.height), box.left * cell_,
            std::min(box.right * cell_, shape_.width)};
  }
  double work(const Box& box) const {
    if (box.empty()) return 0;
    const FramePart p = part(box);
    return kPartBlocks + work_({shape_.height / block_, shape_.width / block_, shape_.channels},
                               {p.top / block_, p.bottom / block_, p.left / block_, p.right / block_});
  }
  void divide(const Box& box) {
    double least = work(box);
    Box first = box, second{};
    const auto consider = [&](const Box& a, const Box& b) {
      const Box one = sums_.around(a), other = sums_.around(b);
      const double both = work(one) + work(other);
      if (both >= least) return;
      least = both;
      first = one;
      second = other;
    };
    for (int64_t y = box.top + 1; y < box.bottom; ++y) {
      consider({box.top, y, box.left, box.right}, {y, box.bottom, box.left, box.right});
    }
    for (int64_t x = box.left + 1; x < box.right; ++x) {
      consider({box.top, box.bottom, box.left, x}, {box.top, box.bottom, x, box.right});
    }
    if (second.empty()) {
      parts_.push_back(part(box));
      all_ += least;
      return;
    }
    divide(first);
    divide(second);
  }

  const Sums sums_;
  const PartWork work_;
  const FrameShape shape_;
  const int64_t cell_, block_;
  std::vector<FramePart> parts_;
  double all_ = 0;
};

}  // namespace

std::optional<std::vector<FramePart>> changed_parts(const ConvProgram& program, const void* before, const void* after,
                                                    const FrameShape& shape, int64_t pixel_bytes) {
  const int64_t side = std::max(shape.height, shape.width);
  const int64_t cell = round_up(round_up(std::max<int64_t>(side / kMostCells, 1), kCell), program.block());
  const Marks changed =
      differing(static_cast<const uint8_t*>(before), static_cast<const uint8_t*>(after), shape, pixel_bytes, cell);
  const auto count = [](const Marks& marks) { return std::count(marks.set.begin(), marks.set.end(), 1); };
  if (count(changed) == 0) return std::vector<FramePart>{};
  const auto most = static_cast<double>(changed.rows * changed.columns) * kWorthwhile;
  if (static_cast<double>(count(changed)) > most) return std::nullopt;
  const Marks made = depending(program, changed, shape);
  if (static_cast<double>(count(made)) > most) return std::nullopt;
  const Cover cover(program, made, shape);
  const double blocks = static_cast<double>(shape.height) * static_cast<double>(shape.width) /
                        static_cast<double>(program.block() * program.block());
  if (cover.work() > kWorthwhile * blocks) return std::nullopt;
  return cover.parts();
}

}  // namespace fastsr::cpu
