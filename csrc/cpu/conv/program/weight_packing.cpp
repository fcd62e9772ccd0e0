#include "cpu/conv/program/weight_packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fastsr::cpu {
namespace {

// Each plane's weights of the three taps.
struct Filter {
  double weights[kWinogradPlanes][kWinogradTaps]{};

  constexpr explicit Filter(const WinogradPoints& points) {
    const double near = points.near * points.near, far = points.far * points.far;
    weights[0][0] = 1 / (near * far);
    weights[kWinogradPlanes - 1][kWinogradTaps - 1] = 1;
    for (int plane = 1; plane < kWinogradPlanes - 1; ++plane) {
      const double point = (plane < 3 ? points.near : points.far) * (plane % 2 == 1 ? 1 : -1);
      const double one = plane < 3 ? 1 / (2 * near * (near - far)) : 1 / (2 * far * (far - near));
      weights[plane][0] = one;
      weights[plane][1] = one * point;
      weights[plane][2] = one * point * point;
    }
  }
};
constexpr Filter kFilter(kFloatPoints), kIntegerFilter(kIntegerPoints);

// Of a plane along both axes, of a kernel's nine weights.
double transformed_weight(const Filter& filter, int plane, const float* kernel) {
  const double *down = filter.weights[plane % kWinogradPlanes], *across = filter.weights[plane / kWinogradPlanes];
  double sum = 0;
  for (int k = 0; k < 9; ++k) sum += down[k / 3] * across[k % 3] * kernel[k];
  return sum;
}

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
      for (int kx = 0; kx < kWinogradTaps; ++kx)
        sum += kFilter.weights[plane][kx] * spec.kernel[kWinogradTaps * i + kx];
      out[plane * size + i] = static_cast<float>(sum);
    }
  }
  return out;
}

std::vector<float> filter_transform_2d(const ConvSpec& spec) {
  const size_t size = static_cast<size_t>(spec.out) * spec.in;
  std::vector<float> out(kWinogradPlanes2d * size);
  for (int plane = 0; plane < kWinogradPlanes2d; ++plane) {
    for (size_t i = 0; i < size; ++i) {
      out[plane * size + i] = static_cast<float>(transformed_weight(kFilter, plane, spec.kernel + 9 * i));
    }
  }
  return out;
}

PackedConv pack_integer_tiles(const ConvSpec& spec, const ConvKernels& kernels, int padded_in, int subs,
                              int padded_out) {
  std::vector<float> integers(static_cast<size_t>(kWinogradPlanes2d) * spec.out * spec.in), scales;
  std::vector<double> weights(static_cast<size_t>(spec.in));
  float* next = integers.data();
  for (int plane = 0; plane < kWinogradPlanes2d; ++plane) {
    const double scale = kIntegerPoints.scale(plane % kWinogradPlanes) * kIntegerPoints.scale(plane / kWinogradPlanes);
    std::vector<float> steps;
    for (int out = 0; out < spec.out; ++out) {
      double sum = 0, largest = 0;
      for (int in = 0; in < spec.in; ++in) {
        const int64_t kernel = static_cast<int64_t>(out) * spec.in + in;
        weights[in] = transformed_weight(kIntegerFilter, plane, spec.kernel + 9 * kernel) / scale;
        sum += std::abs(weights[in]);
        largest = std::max(largest, std::abs(weights[in]));
      }
      // Rounding adds half a step to each at the most.
      const double step = std::max(sum / (kWinogradWeights - spec.in / 2.), largest / kWinogradLargest);
      for (const double weight : weights) *next++ = step > 0 ? static_cast<float>(std::nearbyint(weight / step)) : 0.f;
      steps.push_back(static_cast<float>(step));
    }
    const std::vector<float> padded = padded_runs(steps, subs, padded_out, 0.f);
    scales.insert(scales.end(), padded.begin(), padded.end());
  }
  ConvSpec transformed = spec;
  transformed.kernel = integers.data();
  transformed.rows = transformed.columns = 1;
  PackedConv conv = pack(transformed, kernels, StorageFormat::s16x2, 0, padded_in, subs, padded_out, kWinogradPlanes2d);
  conv.scales = std::move(scales);
  conv.magnitude_masks.assign(static_cast<size_t>(padded_in), 0);
  for (int in = 0; in < spec.in; ++in) conv.magnitude_masks[spec.places.empty() ? in : spec.places[in]] = 0x7fff;
  return conv;
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
                  const auto weight = spec.quantized_kernel != nullptr ? int16_t{spec.quantized_kernel[from]}
                                                                       : static_cast<int16_t>(spec.kernel[from]);
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
        if (spec.quantized_kernel == nullptr) {
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
