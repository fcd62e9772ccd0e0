// The convolution engine's kernels: one table per instruction set, filled by kernels/kernels.cpp; isa.h chooses.
#pragma once

#include <cstdint>

#include "cpu/conv/row_args.h"

namespace fastsr::cpu {

struct ConvKernels {
  int lanes;                       // floats in a vector
  StorageFormat int8;              // how int8 tensors are held
  int (*block_vectors)(int left);  // vectors of the next microkernel block when `left` are to be made
  void (*conv_f32)(const ConvRow&);
  void (*conv_int8)(const ConvRow&);
  void (*conv_bf16)(const ConvRow&);  // null where bf16 is not offered
  void (*depthwise)(const ConvRow&);
  void (*input_transform)(const InputTransformRow&);
  void (*winograd_f4_row)(const ConvRow&);
  void (*winograd_f4_1xn)(const ConvRow&);
  void (*winograd_f4x4_f32)(const WinogradRows&);
  void (*winograd_f4x4_s16)(const WinogradRows&);  // of bf16; null where that is not offered
  void (*load)(const LoadRow&);
  void (*remap)(const RemapRow&);
  void (*reduce_rows)(const ReduceRows&);
  void (*epilogue)(const EpilogueRow&);
  void (*normalize)(const NormalizeRow&);
  void (*bilinear)(const BilinearRow&);
  void (*bicubic)(const BicubicRow&);
  void (*store)(const StoreRow&);
  // Multiplies and adds in registers; returns how many operations.
  int64_t (*peak_operations)(StorageFormat format, int64_t rounds);
};

namespace portable {
extern const ConvKernels conv_kernels;
}
namespace avx2 {
extern const ConvKernels conv_kernels;
}
// avx512's code in AVX2 instructions, for tests alone.
namespace wide {
extern const ConvKernels conv_kernels;
}
namespace avxvnni {
extern const ConvKernels conv_kernels;
}
namespace avx512 {
extern const ConvKernels conv_kernels;
}
namespace avx512bf16 {
extern const ConvKernels conv_kernels;
}

}  // namespace fastsr::cpu
