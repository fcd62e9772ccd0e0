#include "cpu/conv/program/planner.h"

#include <algorithm>

#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr int64_t kUnitBytes = 32 << 20;  // that the rings of one unit may fill, for each thread that works on it
constexpr double kTeamWork = 1e7;  // multiplications of a row, on average, from which sharing rows pays everywhere

}  // namespace

// Units' margins overlap: `extra` rows and columns are, weighed by the work of the layers, what a unit computes beyond
// its own.
Partition partition(const ConvProgram& program, const FrameShape& shape, int64_t side) {
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
  const int threads = thread_count();
  const bool share = program.tiles || a_pixel * static_cast<double>(shape.width) > kTeamWork * rows_made / 2;
  Partition best{1, 1, 1};
  double best_time = 1e300;
  for (int team = 1; team <= (share ? threads : 1); ++team) {
    if (team > 1 && shape.width < team * kTeamColumns) break;
    int64_t widest = shape.width;
    const int64_t least = std::max<int64_t>(16, static_cast<int64_t>(extra[1]));  // else most of a unit is margin
    while (widest > least && unit_bytes(program, widest, shape.width) > team * kUnitBytes) {
      widest = (widest + 1) / 2 + (widest > 64 ? widest / 4 : 0);
    }
    int64_t highest = shape.height;
    if (side > 0) {
      widest = std::min(widest, side);
      highest = side;
    }
    const int64_t teams = std::max(1, threads / team);
    const int64_t least_columns = (shape.width + widest - 1) / widest,
                  least_rows = (shape.height + highest - 1) / highest;
    for (int64_t columns = least_columns; columns <= std::min(shape.width, least_columns + 2 * teams); ++columns) {
      for (int64_t rows = least_rows; rows <= std::min(shape.height, least_rows + 2 * teams); ++rows) {
        const double wide = static_cast<double>(shape.width) / columns + (columns > 1 ? extra[1] : 0);
        const double high = static_cast<double>(shape.height) / rows + (rows > 1 ? extra[0] : 0);
        const double shared = team > 1 ? 1.05 / team : 1;  // waiting for one another
        const double time = static_cast<double>((columns * rows + teams - 1) / teams) * wide * high * shared;
        if (time < best_time * 0.999) {
          best_time = time;
          best = Partition{columns, rows, team};
        }
      }
    }
  }
  return best;
}

Unit make_unit(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t index) {
  const auto edge = [](int64_t length, int64_t count, int64_t i) { return length * i / count; };
  Unit unit{frame};
  const FrameShape& shape = frame.shape;
  const int64_t body = program.body_factor;
  unit.top = edge(shape.height, parts.rows, index / parts.columns);
  unit.bottom = edge(shape.height, parts.rows, index / parts.columns + 1);
  unit.left = edge(shape.width, parts.columns, index % parts.columns);
  unit.right = edge(shape.width, parts.columns, index % parts.columns + 1);
  required_regions(program, unit.left * body, unit.right * body - 1, 1, unit.columns);
  required_regions(program, unit.top * body, unit.top * body, 0, unit.rows);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const Tensor& t = program.tensors[i];
    unit.columns[i].first = std::max<int64_t>(unit.columns[i].first, 0);
    unit.columns[i].last = std::min(unit.columns[i].last, shape.width * t.factor - 1);
    unit.next.push_back(std::max<int64_t>(unit.rows[i].first, t.shift[0]));
  }
  return unit;
}

}  // namespace fastsr::cpu
