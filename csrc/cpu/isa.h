// Which instruction set the kernels use: the best that the machine has, or the one that FASTSR_ISA names.
#pragma once

#include <string>
#include <vector>

#include "cpu/conv/kernel_table.h"
#include "cpu/png_filters.h"
#include "cpu/resampling.h"
#include "cpu/tile_kernels.h"
#include "cpu/yuv420.h"

namespace fastsr::cpu {

// Names this build can run here, slowest first ("portable" is always there).
std::vector<std::string> available_isas();

// The one in use. Throws std::runtime_error when FASTSR_ISA names one that is not available.
std::string active_isa();

const TileKernels& tile_kernels();
const ConvKernels& conv_kernels();
const PngKernels& png_kernels();
const ResampleKernels& resample_kernels();
const Yuv420Kernels& yuv420_kernels();

}  // namespace fastsr::cpu
