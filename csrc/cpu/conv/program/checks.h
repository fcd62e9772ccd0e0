// What a convolution program may be told and handed, so that a wrong call cannot reach memory that is not its own. All
// of these throw std::invalid_argument in plain words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/array.h"
#include "common/window.h"
#include "cpu/conv/program/conv_program.h"
#include "cpu/conv/program/conv_spec.h"
#include "cpu/conv/program/frame_part.h"

namespace fastsr::cpu {

// Which steps come next. Checks leave everything as it was; `described`, `made` and `stored` mark what the program has
// then taken.
class ProgramChecks {
 public:
  explicit ProgramChecks(const std::string& precision) : precision_(precision) {}

  void tensor(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization,
              const Sides& growth) const;
  void concat(int target, const std::vector<int>& parts) const;
  void slice(int target, int source, int first) const;
  // `kernel` is out x in x rows x columns; of scales and slopes the number counts.
  void conv(int source, int target, const Array& kernel, const Array& bias, size_t scales, size_t slopes, int add,
            bool clipped, int factor, const Sides& before, const Sides& dilation) const;
  void depthwise(int source, int target, const Array& kernel, const Array& bias, size_t slopes, int add,
                 const Sides& before, const Sides& dilation) const;
  void remap(int source, int target, int factor, const std::vector<int32_t>& table, size_t slopes, int add,
             const PointwiseSpec& before) const;
  // `last`: it is what the last step has made, and may be changed in place; `added`: that one has added a tensor.
  void follow(int target, bool last, bool added, size_t slopes, int add, const PointwiseSpec& before) const;
  void normalize(int source, int target, const NormalizationSpec& spec) const;
  void bilinear(int source, int target, int factor) const;
  void pad(int source, int target, const Sides& added) const;
  void space_to_depth(int source, int target, int down) const;
  void reduce_rows(int source, int target, int terms, const Array& bias, size_t scales, int before) const;
  void store(int source, int factor, Base base, int fold, float gain, float repeated) const;

  void described(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization,
                 const Sides& growth);
  // `target` is a view of `parts`, which are ranges of `whole` or it of them.
  void viewed(int target, const std::vector<int>& parts, int whole);
  // `sums`: s32 is what the tensor holds.
  void made(int target, bool sums = false);
  void stored() { stored_ = true; }

 private:
  struct Tensor {
    int channels, factor;
    bool floats, packed, made, sums;
    QuantizationParams quantization;
    Sides growth;
    std::vector<int> parts{};  // of a view
    int whole = -1;            // whose ring it shares
    bool shared = false;       // whether another tensor lies in its ring, or it in another's
  };

  const Tensor& described(int i) const;
  const Tensor& source(int i) const;
  const Tensor& target(int i) const;
  // That whoever reads `view` finds all that it holds in `ring`.
  void same_ring(const Tensor& view, const Tensor& ring) const;
  void values(const Tensor& target, size_t slopes, int add, const PointwiseSpec& before) const;
  // `done`: what is done with tensor `i`, if there is one.
  void operand(int i, const Tensor& target, const std::string& done) const;

  static void taps(const Array& kernel, const Sides& before, const Sides& dilation);

  std::string precision_;
  std::vector<Tensor> tensors_;
  bool begun_ = false, stored_ = false;
};

Function function_named(const std::string& name);
Base base_named(const std::string& name);
Border border_named(const std::string& name);

// Where pixels lie in a frame of `height` rows and `width` columns.
struct Place {
  int64_t height, width, first_row = 0, first_column = 0;
};

// That parts of a frame can be run through a program from the pixels at hand; returns the frame's shape.
FrameShape check_parts(const ConvProgram& program, const Array& pixels, const Place& place,
                       const std::vector<FramePart>& parts, int64_t side, int64_t memory);

// Where pixels lie that are all of a frame.
Place all_of(const Array& pixels);

// That `out`, which begins with the enlargement of input pixel (top, left), holds those of all parts of `pixels`.
void check_destination(const ConvProgram& program, const Array& pixels, const Array& out, int64_t top, int64_t left,
                       const std::vector<FramePart>& parts);

// That a frame can be compared with the one before it; returns the shape of both.
FrameShape check_successor(const ConvProgram& program, const Array& before, const Array& after);

// That there is such a part of a frame, of whole blocks.
void check_part(const ConvProgram& program, const FrameShape& frame, const FramePart& part);

// That it can be foretold how frames of a size would be cut.
FrameShape check_size(const ConvProgram& program, int64_t height, int64_t width, int64_t side, int64_t memory);

// That memory can be foretold for frames of so many columns.
void check_width(const ConvProgram& program, int64_t columns);

}  // namespace fastsr::cpu
