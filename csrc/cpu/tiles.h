// Tiling and pixel-shuffle on the CPU: the twins of csrc/cuda/tiles.cu, function for function.
#pragma once

#include <cstdint>

#include "../ops.h"

namespace fastsr::cpu {

enum class Type { u8, u16, f32, f16 };

// Tiles of a frame, mirrored at its edges, as a planar batch in 0..1.
struct GatherArgs {
  const void* frame;  // HWC; u8, u16 or f32
  Type frame_type;
  FrameShape shape;
  const Window* windows;
  int64_t tiles, tile_height, tile_width;
  void* batch;  // N x C x h x w; f32 or f16
  Type batch_type;
};

// The kept part of every tile, shuffled by `factor`, added to the enlarged low-resolution frame, stored as pixels.
struct ScatterArgs {
  const void* batch;  // N x C*factor^2 x h x w; f32 or f16
  Type batch_type;
  const Window* windows;  // in pixels of the tiles, before the shuffle
  int64_t tiles, tile_height, tile_width;
  void* frame;  // HWC, `factor` times larger than what the windows cover; u8, u16 or f32
  Type frame_type;
  FrameShape shape;
  int64_t factor;
  Residual residual;
  const void* low;  // HWC, shape / factor, of frame_type; unused without a residual
};

// Depth to space: input N x C*r*r x H x W (or N x H x W x C*r*r) to N x C x H*r x W*r (or N x H*r x W*r x C).
struct ShuffleArgs {
  const void* input;
  void* output;
  int64_t item;                                    // bytes per element: 1, 2, 4 or 8
  int64_t batch, channels, height, width, factor;  // channels: of the output
  bool channels_last;
};

constexpr int64_t kMaxPlanes = 64;  // factor * channels that scatter converts at a time; callers must not ask for more

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
