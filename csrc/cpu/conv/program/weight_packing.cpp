#include "cpu/conv/program/weight_packing.h"

#include <cstring>

#include "cpu/conv/program/conv_program.h"

namespace fastsr::cpu {
namespace {

// The weights' part of F(4,3).
constexpr double kSpread[kTilePlanes][3] = {{1. / 4, 0, 0},
                                            {-1. / 6, -1. / 6, -1. / 6},
                                            {-1. / 6, 1. / 6, -1. / 6},
                                            {1. / 24, 1. / 12, 1. / 6},
                                            {1. / 24, -1. / 12, 1. / 6},
                                            {0, 0, 1}};

uint16_t bf16_bits(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace

std::vector<float> filled(const std::vector<float>& values, int subs, int stored, float fill) {
  if (values.empty()) return {};
  std::vector<float> out(static_cast<size_t>(subs) * stored, fill);
  const size_t run = values.size() / subs;
  for (size_t i = 0; i < values.size(); ++i) out[i / run * stored + i % run] = values[i];
  return out;
}

std::vector<float> spread_kernel(const ConvSpec& spec) {
  const size_t size = static_cast<size_t>(spec.out) * spec.in * spec.rows * spec.columns / kTileColumns;
  std::vector<float> out(kTilePlanes * size);
  for (int plane = 0; plane < kTilePlanes; ++plane) {
    for (size_t i = 0; i < size; ++i) {
      double sum = 0;
      for (int kx = 0; kx < kTileColumns; ++kx) sum += kSpread[plane][kx] * spec.kernel[kTileColumns * i + kx];
      out[plane * size + i] = static_cast<float>(sum);
    }
  }
  return out;
}

std::vector<float> spread_kernel_both_ways(const ConvSpec& spec) {
  const size_t size = static_cast<size_t>(spec.out) * spec.in;
  std::vector<float> out(kPlanes2 * size);
  for (int plane = 0; plane < kPlanes2; ++plane) {
    for (size_t i = 0; i < size; ++i) {
      double sum = 0;
      for (int k = 0; k < 9; ++k) {
        sum += kSpread[plane % kTilePlanes][k / 3] * kSpread[plane / kTilePlanes][k % 3] * spec.kernel[9 * i + k];
      }
      out[plane * size + i] = static_cast<float>(sum);
    }
  }
  return out;
}

PackedConv pack(const ConvSpec& spec, const ConvKernels& kernels, Packed kind, int zero, int stored_in, int subs,
                int stored_out, int planes) {
  const int lanes = kernels.lanes, deep = kind == Packed::none ? 1 : kind == Packed::u8 ? 4 : 2;
  PackedConv conv;
  conv.kernel_rows = spec.rows;
  conv.kernel_columns = spec.columns;
  conv.vectors = subs * stored_out / lanes;
  conv.steps = static_cast<int64_t>(spec.columns) * stored_in / deep;
  conv.finish = Finish{filled(spec.slopes, subs, stored_out, 0.f), spec.clipped, spec.low, spec.high};
  conv.scales = filled(spec.scales, subs, stored_out, 0.f);
  const size_t bytes = static_cast<size_t>(planes) * conv.vectors * lanes * 4 * spec.rows * conv.steps;
  const int64_t kernel_size = static_cast<int64_t>(spec.out) * spec.in * spec.rows * spec.columns;
  conv.weights = Block(bytes);
  conv.starts = Block(static_cast<size_t>(conv.vectors) * lanes * 4);
  std::memset(conv.weights.data(), 0, bytes);
  std::memset(conv.starts.data(), 0, static_cast<size_t>(conv.vectors) * lanes * 4);

  const int run = spec.out / subs;
  uint8_t* weights = conv.weights.data();
  for (int first = 0; first < conv.vectors;) {
    const int taken = kernels.group(conv.vectors - first);
    for (int v = 0; v < taken; ++v) {
      for (int lane = 0; lane < lanes; ++lane) {
        const int position = (first + v) * lanes + lane, sub = position / stored_out, channel = position % stored_out;
        if (channel >= run) continue;
        const int out = sub * run + channel;
        uint32_t sum = 0;  // of the levels
        for (int row = 0; row < planes * spec.rows; ++row) {
          const int plane = row / spec.rows, ky = row % spec.rows;
          for (int kx = 0; kx < spec.columns; ++kx) {
            for (int in = 0; in < spec.in; ++in) {
              const int64_t from = plane * kernel_size +
                                   ((static_cast<int64_t>(out) * spec.in + in) * spec.rows + ky) * spec.columns + kx;
              const int64_t k = static_cast<int64_t>(kx) * stored_in + in;
              const int64_t to = (((row * conv.steps + k / deep) * taken + v) * lanes + lane) * deep + k % deep;
              switch (kind) {
                case Packed::none: std::memcpy(weights + 4 * to, spec.kernel + from, 4); break;
                case Packed::bf16: {
                  const uint16_t bits = bf16_bits(spec.kernel[from]);
                  std::memcpy(weights + 2 * to, &bits, 2);
                  break;
                }
                case Packed::s16: {
                  const int16_t level = spec.levels[from];
                  std::memcpy(weights + 2 * to, &level, 2);
                  break;
                }
                case Packed::u8:
                  std::memcpy(weights + to, spec.levels + from, 1);
                  sum += static_cast<uint32_t>(static_cast<int32_t>(spec.levels[from]));
              }
            }
          }
        }
        if (kind == Packed::none || kind == Packed::bf16) {
          std::memcpy(conv.starts.data() + 4 * position, &spec.bias[out], 4);
        } else {  // u8 inputs carry their zero point, which is taken off here; sums wrap around alike
          const uint32_t start = static_cast<uint32_t>(spec.starts[out]) - static_cast<uint32_t>(zero) * sum;
          std::memcpy(conv.starts.data() + 4 * position, &start, 4);
        }
      }
    }
    weights += static_cast<size_t>(planes) * taken * lanes * 4 * spec.rows * conv.steps;
    first += taken;
  }
  return conv;
}

}  // namespace fastsr::cpu
