// A frame through a program: cut into units, and each unit's rows made by all layers at once.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "cpu/conv/program/unit.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr int64_t kUnitBytes = 32 << 20;  // that the rings of one unit may fill, for each thread that works on it
constexpr double kTeamWork = 1e7;  // multiplications of a row, on average, from which sharing rows pays everywhere

}  // namespace

// How a frame is cut.
struct ConvProgram::Cut {
  int64_t columns, rows;  // units across and down
  int team;               // threads that share a unit
};

// The cut that keeps all threads busy with the least work done twice. Units' margins overlap: `extra` rows and columns
// are, weighed by the work of the layers, what a unit computes beyond its own.
ConvProgram::Cut ConvProgram::cut(const FrameShape& shape, int64_t side) const {
  double extra[2] = {0, 0};
  double a_pixel = 0,
         rows_made = 0;  // multiplications of an input pixel, rows of all layers, for each row of the input
  for (int axis = 0; axis < 2; ++axis) {
    std::vector<Interval> need;
    needs(kFarRow * body_factor_, kFarRow * body_factor_ + body_factor_ - 1, axis, need);
    double total = 1e-9;
    for (const Step& step : steps_) {
      if (step.kind != Kind::conv && step.kind != Kind::winograd && step.kind != Kind::flat &&
          step.kind != Kind::tiles) {
        continue;
      }
      const Tensor& t = tensors_[step.target];
      const double mine = work(step) * t.factor * t.factor / step.factor / step.factor;
      const Interval& n = need[step.target];
      extra[axis] += mine * (static_cast<double>(n.last - n.first + 1) / t.factor - 1);
      total += mine;
      rows_made += static_cast<double>(t.factor) / step.factor / (step.kind == Kind::tiles ? kTileOutputs : 1);
    }
    a_pixel = total;
    extra[axis] /= total;
  }
  const int threads = thread_count();
  const bool teams = teams_ || a_pixel * static_cast<double>(shape.width) > kTeamWork * rows_made / 2;  // of two axes
  Cut best{1, 1, 1};
  double best_time = 1e300;
  for (int team = 1; team <= (teams ? threads : 1); ++team) {
    if (team > 1 && shape.width < team * kTeamColumns) break;
    int64_t widest = shape.width;
    const int64_t least = std::max<int64_t>(16, static_cast<int64_t>(extra[1]));  // else most of a unit is margin
    while (widest > least && unit_bytes(widest, shape.width) > team * kUnitBytes) {
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
          best = Cut{columns, rows, team};
        }
      }
    }
  }
  return best;
}

// Unit `index` of a frame: the rows and columns of every tensor that it needs.
ConvProgram::Unit ConvProgram::unit(const Frame& frame, const Cut& parts, int64_t index) const {
  const auto edge = [](int64_t length, int64_t count, int64_t i) { return length * i / count; };
  Unit unit{frame};
  const FrameShape& shape = frame.shape;
  unit.top = edge(shape.height, parts.rows, index / parts.columns);
  unit.bottom = edge(shape.height, parts.rows, index / parts.columns + 1);
  unit.left = edge(shape.width, parts.columns, index % parts.columns);
  unit.right = edge(shape.width, parts.columns, index % parts.columns + 1);
  needs(unit.left * body_factor_, unit.right * body_factor_ - 1, 1, unit.columns);
  needs(unit.top * body_factor_, unit.top * body_factor_, 0, unit.rows);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    unit.columns[i].first = std::max<int64_t>(unit.columns[i].first, 0);
    unit.columns[i].last = std::min(unit.columns[i].last, shape.width * tensors_[i].factor - 1);
    unit.next.push_back(std::max<int64_t>(unit.rows[i].first, tensors_[i].shift[0]));
  }
  return unit;
}

// Gives every tensor of a unit the sizes of its rings; returns the bytes they take together.
size_t ConvProgram::lay_out(Unit& unit) const {
  size_t bytes = 0;
  unit.floats.resize(tensors_.size());
  unit.packed.resize(tensors_.size());
  const auto lay = [&](const Tensor& t, size_t i, Ring& ring, int64_t sample) {
    ring.pixel = t.stored * sample;
    ring.row = ring_row(t, unit.columns[i], sample);
    ring.capacity = t.capacity;
    ring.first = unit.columns[i].first;
    bytes += static_cast<size_t>((ring.capacity + 1) * ring.row);
  };
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (unit.columns[i].empty()) continue;
    if (tensors_[i].floats) lay(tensors_[i], i, unit.floats[i], 4);
    if (tensors_[i].packed) lay(tensors_[i], i, unit.packed[i], item(tensors_[i]));
  }
  return bytes;
}

