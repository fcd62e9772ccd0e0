#include "cpu/conv/program/changes.h"

#include <algorithm>

#include "cpu/conv/program/changed_cells.h"

namespace fastsr::cpu {
namespace {

constexpr double kWorthwhile = 0.9;  // of a frame's work: parts of it are made no faster than that would tell
constexpr double kPartBlocks = 200;  // blocks that could be made while a part is begun and ended

// Cells of rows and columns from..to-1.
struct Box {
  int64_t top, bottom, left, right;
  bool empty() const { return top >= bottom || left >= right; }
};

// How many cells are marked in any box, by sums over all boxes from the first cell on.
class Sums {
 public:
  explicit Sums(const Cells& marks) : width_(marks.columns + 1) {
    sums_.resize(static_cast<size_t>((marks.rows + 1) * width_));
    for (int64_t y = 0; y < marks.rows; ++y) {
      int64_t row = 0;
      for (int64_t x = 0; x < marks.columns; ++x) {
        row += marks.marked[y * marks.columns + x];
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
Cells depending(const ConvProgram& program, const Cells& changed, const FrameShape& shape) {
  Cells marks(changed.cell, shape);
  const Sums sums(changed);
  const std::vector<Interval> rows = reads(program, 0, shape.height, changed.cell),
                              columns = reads(program, 1, shape.width, changed.cell);
  for (int64_t y = 0; y < marks.rows; ++y) {
    for (int64_t x = 0; x < marks.columns; ++x) {
      const Box read{rows[y].first, rows[y].last + 1, columns[x].first, columns[x].last + 1};
      marks.marked[y * marks.columns + x] = sums.in(read) > 0;
    }
  }
  return marks;
}

// Divides the marked cells into boxes: the one around all is cut in two wherever that leaves least to be made, and
// each half likewise, as long as that is less than before.
class Cover {
 public:
  Cover(const ConvProgram& program, const Cells& marks, const FrameShape& shape)
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
  const Cells changed = changed_cells(program, before, after, shape, pixel_bytes);
  if (changed.count() == 0) return std::vector<FramePart>{};
  const auto most = static_cast<double>(changed.rows * changed.columns) * kWorthwhile;
  if (static_cast<double>(changed.count()) > most) return std::nullopt;
  const Cells made = depending(program, changed, shape);
  if (static_cast<double>(made.count()) > most) return std::nullopt;
  const Cover cover(program, made, shape);
  const double blocks = static_cast<double>(shape.height) * static_cast<double>(shape.width) /
                        static_cast<double>(program.block() * program.block());
  if (cover.work() > kWorthwhile * blocks) return std::nullopt;
  return cover.parts();
}

}  // namespace fastsr::cpu
