// Tiling and pixel-shuffle on a GPU; csrc/cpu/tile_kernels.cpp is the reference implementation, function for function.
#pragma once

#include "common/kernel_args.h"

namespace fastsr::cuda {

// Where a call runs: a device's index and a stream's handle (0: the legacy default stream).
struct Queue {
  int device;
  uintptr_t stream;
};

// Arrays lie in the device's memory. The calls return at once, allocate nothing and may be captured in a CUDA graph.
// Cores of the windows must not overlap: tiles are stored in no particular order. They throw std::runtime_error when a
// kernel cannot be started.
void gather(const GatherArgs& args, const Queue& queue);
void scatter(const ScatterArgs& args, const Queue& queue);
void shuffle(const ShuffleArgs& args, const Queue& queue);

// How the emulation walks a grid: blocks of a launch in y and z, and whether the threads of a phase run last to first,
// which must make no difference.
struct Walk {
  int max_rows, max_tiles;
  bool backward;
};

// The same kernels over the same grids on the host, one thread after another; arrays lie in the host's memory.
void emulate_gather(const GatherArgs& args, const Walk& walk);
void emulate_scatter(const ScatterArgs& args, const Walk& walk);
void emulate_shuffle(const ShuffleArgs& args, const Walk& walk);

}  // namespace fastsr::cuda
