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
                   const Frame& frame, int64_t spare, const Team& team) {
  const bool shares = team.threads > 1 && team.speed(width, 1) < kWellShared * team.threads;
  if (weights <= kCachedWeights && !shares) return 1;
  const UnitBytes bytes = unit_bytes(program, least, width, frame.shape.width);
  const int64_t most = std::min({kMostRows, frame.part.height(), 1 + spare / bytes.row});
  int64_t rows = weights <= kCachedWeights ? 1 : std::clamp<int64_t>(weights / bytes.row, 1, most);
  if (shares) {
    while (rows < most && team.speed(width, rows) < kWellShared * team.threads) rows = std::min(most, 2 * rows);
  }
  return rows;
}

// Bytes that the rings of the largest of so many strips take.
int64_t strip_bytes(const ConvProgram& program, const RingRows& rows, const Frame& frame, int64_t columns) {
  size_t most = 0;
  for (int64_t i = 0; i < columns; ++i) {
    Unit unit = make_unit(program, frame, Partition{columns, 1, 1, 1}, i);
    most = std::max(most, lay_out(program, rows, unit.held, unit.rings));
  }
  return static_cast<int64_t>(most);
}

// The work of all layers.
struct LayerWork {
  double beyond[2] = {0, 0};  // rows, columns that a unit computes beyond its own, weighed by each layer's share
  double a_pixel = 1e-9;      // multiplications of an input pixel
  double rows_made = 0;       // rows of all layers, for each row of the input
};

LayerWork layer_work(const ConvProgram& program) {
  LayerWork made;
  const int64_t body = program.body_factor;
  for (const int axis : {0, 1}) {
    std::vector<Interval> need;
    required_regions(program, kFarRow * body, kFarRow * body + body - 1, axis, need);
    double total = 1e-9;
    made.rows_made = 0;
    for (const Step& step : program.steps) {
      if (!step.convolves()) continue;
      const Tensor& t = program.tensors[step.target];
      const double mine = multiplications(program, step) * t.factor * t.factor / step.factor / step.factor;
      made.beyond[axis] += mine * (static_cast<double>(need[step.target].length()) / t.factor - 1);
      total += mine;
      made.rows_made += static_cast<double>(t.factor) / step.factor / step.tile_rows();
    }
    made.a_pixel = total;
    made.beyond[axis] /= total;
  }
  return made;
}

}  // namespace

PartWork::PartWork(const ConvProgram& program) {
  const LayerWork work = layer_work(program);
  beyond_[0] = work.beyond[0];
  beyond_[1] = work.beyond[1];
}

double PartWork::operator()(const FrameShape& shape, const FramePart& part) const {
  return std::min(static_cast<double>(part.height()) + beyond_[0], static_cast<double>(shape.height)) *
         std::min(static_cast<double>(part.width()) + beyond_[1], static_cast<double>(shape.width));
}

