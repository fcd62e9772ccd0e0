#include "cpu/conv/program/cut.h"

#include <algorithm>

#include "cpu/conv/program/row_order.h"
#include "cpu/conv/program/run_progress.h"
#include "cpu/conv/program/sharing.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

double work_of(const ConvProgram& program, const Frame& frame, const Partition& parts) {
  double work = 0;
  for (int64_t i = 0; i < parts.columns * parts.rows; ++i) {
    work += unit_work(program, make_unit(program, frame, parts, i));
  }
  return work;
}

// Multiplications of the thread of a team that finishes last: each takes the next share when it is done with one, and
// all wait for one another after every batch of a step.
double longest_of(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t index) {
  Unit unit = make_unit(program, frame, parts, index);
  double longest = 0;
  in_order(program, unit, ring_rows(program, parts.batch), [&](const Step& step, int64_t, int64_t count) {
    const Shares shares = share_out(program, unit, step, count, parts.team);
    std::vector<double> busy(static_cast<size_t>(parts.team));
    for (int64_t i = 0; i < shares.count(); ++i) {
      const double columns = static_cast<double>(std::max<int64_t>(0, shares.columns_of(i).length()));
      *std::min_element(busy.begin(), busy.end()) += columns * static_cast<double>(shares.rows_of(i).length());
    }
    const double slowest = *std::max_element(busy.begin(), busy.end());
    const double all = static_cast<double>(std::max<int64_t>(1, shares.columns.length() * count));
    longest += row_work(program, unit, step) * static_cast<double>(count) * slowest / all;
    return true;
  });
  return longest;
}

double critical_path(const ConvProgram& program, const Frame& frame, const Partition& parts, int64_t at_once) {
  std::vector<double> busy(static_cast<size_t>(at_once));
  for (int64_t i = 0; i < parts.columns * parts.rows; ++i) {
    *std::min_element(busy.begin(), busy.end()) += longest_of(program, frame, parts, i);
  }
  return *std::max_element(busy.begin(), busy.end());
}

}  // namespace

Cut cut(const ConvProgram& program, const FrameShape& shape, const FramePart& part, CutBounds bounds) {
  const int64_t block = program.block();
  const int threads = bounds.threads > 0 ? bounds.threads : thread_count();
  const Frame frame{{shape.height / block, shape.width / block, shape.channels},
                    {part.top / block, part.bottom / block, part.left / block, part.right / block}};
  const Partition parts = partition(program, frame, bounds);
  const int64_t at_once = units_at_once(parts, threads);
  const double undivided = work_of(program, frame, Partition{1, 1, 1, 1});
  return Cut{parts, at_once, partition_bytes(program, frame, parts, threads),
             work_of(program, frame, parts) / undivided,
             undivided / threads / critical_path(program, frame, parts, at_once)};
}

}  // namespace fastsr::cpu
