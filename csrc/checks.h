// What the kernels may be asked: turns described arrays into arguments, or throws std::invalid_argument in plain words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tiles.h"

namespace fastsr {

// A C-contiguous array wherever it lies; a null pointer means that none was given.
struct Array {
  void* data = nullptr;
  Type type = Type::other;
  int64_t item = 0;  // bytes per element
  std::string dtype;
  std::vector<int64_t> shape;
};

// NumPy's name of an element type; Type::other for those that only pixel_shuffle moves.
Type type_named(const std::string& name);

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
