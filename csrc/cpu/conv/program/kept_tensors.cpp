#include "cpu/conv/program/kept_tensors.h"

#include <algorithm>
#include <atomic>

#include "cpu/conv/program/step_rows.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr double kWorthwhile = 0.9;    // of a frame's work: above that all is made
constexpr int64_t kNear = 8;           // columns between two pieces of a row that are made rather than left out
constexpr double kSharedWork = 1e6;    // multiplications that are worth waking other threads for
constexpr int64_t kSharesAThread = 4;  // so that one that is held up does fewer

Frame in_blocks(const ConvProgram& program, const FrameShape& shape) {
  const FrameShape blocks{shape.height / program.block(), shape.width / program.block(), shape.channels};
  return Frame{blocks, FramePart{0, blocks.height, 0, blocks.width}};
}

// Gives the rings all rows of a frame; returns their bytes.
size_t lay_out_whole(const ConvProgram& program, const Frame& frame, Unit& unit) {
  RingRows rows{1};
  for (const Tensor& t : program.tensors) rows.rows.push_back(t.length(0, frame.shape.height));
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    for (int t = program.tensors[i].whole; t >= 0; t = program.tensors[t].whole) {
      rows.rows[t] = std::max(rows.rows[t], rows.rows[i]);
    }
  }
  return lay_out(program, rows, unit.held, unit.rings);
}

// Joins intervals that overlap or nearly meet, and leaves out empty ones.
void join_near(std::vector<Interval>& intervals) {
  std::sort(intervals.begin(), intervals.end(), [](const Interval& a, const Interval& b) { return a.first < b.first; });
  size_t kept = 0;
  for (const Interval& next : intervals) {
    if (next.empty()) continue;
    if (kept > 0 && next.first <= intervals[kept - 1].last + 1 + kNear) {
      intervals[kept - 1].last = std::max(intervals[kept - 1].last, next.last);
    } else {
      intervals[kept++] = next;
    }
  }
  intervals.resize(kept);
}

bool is_store(const Step& step) { return step.kind == Step::Kind::store; }

}  // namespace

KeptTensors::KeptTensors(const ConvProgram& program, const FrameShape& shape)
    : program_(program),
      shape_(shape),
      cell_(cell_side(program, shape)),
      frame_(in_blocks(program, shape)),
      unit_(make_unit(program, frame_, Partition{1, 1, 1, 1}, 0)),
      memory_(lay_out_whole(program, frame_, unit_)) {
  place(program, unit_.held, memory_.data(), unit_.rings);
  for (int64_t y = 0; y < shape.height; y += cell_) rows_.push_back(region_of(0, y));
  for (int64_t x = 0; x < shape.width; x += cell_) columns_.push_back(region_of(1, x));
  for (const Step& step : program.steps) {
    all_.push_back(all_of(step));
    all_work_ += work_of(step, all_.back());
  }
}

size_t KeptTensors::bytes(const ConvProgram& program, const FrameShape& shape) {
  const Frame frame = in_blocks(program, shape);
  Unit unit = make_unit(program, frame, Partition{1, 1, 1, 1}, 0);
  return lay_out_whole(program, frame, unit);
}

Interval KeptTensors::made_together(const Step& step, const Interval& rows) const {
  if (is_store(step) || rows.empty()) return rows;
  const Tensor& t = program_.tensors[step.target];
  return Interval{floor_div(rows.first - t.shift[0], t.alignment[0]),
                  floor_div(rows.last - t.shift[0], t.alignment[0])};
}

// What depends on a row (axis 0) or column (axis 1) of cells, which begins with this pixel.
KeptTensors::Region KeptTensors::region_of(int axis, int64_t first) const {
  const int64_t pixels = axis == 0 ? shape_.height : shape_.width;
  const int64_t blocks = axis == 0 ? frame_.shape.height : frame_.shape.width;
  std::vector<Interval> tensors;
  const Interval stored =
      dependent_regions(program_, first, std::min(first + cell_, pixels) - 1, axis, blocks, tensors);
  Region made;
  for (const Step& step : program_.steps) {
    if (is_store(step)) {
      made.push_back(stored);
      continue;
    }
    const Interval& region = tensors[step.target];
    const Interval& read = unit_.columns[step.target];
    if (axis == 0) {
      made.push_back(made_together(step, region));
    } else if (program_.tensors[step.target].is_transformed) {
      made.push_back(read);  // its rows are made in one piece
    } else {
      made.push_back(Interval{std::max(region.first, read.first), std::min(region.last, read.last)});
    }
  }
  return made;
}

