// Weights laid out in the order in which the microkernel reads them, and the filter transform of Winograd's F(4,3).
#pragma once

#include <vector>

#include "cpu/conv/kernel_table.h"
#include "cpu/conv/program/conv_spec.h"

namespace fastsr::cpu {

// `subs` runs of output channels are filled up to `padded_out` each, input channels to `padded_in`. `format` says how
// the inputs are held; `zero_point` is theirs. `planes` kernels stand one behind the other.
PackedConv pack(const ConvSpec& spec, const ConvKernels& kernels, StorageFormat format, int zero_point, int padded_in,
                int subs, int padded_out, int planes = 1);

// Of a depthwise convolution: [vector of channels][tap of the kernel][lane].
PackedConv pack_depthwise(const ConvSpec& spec, const ConvKernels& kernels, int padded);

// The filter transform of a kernel whose columns are a multiple of three: kWinogradPlanes kernels of a third as many.
std::vector<float> filter_transform(const ConvSpec& spec);
// Along both axes, of one of three rows and three columns: kWinogradPlanes2d kernels of one row and one column.
std::vector<float> filter_transform_2d(const ConvSpec& spec);
// The same for winograd_f4x4_s16.h, packed.
PackedConv pack_integer_tiles(const ConvSpec& spec, const ConvKernels& kernels, int padded_in, int subs,
                              int padded_out);

// `values` of `subs` runs, each filled up with `fill` to `padded` values.
std::vector<float> padded_runs(const std::vector<float>& values, int subs, int padded, float fill);

}  // namespace fastsr::cpu