// Units' margins overlap: each computes rows and columns beyond its own.
Partition partition(const ConvProgram& program, const Frame& frame, CutBounds bounds) {
  const LayerWork work = layer_work(program);
  const FrameShape& shape = frame.shape;
  const int64_t part_width = frame.part.width(), part_height = frame.part.height();
  const int threads = bounds.threads > 0 ? bounds.threads : thread_count();
  // Not counted where a team is better all the same: fewer units at once take less memory, and rows that are made four
  // at a time make margins large.
  const double barrier = program.tiles || bounds.memory > 0 ? 0 : kBarrierWork;
  const RingRows rows_kept = ring_rows(program, 1);
  const int64_t weights = weight_bytes(program);
  const int64_t narrowest = std::min(kLeastColumns, part_width);
  Partition best{(part_width + narrowest - 1) / narrowest, 1, threads, 1};
  double best_time = 1e300;
  for (int team = 1; team <= threads; ++team) {
    const Team sharing{team, work.a_pixel / work.rows_made, barrier};
    int64_t widest = part_width;
    const int64_t least = std::max(kLeastColumns, kWideUnit * static_cast<int64_t>(work.beyond[1]));
    while (widest > least && unit_bytes(program, rows_kept, widest, shape.width).all > team * kUnitBytes) {
      widest = (widest + 1) / 2 + (widest > 64 ? widest / 4 : 0);
    }
    int64_t highest = part_height;
    if (bounds.side > 0) {
      const int64_t side = std::max<int64_t>(1, bounds.side / program.block());
      widest = std::min(widest, side);
      highest = side;
    }
    const int64_t teams = std::max(1, threads / team);
    int64_t least_columns = (part_width + widest - 1) / widest;
    const int64_t least_rows = (part_height + highest - 1) / highest;
    const auto too_large = [&] {
      return bounds.memory > 0 && strip_bytes(program, rows_kept, frame, least_columns) > bounds.memory / teams;
    };
    while (too_large() && part_width > least_columns * narrowest) least_columns += 1 + least_columns / 16;
    if (too_large()) continue;
    for (int64_t columns = least_columns; columns <= std::min(part_width, least_columns + 2 * teams); ++columns) {
      const int64_t width = (part_width + columns - 1) / columns;
      // What the rings of a batch may fill: what they should, or twice what they must.
      const int64_t must = bounds.memory > 0 ? strip_bytes(program, rows_kept, frame, columns)
                                             : unit_bytes(program, rows_kept, width, shape.width).all;
      const int64_t most_bytes = bounds.memory > 0 ? bounds.memory / teams : std::max(team * kUnitBytes, 2 * must);
      const int64_t spare = std::max<int64_t>(0, most_bytes - must);
      const int64_t batch = batch_rows(program, weights, rows_kept, width, frame, spare, sharing);
      const double shared = team > 1 ? kWaiting / sharing.speed(width, batch) : 1;
      for (int64_t rows = least_rows; rows <= std::min(part_height, least_rows + 2 * teams); ++rows) {
        const int64_t height = (part_height + rows - 1) / rows;
        const double wide = static_cast<double>(part_width) / columns + (width < shape.width ? work.beyond[1] : 0);
        const double high = static_cast<double>(part_height) / rows + (height < shape.height ? work.beyond[0] : 0);
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

int64_t partition_bytes(const ConvProgram& program, const Frame& frame, const Partition& parts, int threads) {
  return units_at_once(parts, threads) * strip_bytes(program, ring_rows(program, parts.batch), frame, parts.columns);
}

Unit make_unit(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t index) {
  const auto edge = [](int64_t length, int64_t count, int64_t i) { return length * i / count; };
  Unit unit{frame};
  const FramePart& part = frame.part;
  const int64_t body = program.body_factor;
  unit.top = part.top + edge(part.height(), parts.rows, index / parts.columns);
  unit.bottom = part.top + edge(part.height(), parts.rows, index / parts.columns + 1);
  unit.left = part.left + edge(part.width(), parts.columns, index % parts.columns);
  unit.right = part.left + edge(part.width(), parts.columns, index % parts.columns + 1);
  required_regions(program, unit.left * body, unit.right * body - 1, 1, unit.columns);
  required_regions(program, unit.top * body, unit.top * body, 0, unit.rows);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    Interval& columns = unit.columns[i];
    const bool read = !columns.empty();
    const int64_t last = t.length(1, frame.shape.width) - 1;
    columns = Interval{std::max<int64_t>(columns.first, 0), std::min(columns.last, last)};
    const int64_t near = std::min(columns.first, last);
    if (columns.empty()) columns = Interval{near, near - 1};
    unit.held.push_back(read && columns.empty() ? Interval{near, near} : columns);
    unit.next.push_back(std::max<int64_t>(unit.rows[i].first, t.shift[0]));
  }
  return unit;
}

}  // namespace fastsr::cpu
