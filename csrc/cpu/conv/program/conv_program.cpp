#include "cpu/conv/program/conv_program.h"

namespace fastsr::cpu {

double multiplications(const ConvProgram& program, const Step& step) {
  const double products =
      static_cast<double>(step.conv.k_blocks) * step.conv.kernel_rows * step.conv.vectors * program.kernels.lanes;
  switch (step.kind) {
    case Step::Kind::conv:
    case Step::Kind::depthwise: return products;
    case Step::Kind::winograd_f4_row:
    case Step::Kind::winograd_f4_1xn: return products * kWinogradPlanes / kWinogradOutputs;
    case Step::Kind::winograd_f4x4_f32:
    case Step::Kind::winograd_f4x4_s16: return products * kWinogradPlanes2d / kWinogradOutputs / kWinogradOutputs;
    case Step::Kind::store: return 8. * static_cast<double>(step.factor * step.factor * program.image_channels());
    default: return 4. * program.tensors[step.target].padded_channels;
  }
}

}  // namespace fastsr::cpu
