// How far a run is, counted at every row of every step, and whether it shall end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// Multiplications of all rows that a unit's steps make, margins included; of one row of a step, as executed.
double unit_work(const ConvProgram& program, const Unit& unit);
double row_work(const ConvProgram& program, const Unit& unit, const Step& step);

// Of one run; `poll` and `report` belong to the thread that made it, all else to any.
class RunProgress {
 public:
  using Report = std::function<void(int64_t, int64_t)>;  // parts done, parts in all

  static constexpr int64_t kUnitParts = 1000;

  // `report` (may be empty) is called by `poll` every tenth of a second; what it throws ends the run.
  RunProgress(int64_t units, Report report) : total_(units * kUnitParts), report_(std::move(report)) {}

  bool ended() const { return ended_; }
  void end() { ended_ = true; }
  void add(int64_t parts) { done_ += parts; }
  // Reports when it is time to; does nothing on other threads than the one that made this.
  void poll();
  void finish();

 private:
  const int64_t total_;
  const Report report_;
  const std::thread::id owner_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
  std::atomic<int64_t> done_{0};
  std::atomic<bool> ended_{false};
};

// One unit's share of a run's progress.
class UnitProgress {
 public:
  UnitProgress(RunProgress& run, const ConvProgram& program, const Unit& unit)
      : run_(run), program_(program), unit_(unit), work_(unit_work(program, unit)) {}

  // Counts rows of a step, as executed, polls, and says whether to go on.
  bool made(const Step& step, int64_t rows);
  void finish() { advance(RunProgress::kUnitParts); }

 private:
  void advance(int64_t parts);

  RunProgress& run_;
  const ConvProgram& program_;
  const Unit& unit_;
  const double work_;
  double done_ = 0, next_poll_ = 0;
  int64_t parts_ = 0;
};

}  // namespace fastsr::cpu
