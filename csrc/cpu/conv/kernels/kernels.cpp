// The convolution engine's kernels for one instruction set (FASTSR_ISA_NAME names the namespace, FASTSR_LANES is the
// width of its vectors, FASTSR_BYTE_DOTS says that it multiplies bytes).
#include "cpu/conv/kernel_table.h"
#include "cpu/conv/kernels/dot_bf16.h"
#include "cpu/conv/kernels/dot_f32.h"
#include "cpu/conv/kernels/dot_s16.h"
#include "cpu/conv/kernels/dot_u8.h"
#include "cpu/conv/kernels/microkernel.h"
#include "cpu/conv/kernels/peak_rate.h"
#include "cpu/conv/kernels/pixel_rows.h"
#include "cpu/conv/kernels/winograd_f4_1xn.h"
#include "cpu/conv/kernels/winograd_f4_row.h"
#include "cpu/conv/kernels/winograd_f4x4_3x3.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

#if defined(FASTSR_BYTE_DOTS)
using DotInt8 = DotU8;
constexpr Packed kInt8 = Packed::u8;
#else
using DotInt8 = DotS16;
constexpr Packed kInt8 = Packed::s16;
#endif

#if defined(FASTSR_BF16)
constexpr auto kConvBf16 = conv_row<DotBf16>;
#else
constexpr void (*kConvBf16)(const ConvRow&) = nullptr;
#endif

int64_t burn(Packed kind, int64_t rounds) {
  switch (kind) {
    case Packed::none: return burn_with<DotF32, 1>(rounds);
    case Packed::bf16: return burn_with<DotBf16, 2>(rounds);
    default: return burn_with<DotInt8, kInt8 == Packed::u8 ? 4 : 2>(rounds);
  }
}

const ConvKernels conv_kernels{kLanes,    kInt8,      group,        conv_row<DotF32>, conv_row<DotInt8>,
                               kConvBf16, spread_row, winograd_row, flat_row,         tile_rows,
                               load_row,  gather_row, sum_row,      finish_row,       bicubic_row,
                               store_row, burn};

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
