// Frames, the windows of tiles on them, and coordinates beyond their edges.
#pragma once

#include <cstdint>

#include "common/inline.h"

namespace fastsr {

// A frame: height x width x channels, contiguous.
struct FrameShape {
  int64_t height, width, channels;
};

// A tile's window on the frame: its top-left pixel (may lie outside the frame) and the part of it that is kept.
struct Window {
  int64_t top, left;                                     // of the whole tile, in frame pixels
  int64_t core_top, core_left, core_bottom, core_right;  // kept part, in frame pixels
};

// Coordinate `i` folded into 0..n-1 by mirroring at the first and last sample, which are not repeated
// (numpy.pad mode "reflect"); any distance outside, any n >= 1.
FASTSR_INLINE int64_t reflect(int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1);
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

FASTSR_INLINE int64_t clamp_index(int64_t i, int64_t n) { return i < 0 ? 0 : (i < n ? i : n - 1); }

}  // namespace fastsr
