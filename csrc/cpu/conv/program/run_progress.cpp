#include "cpu/conv/program/run_progress.h"

#include <algorithm>

namespace fastsr::cpu {
namespace {

constexpr double kPollWork = 1e6;  // multiplications, some hundred microseconds at the most
constexpr auto kReportTime = std::chrono::milliseconds(100);

// Rows of a step's target that are made together.
int64_t rows_together(const ConvProgram& program, const Step& step) {
  return step.kind == Step::Kind::store ? 1 : program.tensors[step.target].alignment[0];
}

}  // namespace

double row_work(const ConvProgram& program, const Unit& unit, const Step& step) {
  const bool stores = step.kind == Step::Kind::store;
  const int64_t columns =
      stores ? (unit.right - unit.left) * program.body_factor : unit.columns[step.target].length() / step.factor;
  return multiplications(program, step) * step.tile_rows() * static_cast<double>(columns);
}

double unit_work(const ConvProgram& program, const Unit& unit) {
  const int64_t body = program.body_factor;
  std::vector<Interval> need;
  required_regions(program, unit.bottom * body - 1, unit.bottom * body - 1, 0, need);
  double work = 0;
  for (const Step& step : program.steps) {
    int64_t first = unit.top * body, last = unit.bottom * body - 1;
    if (step.kind != Step::Kind::store) {
      if (need[step.target].empty()) continue;
      first = unit.next[step.target];
      last = std::min(need[step.target].last, program.tensors[step.target].length(0, unit.frame.shape.height) - 1);
    }
    const int64_t together = rows_together(program, step);
    if (last >= first) work += row_work(program, unit, step) * static_cast<double>((last - first) / together + 1);
  }
  return work;
}

void RunProgress::poll() {
  if (!report_ || std::this_thread::get_id() != owner_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kReportTime;
  try {
    report_(done_, total_);
  } catch (...) {
    ended_ = true;
    throw;
  }
}

void RunProgress::finish() {
  if (report_) report_(total_, total_);
}

bool UnitProgress::made(const Step& step, int64_t rows) {
  done_ += row_work(program_, unit_, step) * static_cast<double>(rows);
  if (done_ < next_poll_) return true;
  next_poll_ = done_ + kPollWork;
  advance(static_cast<int64_t>(done_ / work_ * RunProgress::kUnitParts));
  run_.poll();
  return !run_.ended();
}

void UnitProgress::advance(int64_t parts) {
  parts = std::min(parts, RunProgress::kUnitParts);
  if (parts <= parts_) return;
  run_.add(parts - parts_);
  parts_ = parts;
}

}  // namespace fastsr::cpu