KeptTensors::Pieces KeptTensors::all_of(const Step& step) const {
  const int64_t body = program_.body_factor, height = frame_.shape.height;
  Interval rows{0, height * body - 1}, columns{0, frame_.shape.width * body - 1};
  if (!is_store(step)) {
    rows = made_together(step, Interval{0, program_.tensors[step.target].length(0, height) - 1});
    columns = unit_.columns[step.target];
  }
  Pieces pieces;
  for (int64_t row = rows.first; row <= rows.last && !columns.empty(); ++row) pieces.push_back(Piece{row, columns});
  return pieces;
}

KeptTensors::Pieces KeptTensors::depending(size_t step, const Cells& changed) const {
  std::vector<std::vector<Interval>> found;  // columns of each row
  for (size_t y = 0; y < rows_.size(); ++y) {
    const Interval& rows = rows_[y][step];
    if (rows.empty()) continue;
    std::vector<Interval> columns;
    const uint8_t* marked = changed.marked.data() + static_cast<int64_t>(y) * changed.columns;
    for (int64_t x = 0; x < changed.columns; ++x) {
      if (marked[x] != 0) columns.push_back(columns_[static_cast<size_t>(x)][step]);
    }
    join_near(columns);
    if (columns.empty()) continue;
    if (static_cast<int64_t>(found.size()) <= rows.last) found.resize(static_cast<size_t>(rows.last) + 1);
    for (int64_t row = rows.first; row <= rows.last; ++row) {
      std::vector<Interval>& all = found[static_cast<size_t>(row)];
      all.insert(all.end(), columns.begin(), columns.end());
    }
  }
  Pieces pieces;
  for (size_t row = 0; row < found.size(); ++row) {
    join_near(found[row]);
    for (const Interval& columns : found[row]) pieces.push_back(Piece{static_cast<int64_t>(row), columns});
  }
  return pieces;
}

double KeptTensors::work_of(const Step& step, const Pieces& pieces) const {
  int64_t columns = 0;
  for (const Piece& piece : pieces) columns += piece.columns.length();
  return multiplications(program_, step) * step.tile_rows() * static_cast<double>(columns) / step.factor;
}

void KeptTensors::make(const Step& step, const Pieces& pieces, RunProgress& progress) const {
  const int64_t count = static_cast<int64_t>(pieces.size());
  const int64_t shares = work_of(step, pieces) < kSharedWork ? 1 : thread_count() * kSharesAThread;
  std::atomic<int64_t> next{0};
  parallel_for(
      std::min<int64_t>(shares, thread_count()), 1,
      [&](int64_t, int64_t) {
        for (int64_t share = next++; share < shares && !progress.ended(); share = next++) {
          for (int64_t i = count * share / shares; i < count * (share + 1) / shares; ++i) {
            make_columns(program_, unit_, step, pieces[static_cast<size_t>(i)].row,
                         pieces[static_cast<size_t>(i)].columns);
          }
        }
      },
      [&] { progress.poll(); });
}

double KeptTensors::run(const void* before, const void* after, Type type, void* out,
                        const RunProgress::Report& report) {
  const int64_t pixel = program_.image_channels() * item_bytes(type);
  frame_.pixels = after;
  frame_.type = type;
  frame_.pixel = pixel;
  frame_.row = shape_.width * pixel;
  frame_.out = static_cast<uint8_t*>(out);
  frame_.out_row = shape_.width * program_.scale() * pixel;
  const size_t steps = program_.steps.size();
  std::vector<Pieces> some;
  double work = 0;
  if (before != nullptr) {
    const Cells changed = changed_cells(program_, before, after, shape_, pixel);
    if (changed.count() == 0) return 0;
    for (size_t i = 0; i < steps; ++i) {
      some.push_back(depending(i, changed));
      work += work_of(program_.steps[i], some.back());
    }
  }
  const bool makes_all = before == nullptr || work > kWorthwhile * all_work_;
  RunProgress progress(1, report);
  for (size_t i = 0; i < steps; ++i) {
    make(program_.steps[i], makes_all ? all_[i] : some[i], progress);
    progress.add(RunProgress::kUnitParts / static_cast<int64_t>(steps));
    progress.poll();
  }
  progress.finish();
  return makes_all ? 1 : work / all_work_;
}

}  // namespace fastsr::cpu
