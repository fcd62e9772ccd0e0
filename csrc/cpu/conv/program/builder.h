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

  // A tensor of `channels` with `factor` rows and columns for each of the frame, which is counted in blocks
  // (ConvProgram::block), and `growth` more; the first is the network's input. `floats` and `packed` say how it is
  // held. Returns its number.
  int tensor(int channels, int factor, bool floats, bool packed, const QuantizationParams& quantization,
             const Sides& growth);
  // Tensor `target` is these side by side: they are made in ranges of its ring. A tensor may lie in several
  // concatenations if each is a run of the longest one, which comes first.
  void concat(int target, const std::vector<int>& parts);
  // Tensor `target` is channels first.. of `source`, in its ring.
  void slice(int target, int source, int first);
  // `kernel` is out x in x rows x columns, float32 or int8; `bias` float32 or int32. `factor`: pixel shuffle of the
  // outputs, which come in the order (dy, dx, channel). An output's first row of the source is `before` rows above it
  // (its first column so many to the left), the next one `dilation` further; beyond the source's edges are zeros.
  void conv(int source, int target, const Array& kernel, const Array& bias, std::vector<float> scales,
            EpilogueSpec epilogue, int factor, const Sides& before, const Sides& dilation);
  // Each channel's own kernel: `kernel` is channels x 1 x rows x columns, float32; `source` is no view and not the
  // input.
  void depthwise(int source, int target, const Array& kernel, const Array& bias, EpilogueSpec epilogue,
                 const Sides& before, const Sides& dilation);
  // What the last step, a convolution, a normalization or an enlargement, has made as `target` is changed in place:
  // epilogue(`before`). Only one of a convolution's epilogue and this one may add a tensor.
  void follow(int target, const EpilogueSpec& epilogue, const PointwiseSpec& before);
  // target = epilogue(`before` of source), with channel table[dy][dx][c] at sub-pixel (dy, dx); factor 1 copies.
  void remap(int source, int target, int factor, std::vector<int32_t> table, const EpilogueSpec& epilogue,
             const PointwiseSpec& before);
  void normalize(int source, int target, const NormalizationSpec& spec);
  // Target = source enlarged bilinearly by `factor`; what lies beyond its edges is what lies at them.
  void bilinear(int source, int target, int factor);
  // Target = `source` with rows and columns around it (less of them where the target has fewer), `added` above and to
  // the left.
  void pad(int source, int target, const Sides& added, Border border);
  // Target = blocks of `source`, `down` x `down` pixels, each as one pixel of channels in the order (dy, dx, channel).
  void space_to_depth(int source, int target, int down);
  // target = bias + sums of the rows of `source`, which holds `terms` kernel rows of `channels` each, the first of
  // which is `before` rows above the target's. With scales `source` holds s32 and once more as many channels, which are
  // added to the middle row.
  void reduce_rows(int source, int target, int terms, const Array& bias, std::vector<float> scales, int before);
  // The last step: `source`, shuffled by `factor`, plus the enlarged input (none, nearest, bilinear or bicubic), to
  // pixels. The first tensor holds `fold` x `fold` pixels as one, in the order (dy, dx, channel). No step may follow.
  void store(int source, int factor, const std::string& base, int fold, float gain, float repeated);

  const ConvProgram& program() const { return program_; }

 private:
  void change_values(Step& step, const EpilogueSpec& epilogue, const PointwiseSpec& before) const;
  Step reading(int source, int target, const Array& kernel, const Sides& before, const Sides& dilation) const;
  StorageFormat reads(int source, const ConvSpec& spec) const;
  void winograd_2d_conv(Step step, const ConvSpec& spec);
  void winograd_f4_conv(Step step, const ConvSpec& spec);
  void direct_conv(Step step, const ConvSpec& spec);
  int transformed_of(const Step& conv);
  void reach_into(const Step& step, int64_t columns);
  const Tensor& latest(int source) const;

  ConvProgram program_;
  ProgramChecks checks_;
};

}  // namespace fastsr::cpu
