// Tiling and pixel-shuffle on the CPU: the reference implementation of csrc/cuda/tile_kernels.cu,
// function for function.
#pragma once

#include "common/kernel_args.h"

namespace fastsr::cpu {

struct TileKernels {
  void (*gather)(const GatherArgs&);
  void (*scatter)(const ScatterArgs&);
  void (*shuffle)(const ShuffleArgs&);
};

// One table per instruction set; isa.h chooses.
namespace portable {
extern const TileKernels tile_kernels;
}
namespace avx2 {
extern const TileKernels tile_kernels;
}

}  // namespace fastsr::cpu
