#include "cpu/conv/program/cut.h"

#include "cpu/conv/program/run_progress.h"

namespace fastsr::cpu {
namespace {

double work_of(const ConvProgram& program, const Frame& frame, const Partition& parts) {
  double work = 0;
  for (int64_t i = 0; i < parts.columns * parts.rows; ++i)
    work += unit_work(program, make_unit(program, frame, parts, i));
  return work;
}

}  // namespace

Cut cut(const ConvProgram& program, FrameShape shape, CutBounds bounds) {
  shape.height /= program.block();
  shape.width /= program.block();
  const Frame frame{nullptr, nullptr, Type::u8, shape};
  const Partition parts = partition(program, shape, bounds);
  return Cut{parts, partition_bytes(program, shape, parts),
             work_of(program, frame, parts) / work_of(program, frame, Partition{1, 1, 1})};
}

}  // namespace fastsr::cpu
