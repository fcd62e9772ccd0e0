// The row filters of PNG (W3C PNG, section 9): of the five the one whose bytes, taken as signed, have the least sum of
// absolute values, in blocks spread over the row.
#pragma once

#include "cpu/png_rows.h"

namespace fastsr::cpu {

struct PngKernels {
  void (*filter_rows)(const PngRows&);
};

// One table per instruction set; isa.h chooses.
namespace portable {
extern const PngKernels png_kernels;
}
namespace avx2 {
extern const PngKernels png_kernels;
}

}  // namespace fastsr::cpu
