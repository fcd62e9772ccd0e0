#include "cpu/conv/program/executor.h"

#include <algorithm>
#include <atomic>

#include "cpu/conv/program/row_order.h"
#include "cpu/conv/program/schedule.h"
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

// In blocks.
Frame Executor::frame_of(const Source& from, const Destination& to, const FramePart& part) const {
  const int64_t block = program_.block(), scale = program_.scale();
  const int64_t pixel = program_.image_channels() * item_bytes(from.type);
  Frame frame{{from.shape.height / block, from.shape.width / block, from.shape.channels},
              {part.top / block, part.bottom / block, part.left / block, part.right / block},
              from.pixels,
              from.type,
              from.first_row,
              from.first_column,
              from.columns * pixel,
              pixel};
  frame.out_row = to.width * scale * pixel;
  frame.out = static_cast<uint8_t*>(to.pixels) + (part.top - to.top) * scale * frame.out_row +
              (part.left - to.left) * scale * pixel;
  return frame;
}

void Executor::run(const Source& from, const Destination& to, const std::vector<FramePart>& parts, CutBounds bounds,
                   const RunProgress::Report& report) const {
  std::vector<Frame> frames;
  for (const FramePart& part : parts) frames.push_back(frame_of(from, to, part));
  const std::vector<Stage> stages = schedule(program_, frames, bounds);
  int64_t units = 0;
  for (const Stage& stage : stages) units += stage.units();
  RunProgress progress(units, report);

  const auto run_unit = [&](const PlannedPart& part, int64_t index) {
    Unit unit = make_unit(program_, *part.frame, part.parts, index);
    UnitProgress mine(progress, program_, unit);
    Memory memory = take(lay_out(program_, part.rows, unit.held, unit.rings));
    place(program_, unit.held, memory.second.data(), unit.rings);
    in_order(program_, unit, part.rows, [&](const Step& step, int64_t first, int64_t count) {
      make_rows(program_, unit, step, first, count, part.parts.team);
      return mine.made(step, count);
    });
    mine.finish();
    give_back(std::move(memory));
  };
  for (const Stage& stage : stages) {
    std::atomic<int64_t> next{0};
    // As many units at once as there are teams: a team's threads help with its unit's rows.
    const auto run_units = [&](int64_t, int64_t) {
      for (int64_t i = next++; i < stage.units() && !progress.ended(); i = next++) {
        try {
          const auto [part, index] = stage.unit(i);
          run_unit(*part, index);
        } catch (...) {
          progress.end();
          throw;
        }
      }
    };
    parallel_for(stage.at_once, 1, run_units, [&] { progress.poll(); });
  }
  progress.finish();
}

}  // namespace fastsr::cpu
