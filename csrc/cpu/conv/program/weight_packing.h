// Kernels laid out in the order in which microkernel.h reads them.
#pragma once

#include "cpu/conv/kernel_table.h"

namespace fastsr::cpu {

struct ConvSpec;

// `subs` runs of output channels are filled up to `stored_out` each, input channels to `stored_in`. `kind` says how the
// inputs are held; `zero` is the level of zero among them. `planes` kernels stand one behind the other.
PackedConv pack(const ConvSpec& spec, const ConvKernels& kernels, Packed kind, int zero, int stored_in, int subs,
                int stored_out, int planes = 1);

// A kernel whose columns are a multiple of three, spread over kTilePlanes kernels of a third as many.
std::vector<float> spread_kernel(const ConvSpec& spec);
// One of three rows and three columns spread over kPlanes2 kernels of one of each.
std::vector<float> spread_kernel_both_ways(const ConvSpec& spec);

// `values` of `subs` runs, each filled up with `fill` to `stored` values.
std::vector<float> filled(const std::vector<float>& values, int subs, int stored, float fill);

}  // namespace fastsr::cpu
