#include "cpu/conv/program/weight_packing.h"

#include <cstring>

namespace fastsr::cpu {
namespace {

// Each plane's weights of the three taps: of F(4,3), and of F(2,3) in the order of winograd_f2x2_3x3.h.
constexpr double kFilter[kWinogradPlanes][3] = {{1. / 4, 0, 0},
                                                {-1. / 6, -1. / 6, -1. / 6},
                                                {-1. / 6, 1. / 6, -1. / 6},
                                                {1. / 24, 1. / 12, 1. / 6},
                                                {1. / 24, -1. / 12, 1. / 6},
                                                {0, 0, 1}};
constexpr double kFilterF2[kWinogradF2Planes][3] = {
    {1. / 2, 1. / 2, 1. / 2}, {1. / 2, -1. / 2, 1. / 2}, {1, 0, 0}, {0, 0, -1}};

// Rounded half to even; numbers below the smallest normal one are zero.
uint16_t bf16_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  if ((bits & 0x7f800000u) == 0) return 0;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace

std::vector<float> padded_runs(const std::vector<float>& values, int subs, int padded, float fill) {
  if (values.empty()) return {};
  std::vector<float> out(static_cast<size_t>(subs) * padded, fill);
  const size_t run = values.size() / subs;
  for (size_t i = 0; i < values.size(); ++i) out[i / run * padded + i % run] = values[i];
  return out;
}

std::vector<float> filter_transform(const ConvSpec& spec) {
  const size_t size = static_cast<size_t>(spec.out) * spec.in * spec.rows * spec.columns / kWinogradTaps;
  std::vector<float> out(kWinogradPlanes * size);
  for (int plane = 0; plane < kWinogradPlanes; ++plane) {
    for (size_t i = 0; i < size; ++i) {
      double sum = 0;
      for (int kx = 0; kx < kWinogradTaps; ++kx) sum += kFilter[plane][kx] * spec.kernel[kWinogradTaps * i + kx];
      out[plane * size + i] = static_cast<float>(sum);
    }
  }
  return out;
}

std::vector<float> filter_transform_2d(const ConvSpec& spec, int outputs) {
  const auto* filter = outputs == kWinogradOutputs ? kFilter : kFilterF2;
  const int planes = outputs + kWinogradTaps - 1;
  const size_t size = static_cast<size_t>(spec.out) * spec.in;
  std::vector<float> out(static_cast<size_t>(planes) * planes * size);
  for (int plane = 0; plane < planes * planes; ++plane) {
    for (size_t i = 0; i < size; ++i) {
      double sum = 0;
      for (int k = 0; k < 9; ++k) {
        sum += filter[plane % planes][k / 3] * filter[plane / planes][k % 3] * spec.kernel[9 * i + k];
      }
      out[plane * size + i] = static_cast<float>(sum);
    }
  }
  return out;
}

PackedConv pack(const ConvSpec& spec, const ConvKernels& kernels, StorageFormat format, int zero_point, int padded_in,
                int subs, int padded_out, int planes) {
  const int lanes = kernels.lanes, deep = format == StorageFormat::f32 ? 1 : format == StorageFormat::u8x4 ? 4 : 2;
  PackedConv conv;
  conv.kernel_rows = spec.rows;
  conv.vectors = subs * padded_out / lanes;
  conv.k_blocks = static_cast<int64_t>(spec.columns) * padded_in / deep;
  conv.epilogue = EpilogueParams{padded_runs(spec.epilogue.slopes, subs, padded_out, 0.f), spec.epilogue.clipped(),
                                 spec.epilogue.low, spec.epilogue.high};
  conv.scales = padded_runs(spec.scales, subs, padded_out, 0.f);
  const size_t bytes = static_cast<size_t>(planes) * conv.vectors * lanes * 4 * spec.rows * conv.k_blocks;
  const int64_t kernel_size = static_cast<int64_t>(spec.out) * spec.in * spec.rows * spec.columns;
  conv.weights = Block(bytes);
  conv.init = Block(static_cast<size_t>(conv.vectors) * lanes * 4);
  std::memset(conv.weights.data(), 0, bytes);
  std::memset(conv.init.data(), 0, static_cast<size_t>(conv.vectors) * lanes * 4);

  const int run = spec.out / subs;
  uint8_t* weights = conv.weights.data();
  for (int first = 0; first < conv.vectors;) {
    const int taken = kernels.block_vectors(conv.vectors - first);
    for (int v = 0; v < taken; ++v) {
      for (int lane = 0; lane < lanes; ++lane) {
        const int position = (first + v) * lanes + lane, sub = position / padded_out, channel = position % padded_out;
        if (channel >= run) continue;
        const int out = sub * run + channel;
        uint32_t sum = 0;  // of the quantized weights
        for (int row = 0; row < planes * spec.rows; ++row) {
          const int plane = row / spec.rows, ky = row % spec.rows;
          for (int kx = 0; kx < spec.columns; ++kx) {
            for (int in = 0; in < spec.in; ++in) {
              const int64_t from = plane * kernel_size +
                                   ((static_cast<int64_t>(out) * spec.in + in) * spec.rows + ky) * spec.columns + kx;
              const int place = spec.places.empty() ? in : spec.places[in];
              const int64_t k = static_cast<int64_t>(kx) * padded_in + place;
              const int64_t to = (((row * conv.k_blocks + k / deep) * taken + v) * lanes + lane) * deep + k % deep;
              switch (format) {
                case StorageFormat::f32: std::memcpy(weights + 4 * to, spec.kernel + from, 4); break;
                case StorageFormat::bf16x2: {
                  const uint16_t bits = bf16_bits(spec.kernel[from]);
                  std::memcpy(weights + 2 * to, &bits, 2);
                  break;
                }
                case StorageFormat::s16x2: {
                  const int16_t weight = spec.quantized_kernel[from];
                  std::memcpy(weights + 2 * to, &weight, 2);
                  break;
                }
                case StorageFormat::u8x4:
                  std::memcpy(weights + to, spec.quantized_kernel + from, 1);
                  sum += static_cast<uint32_t>(static_cast<int32_t>(spec.quantized_kernel[from]));
              }
            }
          }
        }
        if (format == StorageFormat::f32 || format == StorageFormat::bf16x2) {
          std::memcpy(conv.init.data() + 4 * position, &spec.bias[out], 4);
        } else {  // u8 inputs carry their zero point, which is taken off here; sums wrap around alike
          const uint32_t init =
              static_cast<uint32_t>(spec.quantized_bias[out]) - static_cast<uint32_t>(zero_point) * sum;
          std::memcpy(conv.init.data() + 4 * position, &init, 4);
        }
      }
    }
    weights += static_cast<size_t>(planes) * taken * lanes * 4 * spec.rows * conv.k_blocks;
    first += taken;
  }
  return conv;
}

PackedConv pack_depthwise(const ConvSpec& spec, const ConvKernels& kernels, int padded) {
  const int lanes = kernels.lanes, taps = spec.rows * spec.columns;
  PackedConv conv;
  conv.kernel_rows = taps;
  conv.vectors = padded / lanes;
  conv.k_blocks = 1;
  conv.epilogue = EpilogueParams{padded_runs(spec.epilogue.slopes, 1, padded, 0.f), spec.epilogue.clipped(),
                                 spec.epilogue.low, spec.epilogue.high};
  std::vector<float> weights(static_cast<size_t>(padded) * taps);
  for (int c = 0; c < spec.out; ++c) {
    for (int k = 0; k < taps; ++k) weights[(c / lanes * taps + k) * lanes + c % lanes] = spec.kernel[c * taps + k];
  }
  const std::vector<float> init = padded_runs(spec.bias, 1, padded, 0.f);
  conv.weights = Block(weights.size() * sizeof(float));
  conv.init = Block(init.size() * sizeof(float));
  std::memcpy(conv.weights.data(), weights.data(), weights.size() * sizeof(float));
  std::memcpy(conv.init.data(), init.data(), init.size() * sizeof(float));
  return conv;
}

}  // namespace fastsr::cpu
