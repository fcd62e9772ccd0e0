#include "cpu/conv/program/planner.h"

#include <algorithm>

#include "cpu/conv/program/sharing.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr int64_t kUnitBytes = 32 << 20;  // that the rings of one unit should fill, for each thread that works on it
constexpr int64_t kWideUnit = 8;        // a unit this many times as wide as what it computes twice is not made narrower
constexpr int64_t kLeastColumns = 16;   // of a unit
constexpr double kBarrierWork = 1.5e5;  // multiplications that a thread could make while a team waits for its last one
constexpr int64_t kCachedWeights = 1 << 20;  // bytes of weights that stay in a core's cache from row to row
constexpr int64_t kMostRows = 32;            // of a batch
constexpr double kWellShared = 0.97;         // of a team's time
constexpr double kWaiting = 1.05;            // what waiting for one another costs a team

int64_t weight_bytes(const ConvProgram& program) {
  size_t bytes = 0;
  for (const Step& step : program.steps) bytes += step.conv.weights.size();
  return static_cast<int64_t>(bytes);
}

// Threads that share rows. Behind every batch of a step they wait for the last of them.
struct Team {
  int threads;
  double column_work;  // multiplications of a step for each column of a row, on average
  double barrier;      // those that a thread could make meanwhile

  // How many times as fast as one thread it is, with so many rows of so many columns a batch.
  double speed(int64_t columns, int64_t rows) const {
    const double work = column_work * static_cast<double>(columns * rows);
    return shared_evenly(columns, rows, threads) / (1 + barrier * threads / work);
  }
};

// Rows of a batch in units of `width` columns: so many that the bytes of `weights`, which are read once for each batch,
// are no more than what the rings take up meanwhile; then it is the rings that have to come from memory. More where a
// team has too little to share else. The rings may fill `spare` bytes more for it than with single rows.
int64_t batch_rows(const ConvProgram& program, int64_t weights, const RingRows& least, int64_t width,
                   const FrameShape& shape, int64_t spare, const Team& team) {
  const bool shares = team.threads > 1 && team.speed(width, 1) < kWellShared * team.threads;
  if (weights <= kCachedWeights && !shares) return 1;
  const UnitBytes bytes = unit_bytes(program, least, width, shape.width);
  const int64_t most = std::min({kMostRows, shape.height, 1 + spare / bytes.row});
  int64_t rows = weights <= kCachedWeights ? 1 : std::clamp<int64_t>(weights / bytes.row, 1, most);
  if (shares) {
    while (rows < most && team.speed(width, rows) < kWellShared * team.threads) rows = std::min(most, 2 * rows);
  }
  return rows;
}

// Bytes that the rings of the largest of so many strips take.
int64_t strip_bytes(const ConvProgram& program, const RingRows& rows, const FrameShape& shape, int64_t columns) {
  const Frame frame{nullptr, nullptr, Type::u8, shape, 0, shape.height};
  size_t most = 0;
  for (int64_t i = 0; i < columns; ++i) {
    Unit unit = make_unit(program, frame, Partition{columns, 1, 1, 1}, i);
    most = std::max(most, lay_out(program, rows, unit.held, unit.rings));
  }
  return static_cast<int64_t>(most);
}

}  // namespace

