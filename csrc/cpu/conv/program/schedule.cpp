#include "cpu/conv/program/schedule.h"

#include <algorithm>

#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr double kUneven = 1.15;  // times its even share that a thread may have to do: about what sharing a part costs

PlannedPart plan(const ConvProgram& program, const Frame& frame, CutBounds bounds) {
  const Partition parts = partition(program, frame, bounds);
  return PlannedPart{&frame, parts, ring_rows(program, parts.batch)};
}

}  // namespace

int64_t Stage::units() const {
  int64_t count = 0;
  for (const PlannedPart& part : planned) count += part.units();
  return count;
}

std::pair<const PlannedPart*, int64_t> Stage::unit(int64_t index) const {
  auto part = planned.begin();
  for (; index >= part->units(); ++part) index -= part->units();
  return {&*part, index};
}

std::vector<Stage> schedule(const ConvProgram& program, const std::vector<Frame>& parts, CutBounds bounds) {
  const int threads = bounds.threads > 0 ? bounds.threads : thread_count();
  std::vector<Stage> stages;
  if (parts.size() > 1 && bounds.memory == 0) {  // a team takes the least memory
    const PartWork work_of(program);
    std::vector<std::pair<double, const Frame*>> largest;
    double all = 0;
    for (const Frame& part : parts) {
      largest.emplace_back(work_of(part.shape, part.part), &part);
      all += largest.back().first;
    }
    std::stable_sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<double> busy(static_cast<size_t>(threads));
    for (const auto& part : largest) *std::min_element(busy.begin(), busy.end()) += part.first;
    if (*std::max_element(busy.begin(), busy.end()) <= kUneven * all / threads) {
      Stage stage{{}, 0};
      for (const auto& part : largest) {
        stage.planned.push_back(plan(program, *part.second, CutBounds{bounds.side, 0, 1}));
      }
      stage.at_once = std::min<int64_t>(stage.units(), threads);
      return {stage};
    }
  }
  for (const Frame& part : parts) {
    const PlannedPart planned = plan(program, part, bounds);
    stages.push_back(Stage{{planned}, units_at_once(planned.parts, threads)});
  }
  return stages;
}

}  // namespace fastsr::cpu
