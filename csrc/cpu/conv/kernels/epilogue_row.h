// Rows of floats whose values are changed one by one, without a convolution: functions, and an epilogue of its own.
#pragma once

#include "cpu/conv/kernels/functions.h"
#include "cpu/conv/kernels/requantize.h"
#include "cpu/conv/kernels/simd.h"
#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// What is read of `row` in these loops is read before them: the stores might change it for all that the compiler knows.

template <Floats (*kFunction)(Floats)>
void function_row_of(const EpilogueRow& row) {
  const auto* source = reinterpret_cast<const char*>(row.source);
  auto* target = reinterpret_cast<char*>(row.row.floats);
  const float *gains = row.gains, *offsets = row.offsets;
  const int64_t count = row.count, padded = row.padded_channels;
  const int64_t source_stride = row.source_stride, target_stride = row.strides.floats;
  for (int64_t x = 0; x < count; ++x) {
    for (int64_t c = 0; c < padded; c += kLanes) {
      const int64_t at = c * static_cast<int64_t>(sizeof(float));
      Floats v = load_vector<Floats>(source + at);
      if (gains != nullptr) v *= load_vector<Floats>(gains + c);
      if (offsets != nullptr) v += load_vector<Floats>(offsets + c);
      store_vector(target + at, kFunction(v));
    }
    source += source_stride;
    target += target_stride;
  }
}

inline void function_row(const EpilogueRow& row) {
  switch (row.function) {
    case Function::none: return function_row_of<unchanged>(row);
    case Function::abs: return function_row_of<absolute>(row);
    case Function::square: return function_row_of<square>(row);
    case Function::cube: return function_row_of<cube>(row);
    case Function::sqrt: return function_row_of<square_root>(row);
    case Function::reciprocal: return function_row_of<reciprocal>(row);
    case Function::exp: return function_row_of<exponential>(row);
    case Function::erf: return function_row_of<error_function>(row);
    case Function::sigmoid: return function_row_of<sigmoid>(row);
    case Function::centred_sigmoid: return function_row_of<centred_sigmoid>(row);
    case Function::tanh: return function_row_of<hyperbolic_tangent>(row);
    case Function::softplus: return function_row_of<softplus>(row);
    case Function::elu: return function_row_of<elu>(row);
    case Function::silu: return function_row_of<silu>(row);
    case Function::mish: return function_row_of<mish>(row);
    case Function::hard_swish: return function_row_of<hard_swish>(row);
    case Function::gelu: return function_row_of<gelu>(row);
    case Function::gelu_tanh: return function_row_of<gelu_tanh>(row);
  }
}

template <bool kMultiplies>
void epilogue_row_of(const EpilogueRow& row) {
  const EpilogueParams& epilogue = *row.epilogue;
  const float* slopes = epilogue.slopes.empty() ? nullptr : epilogue.slopes.data();
  const bool clipped = epilogue.clipped;
  const Floats low = splat(epilogue.low), high = splat(epilogue.high);
  const StorageFormat format = row.format;
  const QuantizationParams quantization = row.quantization;
  const float inverse = 1.f / quantization.scale;
  const int64_t width = format == StorageFormat::u8x4 ? 1 : 2;
  const OutputStrides strides = row.strides;
  const int64_t count = row.count, padded = row.padded_channels, times_stride = row.times_stride;
  auto* floats = reinterpret_cast<char*>(row.row.floats);
  const auto* add = reinterpret_cast<const char*>(row.row.add);
  const auto* times = reinterpret_cast<const char*>(row.times);
  uint8_t* packed = row.row.packed;
  for (int64_t x = 0; x < count; ++x) {
    for (int64_t c = 0; c < padded; c += kLanes) {
      const int64_t at = c * static_cast<int64_t>(sizeof(float));
      Floats v = load_vector<Floats>(floats + at);
      if (slopes != nullptr) v = v < 0.f ? v * load_vector<Floats>(slopes + c) : v;
      if (kMultiplies) v *= load_vector<Floats>(times + at);
      if (add != nullptr) v += load_vector<Floats>(add + at);
      if (clipped) v = smaller(larger(v, low), high);
      store_vector(floats + at, v);
      if (packed != nullptr) requantize(packed + c * width, v, format, quantization, inverse);
    }
    floats += strides.floats;
    packed += strides.packed;
    add += strides.add;
    if (kMultiplies) times += times_stride;
  }
}

inline void epilogue_row(const EpilogueRow& row) {
  const EpilogueParams& epilogue = *row.epilogue;
  const bool changed = row.gains != nullptr || row.offsets != nullptr || row.function != Function::none;
  if (changed || row.source != row.row.floats) function_row(row);
  if (row.times != nullptr) return epilogue_row_of<true>(row);
  const bool follows = !epilogue.slopes.empty() || row.row.add != nullptr || epilogue.clipped;
  if (follows || row.row.packed != nullptr) epilogue_row_of<false>(row);
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
