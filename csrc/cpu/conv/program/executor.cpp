#include "cpu/conv/program/executor.h"

#include <algorithm>
#include <atomic>

#include "cpu/conv/program/row_order.h"
#include "cpu/conv/program/step_rows.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr size_t kSpareBytes = 256 << 20;  // of a unit; more is given back to the system, which costs little beside it

}  // namespace

// Memory of at least so many bytes: a finished unit's, or new, and then those that were too small are let go.
Executor::Memory Executor::take(size_t bytes) const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto fits = std::find_if(spare_.begin(), spare_.end(), [&](const Memory& m) { return m.first >= bytes; });
    if (fits != spare_.end()) {
      Memory found = std::move(*fits);
      spare_.erase(fits);
      return found;
    }
    spare_.clear();
  }
  return Memory{bytes, Block(bytes)};
}

// Keeps a finished unit's memory for the next ones, one for each thread; the larger ones fit more frames.
void Executor::give_back(Memory memory) const {
  if (memory.first > kSpareBytes) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (static_cast<int64_t>(spare_.size()) < thread_count()) return spare_.push_back(std::move(memory));
  const auto smaller = [](const Memory& a, const Memory& b) { return a.first < b.first; };
  const auto least = std::min_element(spare_.begin(), spare_.end(), smaller);
  if (least->first < memory.first) *least = std::move(memory);
}

void Executor::run(const void* pixels, Type type, FrameShape shape, Band band, void* out, CutBounds bounds,
                   const RunProgress::Report& report) const {
  shape.height /= program_.block();  // from here on sides are counted in blocks
  shape.width /= program_.block();
  const int64_t block = program_.block();
  const Frame frame{pixels, out, type, shape, band.top / block, (band.bottom + block - 1) / block, band.first_row};
  const Partition parts = partition(program_, {frame.bottom - frame.top, shape.width, shape.channels}, bounds);
  const RingRows rows = ring_rows(program_, parts.batch);
  const int64_t units = parts.columns * parts.rows;
  RunProgress progress(units, report);
  std::atomic<int64_t> next{0};

  const auto run_unit = [&](int64_t index) {
    Unit part = make_unit(program_, frame, parts, index);
    UnitProgress mine(progress, program_, part);
    Memory memory = take(lay_out(program_, rows, part.held, part.rings));
    place(program_, part.held, memory.second.data(), part.rings);
    in_order(program_, part, rows, [&](const Step& step, int64_t first, int64_t count) {
      make_rows(program_, part, step, first, count, parts.team);
      return mine.made(step, count);
    });
    mine.finish();
    give_back(std::move(memory));
  };
  // As many units at once as there are teams: a team's threads help with its unit's rows.
  const auto run_units = [&](int64_t, int64_t) {
    for (int64_t i = next++; i < units && !progress.ended(); i = next++) {
      try {
        run_unit(i);
      } catch (...) {
        progress.end();
        throw;
      }
    }
  };
  parallel_for(units_at_once(parts, thread_count()), 1, run_units, [&] { progress.poll(); });
  progress.finish();
}

}  // namespace fastsr::cpu
