// Builds a program step by step: checks each, chooses the form of its convolution and packs its weights.
#pragma once

#include <string>
#include <vector>

#include "common/array.h"
#include "cpu/conv/program/checks.h"
#include "cpu/conv/program/conv_program.h"
#include "cpu/conv/program/conv_spec.h"

namespace fastsr::cpu {

// How tensors that are not float are held at a precision: "fp32" (not at all), "int8" or "bf16". Throws
// std::invalid_argument where the instruction set has none such.
StorageFormat packed_format(const ConvKernels& kernels, const std::string& precision);

// What it throws leaves the program as it was.
class ProgramBuilder {
 public:
  // `precision`: as for `packed_format`.
  ProgramBuilder(const ConvKernels& kernels, const std::string& precision);

  // A tensor of `channels` at `factor` times the input's resolution; the first is the network's input. `floats` and
  // `packed` say how it is held. Returns its number.
  int tensor(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization);
  // Tensor `target` is these side by side: they are made in ranges of its ring. A tensor may lie in several
  // concatenations if each is a run of the longest one, which comes first.
  void concat(int target, const std::vector<int>& parts);
  // Tensor `target` is channels first.. of `source`, in its ring.
  void slice(int target, int source, int first);
  // `kernel` is out x in x rows x columns, float32 or int8; `bias` float32 or int32. `factor`: pixel shuffle of the
  // outputs, which come in the order (dy, dx, channel).
  void conv(int source, int target, const Array& kernel, const Array& bias, std::vector<float> scales,
            EpilogueSpec epilogue, int factor);
  // What the last step, a convolution, a normalization or an enlargement, has made as `target` is changed in place:
  // epilogue(`before`). Only one of a convolution's epilogue and this one may add a tensor.
  void follow(int target, const EpilogueSpec& epilogue, const PointwiseSpec& before);
  // target = epilogue(`before` of source), with channel table[dy][dx][c] at sub-pixel (dy, dx); factor 1 copies.
  void remap(int source, int target, int factor, std::vector<int32_t> table, const EpilogueSpec& epilogue,
             const PointwiseSpec& before);
  void normalize(int source, int target, const NormalizationSpec& spec);
  // Target = source enlarged bilinearly by `factor`; what lies beyond its edges is what lies at them.
  void bilinear(int source, int target, int factor);
  // target = bias + sums of the rows of `source`, which holds `terms` kernel rows of `channels` each. With scales
  // `source` holds s32 and once more as many channels, which are added to the middle row.
  void reduce_rows(int source, int target, int terms, const Array& bias, std::vector<float> scales);
  // The last step: `source`, shuffled by `factor`, plus the enlarged input (none, nearest, bilinear or bicubic), to
  // pixels. The first tensor holds blocks of `fold` x `fold` pixels, in the order (dy, dx, channel). No step may
  // follow.
  void store(int source, int factor, const std::string& base, int fold);

  const ConvProgram& program() const { return program_; }

 private:
  void change_values(Step& step, const EpilogueSpec& epilogue, const PointwiseSpec& before) const;
  StorageFormat reads(int source, const ConvSpec& spec) const;
  void winograd_2d_conv(Step step, const ConvSpec& spec);
  void winograd_f4_conv(Step step, const ConvSpec& spec);
  void direct_conv(Step step, const ConvSpec& spec);
  int transformed_of(int source);
  void reach_into(int source, int64_t columns);
  const Tensor& latest(int source) const;

  ConvProgram program_;
  ProgramChecks checks_;
};

}  // namespace fastsr::cpu
