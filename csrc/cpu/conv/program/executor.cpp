#include "cpu/conv/program/executor.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "cpu/conv/program/step_rows.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {

// Memory of at least so many bytes: a finished unit's, or new.
Executor::Memory Executor::take(size_t bytes) const {
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
void Executor::give_back(Memory memory) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (static_cast<int64_t>(spare_.size()) < thread_count()) return spare_.push_back(std::move(memory));
  const auto smaller = [](const Memory& a, const Memory& b) { return a.first < b.first; };
  const auto least = std::min_element(spare_.begin(), spare_.end(), smaller);
  if (least->first < memory.first) *least = std::move(memory);
}

// Makes a unit's rows; `finished` is told of each row of the input whose outputs are stored, and says whether to go on.
void Executor::flow(Unit& unit, int team, const std::function<bool(int64_t)>& finished) const {
  const int64_t body = program_.body_factor;
  // The layers start one after the other, `latency` rows before the first one comes out at the end.
  for (int64_t y = unit.top * body - program_.latency; y < unit.bottom * body; ++y) {
    required_regions(program_, y, y, 0, unit.rows);
    for (const Step& step : program_.steps) {
      if (step.kind == Step::Kind::store) {
        if (y >= unit.top * body) make_row(program_, unit, step, y, team);
        continue;
      }
      int64_t& next = unit.next[step.target];
      const Tensor& target = program_.tensors[step.target];
      const int64_t end = std::min(unit.rows[step.target].last, unit.frame.shape.height * target.factor - 1);
      for (; next <= end; next += target.alignment[0]) {
        make_row(program_, unit, step, (next - target.shift[0]) / target.alignment[0], team);
      }
    }
    if (y >= unit.top * body && (y + 1) % body == 0 && !finished(y / body)) return;
  }
}

void Executor::run(const void* pixels, Type type, FrameShape shape, void* out, int64_t side,
                   const std::function<void(int64_t, int64_t)>& progress) const {
  shape.height /= program_.fold;  // from here on a pixel is a block
  shape.width /= program_.fold;
  if (side > 0) side = std::max<int64_t>(1, side / program_.fold);
  const Frame frame{pixels, out, type, shape};
  const Partition parts = partition(program_, shape, side);
  const int64_t total = shape.height * parts.columns;
  std::atomic<int64_t> done{0};
  std::atomic<bool> ended{false};
  const auto caller = std::this_thread::get_id();

  const auto run_unit = [&](int64_t index) {
    Unit part = make_unit(program_, frame, parts, index);
    Memory memory = take(lay_out(program_, part.columns, part.rings));
    place(program_, part.columns, memory.second.data(), part.rings);
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