// Units' margins overlap: `extra` rows and columns are, weighed by the work of the layers, what a unit computes beyond
// its own.
Partition partition(const ConvProgram& program, const FrameShape& shape, CutBounds bounds) {
  double extra[2] = {0, 0};
  double a_pixel = 0;    // multiplications of an input pixel
  double rows_made = 0;  // rows of all layers, for each row of the input, counted for two axes
  const int64_t body = program.body_factor;
  for (int axis = 0; axis < 2; ++axis) {
    std::vector<Interval> need;
    required_regions(program, kFarRow * body, kFarRow * body + body - 1, axis, need);
    double total = 1e-9;
    for (const Step& step : program.steps) {
      if (!step.convolves()) continue;
      const Tensor& t = program.tensors[step.target];
      const double mine = multiplications(program, step) * t.factor * t.factor / step.factor / step.factor;
      extra[axis] += mine * (static_cast<double>(need[step.target].length()) / t.factor - 1);
      total += mine;
      rows_made += static_cast<double>(t.factor) / step.factor / step.tile_rows();
    }
    a_pixel = total;
    extra[axis] /= total;
  }
  const int threads = bounds.threads > 0 ? bounds.threads : thread_count();
  // Not counted where a team is better all the same: fewer units at once take less memory, and rows that are made four
  // at a time make margins large.
  const double barrier = program.tiles || bounds.memory > 0 ? 0 : kBarrierWork;
  const RingRows rows_kept = ring_rows(program, 1);
  const int64_t weights = weight_bytes(program);
  const int64_t narrowest = std::min(kLeastColumns, shape.width);
  Partition best{(shape.width + narrowest - 1) / narrowest, 1, threads, 1};
  double best_time = 1e300;
  for (int team = 1; team <= threads; ++team) {
    const Team sharing{team, a_pixel / (rows_made / 2), barrier};
    int64_t widest = shape.width;
    const int64_t least = std::max(kLeastColumns, kWideUnit * static_cast<int64_t>(extra[1]));
    while (widest > least && unit_bytes(program, rows_kept, widest, shape.width).all > team * kUnitBytes) {
      widest = (widest + 1) / 2 + (widest > 64 ? widest / 4 : 0);
    }
    int64_t highest = shape.height;
    if (bounds.side > 0) {
      const int64_t side = std::max<int64_t>(1, bounds.side / program.block());
      widest = std::min(widest, side);
      highest = side;
    }
    const int64_t teams = std::max(1, threads / team);
    int64_t least_columns = (shape.width + widest - 1) / widest;
    const int64_t least_rows = (shape.height + highest - 1) / highest;
    const auto too_large = [&] {
      return bounds.memory > 0 && strip_bytes(program, rows_kept, shape, least_columns) > bounds.memory / teams;
    };
    while (too_large() && shape.width > least_columns * narrowest) least_columns += 1 + least_columns / 16;
    if (too_large()) continue;
    for (int64_t columns = least_columns; columns <= std::min(shape.width, least_columns + 2 * teams); ++columns) {
      const int64_t width = (shape.width + columns - 1) / columns;
      // What the rings of a batch may fill: what they should, or twice what they must.
      const int64_t must = bounds.memory > 0 ? strip_bytes(program, rows_kept, shape, columns)
                                             : unit_bytes(program, rows_kept, width, shape.width).all;
      const int64_t most_bytes = bounds.memory > 0 ? bounds.memory / teams : std::max(team * kUnitBytes, 2 * must);
      const int64_t spare = std::max<int64_t>(0, most_bytes - must);
      const int64_t batch = batch_rows(program, weights, rows_kept, width, shape, spare, sharing);
      const double shared = team > 1 ? kWaiting / sharing.speed(width, batch) : 1;
      for (int64_t rows = least_rows; rows <= std::min(shape.height, least_rows + 2 * teams); ++rows) {
        const double wide = static_cast<double>(shape.width) / columns + (columns > 1 ? extra[1] : 0);
        const double high = static_cast<double>(shape.height) / rows + (rows > 1 ? extra[0] : 0);
        const double time = static_cast<double>((columns * rows + teams - 1) / teams) * wide * high * shared;
        if (time < best_time * 0.999) {
          best_time = time;
          best = Partition{columns, rows, team, batch};
        }
      }
    }
  }
  return best;
}

int64_t units_at_once(const Partition& parts, int threads) {
  return std::min<int64_t>(parts.columns * parts.rows, std::max(1, threads / parts.team));
}

int64_t partition_bytes(const ConvProgram& program, const FrameShape& shape, const Partition& parts, int threads) {
  return units_at_once(parts, threads) * strip_bytes(program, ring_rows(program, parts.batch), shape, parts.columns);
}

Unit make_unit(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t index) {
  const auto edge = [](int64_t length, int64_t count, int64_t i) { return length * i / count; };
  Unit unit{frame};
  const FrameShape& shape = frame.shape;
  const int64_t body = program.body_factor;
  unit.top = frame.top + edge(frame.bottom - frame.top, parts.rows, index / parts.columns);
  unit.bottom = frame.top + edge(frame.bottom - frame.top, parts.rows, index / parts.columns + 1);
  unit.left = edge(shape.width, parts.columns, index % parts.columns);
  unit.right = edge(shape.width, parts.columns, index % parts.columns + 1);
  required_regions(program, unit.left * body, unit.right * body - 1, 1, unit.columns);
  required_regions(program, unit.top * body, unit.top * body, 0, unit.rows);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    Interval& columns = unit.columns[i];
    const bool read = !columns.empty();
    const int64_t last = t.length(1, shape.width) - 1;
    columns = Interval{std::max<int64_t>(columns.first, 0), std::min(columns.last, last)};
    const int64_t near = std::min(columns.first, last);
    if (columns.empty()) columns = Interval{near, near - 1};
    unit.held.push_back(read && columns.empty() ? Interval{near, near} : columns);
    unit.next.push_back(std::max<int64_t>(unit.rows[i].first, t.shift[0]));
  }
  return unit;
}

}  // namespace fastsr::cpu
