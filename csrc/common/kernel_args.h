// What the tiling and pixel-shuffle kernels are asked to do, on the CPU and on a GPU alike.
#pragma once

#include <cstdint>

#include "common/element_type.h"
#include "common/pixel.h"

namespace fastsr {

// Tiles of a frame, mirrored at its edges, as a batch in 0..1.
struct GatherArgs {
  const void* frame;  // HWC; u8, u16 or f32
  Type frame_type;
  FrameShape shape;
  const Window* windows;  // on the host; only top and left count
  int64_t tiles, tile_height, tile_width;
  void* batch;  // N x C x h x w (N x h x w x C); f32 or f16
  Type batch_type;
  bool channels_last;
};

// The kept part of every tile, shuffled by `factor`, added to the enlarged low-resolution frame, stored as pixels.
struct ScatterArgs {
  const void* batch;  // N x C*factor^2 x h x w (N x h x w x C*factor^2); f32 or f16
  Type batch_type;
  bool channels_last;
  const Window* windows;  // on the host, in pixels of the tiles, before the shuffle
  int64_t tiles, tile_height, tile_width;
  void* frame;  // HWC, `factor` times larger than what the windows cover; u8, u16 or f32
  Type frame_type;
  FrameShape shape;
  int64_t factor;
  Residual residual;
  const void* low;  // HWC, shape / factor, of frame_type; unused without a residual
};

// Depth to space: input N x C*r*r x H x W (or N x H x W x C*r*r) to N x C x H*r x W*r (or N x H*r x W*r x C), and,
// where bias or slope is given, a bias and a PReLU per output channel.
struct ShuffleArgs {
  const void* input;
  void* output;
  Type type;                                       // with bias or slope: f32, f16 or bf16
  int64_t item;                                    // bytes per element: 1, 2, 4 or 8
  int64_t batch, channels, height, width, factor;  // channels: of the output
  bool channels_last;
  const float* bias;   // one per output channel, or null
  const float* slope;  // likewise
};

constexpr int64_t kMaxPlanes = 64;  // factor * channels that scatter takes

}  // namespace fastsr
