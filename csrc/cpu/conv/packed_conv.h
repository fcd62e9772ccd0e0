// A convolution as the kernels read it: program/weight_packing.h makes one.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/conv/aligned_memory.h"

namespace fastsr::cpu {

constexpr int kMaxKernel = 17;  // rows and columns of a kernel

// What happens to a value between the sum and its store: PReLU, an addition, a clamp.
struct EpilogueParams {
  std::vector<float> slopes;  // of negative values, per padded channel; empty for none
  bool clipped = false;
  float low = 0, high = 0;
};

// A convolution packed for one instruction set:
// [group of vectors][Winograd plane][kernel row][K block: 4 bytes of inputs][vector][lane].
struct PackedConv {
  int kernel_rows = 0;
  int vectors = 0;            // of output channels
  int64_t k_blocks = 0;       // of one kernel row
  Block weights;              // in the inputs' format; those of u8 inputs are s8
  Block init;                 // of the accumulators (the bias), per output: float, or s32 for int8
  std::vector<float> scales;  // int8: what one unit of the sum is worth, per output; empty: the sum is kept as s32
                              // (of winograd_f4x4_s16.h: [plane][output])
  std::vector<uint16_t> magnitude_masks;  // of winograd_f4x4_s16.h, per padded channel of the input, in bfloat16
  EpilogueParams epilogue;
};

}  // namespace fastsr::cpu
