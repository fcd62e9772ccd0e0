// What the kernels may be asked: turns described arrays into arguments, or throws std::invalid_argument in plain words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/array.h"
#include "common/kernel_args.h"

namespace fastsr {

constexpr int64_t kMaxFactor = 1024;  // its square times any size of an array fits 64 bits

// Throws where a request does not hold what it must.
void require(bool condition, const std::string& message);

// Shapes that the operations make; they throw for anything that cannot be gathered or shuffled.
std::vector<int64_t> gather_shape(const std::vector<int64_t>& frame, int64_t tiles, int64_t height, int64_t width,
                                  bool channels_last);
std::vector<int64_t> shuffle_shape(const std::vector<int64_t>& input, int64_t factor, bool channels_last);

// `origins` holds 2 integers per tile, `windows` 6; the arguments point into `kept`.
GatherArgs gather_args(const Array& frame, const std::vector<int64_t>& origins, const Array& batch, bool channels_last,
                       std::vector<Window>& kept);
ScatterArgs scatter_args(const Array& batch, const std::vector<int64_t>& windows, const Array& frame, int64_t factor,
                         int residual, const Array& low, bool channels_last, std::vector<Window>& kept);
ShuffleArgs shuffle_args(const Array& input, const Array& output, int64_t factor, bool channels_last, const Array& bias,
                         const Array& slope);

}  // namespace fastsr
