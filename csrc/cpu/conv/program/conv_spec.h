// A convolution and its epilogue as the caller has them, before they are packed.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/conv/row_args.h"

namespace fastsr::cpu {

struct EpilogueSpec {
  std::vector<float> slopes;  // of negative values, per output; empty for none
  int add = -1;               // tensor that is added, or -1
  float low, high;            // bounds; beyond +-3e38 there is none

  bool clipped() const { return low > -3e38f || high < 3e38f; }
};

// What is made of values before an epilogue: function(value * gain + offset), times another tensor.
struct PointwiseSpec {
  std::vector<float> gains, offsets;  // per channel; empty for none
  Function function = Function::none;
  int times = -1;  // the tensor, or -1
};

// Normalization over channels: less the mean (where `centred`), over the root of the variance plus `epsilon`, times
// gains, plus offsets.
struct NormalizationSpec {
  bool centred;
  float epsilon;
  std::vector<float> gains, offsets;  // per channel
};

// `kernel` is out x in x rows x columns.
struct ConvSpec {
  int out, in, rows, columns;
  std::vector<int> places;                   // padded channel of each input; empty: one after the other
  const float* kernel = nullptr;             // float and bf16; as s16, integers
  const int8_t* quantized_kernel = nullptr;  // int8
  std::vector<float> bias;                   // float and bf16
  std::vector<int32_t> quantized_bias;       // int8: in units of the sum
  std::vector<float> scales;                 // int8: of one unit of the sum; empty: sums are kept for a row reduction
  EpilogueSpec epilogue;
};

}  // namespace fastsr::cpu
