// What of a result has to be made again when some pixels of its frame have changed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cpu/conv/program/planner.h"

namespace fastsr::cpu {

// Parts of the frame `after` (in input pixels; they do not overlap) whose enlargement may differ from that of the frame
// `before`: all that depends on a pixel that is not the same to the bit, in few rectangles. Nothing where making those
// would hardly take less than making the whole frame. Both frames are shape.height x shape.width pixels of
// `pixel_bytes`, multiples of the block.
std::optional<std::vector<FramePart>> changed_parts(const ConvProgram& program, const void* before, const void* after,
                                                    const FrameShape& shape, int64_t pixel_bytes);

}  // namespace fastsr::cpu
