// The convolution engine's kernels for one instruction set (FASTSR_ISA_NAME names the namespace, FASTSR_LANES is the
// width of its vectors, FASTSR_BYTE_DOTS says that it multiplies bytes, FASTSR_BF16 that it multiplies bfloat16).
#include "cpu/conv/kernel_table.h"
#include "cpu/conv/kernels/bicubic_row.h"
#include "cpu/conv/kernels/bilinear_row.h"
#include "cpu/conv/kernels/depthwise_row.h"
#include "cpu/conv/kernels/dot_bf16.h"
#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/dot_s16.h"
#include "cpu/conv/kernels/dot_u8.h"
#include "cpu/conv/kernels/epilogue.h"
#include "cpu/conv/kernels/epilogue_row.h"
#include "cpu/conv/kernels/normalize_row.h"
#include "cpu/conv/kernels/peak_rate.h"
#include "cpu/conv/kernels/pixel_rows.h"
#include "cpu/conv/kernels/reduce_rows.h"
#include "cpu/conv/kernels/remap_row.h"
#include "cpu/conv/kernels/row_driver.h"
#include "cpu/conv/kernels/winograd_f4_1xn.h"
#include "cpu/conv/kernels/winograd_f4_row.h"
#include "cpu/conv/kernels/winograd_f4x4_f32.h"
#include "cpu/conv/kernels/winograd_f4x4_s16.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

#if defined(FASTSR_BYTE_DOTS)
using DotInt8 = DotU8;
constexpr StorageFormat kInt8 = StorageFormat::u8x4;
#else
using DotInt8 = DotS16;
constexpr StorageFormat kInt8 = StorageFormat::s16x2;
#endif

#if defined(FASTSR_BF16)
constexpr auto kConvBf16 = conv_row<DotBf16>;
constexpr auto kWinogradBf16 = winograd_f4x4<IntegerTiles>;
#else
constexpr void (*kConvBf16)(const ConvRow&) = nullptr;
constexpr void (*kWinogradBf16)(const WinogradRows&) = nullptr;
#endif

int64_t peak_operations(StorageFormat format, int64_t rounds) {
  switch (format) {
    case StorageFormat::f32: return peak_operations_of<DotF32, 1>(rounds);
    case StorageFormat::bf16x2: return peak_operations_of<DotBf16, 2>(rounds);
    default: return peak_operations_of<DotInt8, kInt8 == StorageFormat::u8x4 ? 4 : 2>(rounds);
  }
}

const ConvKernels conv_kernels{kLanes,
                               kInt8,
                               block_vectors,
                               conv_row<DotF32>,
                               conv_row<DotInt8>,
                               kConvBf16,
                               depthwise_row,
                               input_transform_row,
                               winograd_f4_row,
                               winograd_f4_1xn,
                               winograd_f4x4<FloatTiles>,
                               kWinogradBf16,
                               load_row,
                               remap_row,
                               reduce_rows,
                               epilogue_row,
                               normalize_row,
                               bilinear_row,
                               bicubic_row,
                               store_row,
                               peak_operations};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