// Places a unit's rings in memory. Whatever kernels read beyond the frame's edges is zero: the margins beside each row,
// and one row outside.
void ConvProgram::place(Unit& unit, uint8_t* memory) const {
  const auto settle = [&](size_t i, Ring& ring, uint8_t zero) {
    if (ring.row == 0) return;
    const int64_t margin = tensors_[i].margin * ring.pixel;
    const int64_t end =
        tensors_[i].is_spread ? ring.row : margin + (unit.columns[i].last - ring.first + 1) * ring.pixel;
    for (int64_t y = 0; y < ring.capacity; ++y) {
      std::memset(memory + y * ring.row, zero, margin);
      std::memset(memory + y * ring.row + end, zero, static_cast<size_t>(ring.row - end));
    }
    ring.data = memory + margin;
    ring.outside = memory + ring.capacity * ring.row;
    std::memset(ring.outside, zero, static_cast<size_t>(ring.row));
    ring.outside += margin;
    memory += (ring.capacity + 1) * ring.row;
  };
  for (size_t i = 0; i < tensors_.size(); ++i) {
    settle(i, unit.floats[i], 0);
    settle(i, unit.packed[i], kind_ == Packed::u8 ? static_cast<uint8_t>(tensors_[i].grid.zero) : 0);
  }
}

// Memory of at least so many bytes: a finished unit's, or new.
ConvProgram::Memory ConvProgram::take(size_t bytes) const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto fits = std::find_if(spare_.begin(), spare_.end(), [&](const Memory& m) { return m.first >= bytes; });
    if (fits != spare_.end()) {
      Memory found = std::move(*fits);
      spare_.erase(fits);
      return found;
    }
  }
  return Memory{bytes, Block(bytes)};
}

// Keeps a finished unit's memory for the next ones, one for each thread; the larger ones fit more frames.
void ConvProgram::give_back(Memory memory) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (static_cast<int64_t>(spare_.size()) < thread_count()) return spare_.push_back(std::move(memory));
  const auto smaller = [](const Memory& a, const Memory& b) { return a.first < b.first; };
  const auto least = std::min_element(spare_.begin(), spare_.end(), smaller);
  if (least->first < memory.first) *least = std::move(memory);
}

// Makes a unit's rows; `finished` is told of each row of the input whose outputs are stored, and says whether to go on.
void ConvProgram::flow(Unit& unit, int team, const std::function<bool(int64_t)>& finished) const {
  // The layers start one after the other, `lead_` rows before the first one comes out at the end.
  for (int64_t y = unit.top * body_factor_ - lead_; y < unit.bottom * body_factor_; ++y) {
    needs(y, y, 0, unit.rows);
    for (const Step& step : steps_) {
      if (step.kind == Kind::store) {
        if (y >= unit.top * body_factor_) make_row(unit, step, y, team);
        continue;
      }
      int64_t& next = unit.next[step.target];
      const Tensor& target = tensors_[step.target];
      const int64_t end = std::min(unit.rows[step.target].last, unit.frame.shape.height * target.factor - 1);
      for (; next <= end; next += target.granule[0]) {
        make_row(unit, step, (next - target.shift[0]) / target.granule[0], team);
      }
    }
    if (y >= unit.top * body_factor_ && (y + 1) % body_factor_ == 0 && !finished(y / body_factor_)) return;
  }
}

void ConvProgram::run(const void* pixels, Type type, FrameShape shape, void* out, int64_t side,
                      const std::function<void(int64_t, int64_t)>& progress) const {
  shape.height /= fold_;  // from here on a pixel is a block
  shape.width /= fold_;
  if (side > 0) side = std::max<int64_t>(1, side / fold_);
  const Frame frame{pixels, out, type, shape};
  const Cut parts = cut(shape, side);
  const int64_t total = shape.height * parts.columns;
  std::atomic<int64_t> done{0};
  std::atomic<bool> ended{false};
  const auto caller = std::this_thread::get_id();

  const auto run_unit = [&](int64_t index) {
    Unit part = unit(frame, parts, index);
    Memory memory = take(lay_out(part));
    place(part, memory.second.data());
    flow(part, parts.team, [&](int64_t row) {
      const int64_t finished = ++done;
      const bool due = row % 16 == 0 || row + 1 == part.bottom;
      if (progress && due && finished < total && std::this_thread::get_id() == caller) progress(finished, total);
      return !ended;
    });
    give_back(std::move(memory));
  };

  parallel_for(parts.columns * parts.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && !ended; ++i) {
      try {
        run_unit(i);
      } catch (...) {
        ended = true;
        throw;
      }
    }
  });
  if (progress) progress(total, total);
}

}  // namespace fastsr::cpu
