// What the kernels may be asked: turns described arrays into arguments, or throws std::invalid_argument in plain words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/kernel_args.h"
#include "cpu/conv/kernel_table.h"

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

// Which steps a convolution program (cpu/conv/program/conv_program.h) may be told, so that a wrong one cannot reach memory that is
// not its own. Checks leave everything as it was; `made` and `stored` mark what the program has then taken.
class ProgramChecks {
 public:
  explicit ProgramChecks(const std::string& precision) : precision_(precision) {}

  void tensor(int channels, int factor, bool floats, bool packed, float scale, int zero) const;
  // `kernel` is out x in x rows x columns; of scales and slopes the number counts.
  void conv(int source, int target, const Array& kernel, const Array& bias, size_t scales, size_t slopes, int add,
            bool clipped, int factor) const;
  void gather(int source, int target, int factor, const std::vector<int32_t>& table, size_t slopes, int add) const;
  void sum(int source, int target, int terms, const Array& bias, size_t scales) const;
  void store(int source, int factor, cpu::Base base, int fold) const;
  FrameShape run(const Array& pixels, int64_t side) const;
  void width(int64_t columns) const;

  void described(int channels, int factor, bool floats, bool packed);
  // `sums`: s32 is what the tensor holds.
  void made(int target, bool sums = false);
  void stored(int fold) {
    stored_ = true;
    fold_ = fold;
  }

 private:
  struct Tensor {
    int channels, factor;
    bool floats, packed, made, sums;
  };

  const Tensor& source(int i) const;
  const Tensor& target(int i) const;
  void addend(int i, const Tensor& target) const;

  std::string precision_;
  std::vector<Tensor> tensors_;
  bool begun_ = false, stored_ = false;
  int fold_ = 1;
};

}  // namespace fastsr
