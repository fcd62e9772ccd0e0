// What the kernels are asked for: each makes one row, or some rows of tiles, of one step of a program. The structs say
// what it reads and where its results go.
#pragma once

#include <cstdint>

#include "common/kernel_args.h"
#include "cpu/conv/packed_conv.h"
#include "cpu/conv/storage_format.h"
#include "cpu/conv/winograd_sizes.h"

namespace fastsr::cpu {

constexpr int kCubicTaps = 4;  // of cubic convolution, along one axis

// Functions of single values; functions.h says what they are.
enum class Function {
  none,
  abs,
  square,
  cube,
  sqrt,
  reciprocal,
  exp,
  erf,
  sigmoid,
  centred_sigmoid,
  tanh,
  softplus,
  elu,
  silu,
  mish,
  hard_swish,
  gelu,
  gelu_tanh
};

// Where one vector of output channels goes, at the row's first pixel.
struct OutputPointers {
  float* floats;     // or null
  uint8_t* packed;   // or null
  const float* add;  // what is added, or null
};

// How far apart the pixels are that OutputPointers point to, in bytes.
struct OutputStrides {
  int64_t floats, packed, add;
};

struct ConvRow {
  const PackedConv* conv;
  const uint8_t* const* rows;     // first input sample under the kernel, one pointer per kernel row
  int64_t input_stride;           // bytes from pixel to pixel (from tile to tile of a transformed row)
  int64_t plane;                  // bytes from plane to plane of a transformed row
  int64_t count;                  // pixels to make
  const OutputPointers* outputs;  // one per vector
  OutputStrides strides;
  StorageFormat format;  // of packed outputs
  QuantizationParams quantization;
};

// The input transform of a row for winograd_f4_row.h.
struct InputTransformRow {
  const float* source;   // the pixel left of the first tile
  int64_t input_stride;  // floats from pixel to pixel
  int64_t tiles, padded_channels;
  float* target;
  int64_t plane;  // floats from plane to plane
};

// A row of tiles of a convolution: up to four rows for winograd_f4x4.h.
struct WinogradBand {
  const uint8_t* rows[kWinogradPlanes];  // the input's, from the pixel left of the first tile on
  int from, to;                          // rows of the four that are made: from..to - 1
  const OutputPointers* outputs;         // row after row, one per vector
};

// Rows of tiles, of the same columns.
struct WinogradRows {
  const PackedConv* conv;
  const WinogradBand* bands;
  int64_t band_count;
  int64_t input_stride;            // bytes from pixel to pixel
  int64_t padded_channels, count;  // channels of the input, columns to make
  int64_t before;                  // columns of the first tile that are not made: they lie left of the frame
  OutputStrides strides;
  StorageFormat format;  // of packed outputs
  QuantizationParams quantization;
};

// Frame pixels to the first tensor.
struct LoadRow {
  const void* pixels;
  Type type;
  int64_t count, channels, padded_channels;
  float* floats;    // or null
  uint8_t* packed;  // or null
  StorageFormat format;
  QuantizationParams quantization;
};

// Samples moved: channel c of pixel x comes from channel table[(x + phase) % factor * channels + c] of pixel
// (x + phase) / factor.
struct RemapRow {
  const float* source;
  float* target;
  int64_t count, phase, factor, channels;
  int64_t source_stride, target_stride;  // floats from pixel to pixel
  int64_t target_padded;
  const int32_t* table;
};

// Kernel rows computed apart, added up: target[x][c] = init[c] + sum over k of rows[k][x][k * channels + c], each of
// them times its own scale where `scales` is set.
struct ReduceRows {
  const float* rows[kMaxKernel + 1];  // s32 where `scales` is set
  int terms;
  int64_t count, channels, source_padded, target_padded;
  int64_t target_stride;  // floats from pixel to pixel
  const float* init;
  const float* scales;  // one per channel of the source, or null
  float* target;
};

// An epilogue of its own, on a row of floats, behind function(value * gain + offset); times another tensor before
// anything is added.
struct EpilogueRow {
  const float* source;    // what it makes the row of: other values, or the row's own
  int64_t source_stride;  // bytes from pixel to pixel
  OutputPointers row;
  OutputStrides strides;
  const float* times;    // or null
  int64_t times_stride;  // bytes from pixel to pixel; strides of what is null are 0
  Function function;
  const float* gains;    // of each padded channel; or null
  const float* offsets;  // or null
  const EpilogueParams* epilogue;
  int64_t count, padded_channels;
  StorageFormat format;
  QuantizationParams quantization;
};

// Each pixel less its mean over the channels (where `centred`), over the root of its variance plus `epsilon`, times
// gains, plus offsets.
struct NormalizeRow {
  const float* source;
  float* target;
  int64_t source_stride, target_stride;  // floats from pixel to pixel
  int64_t count, channels, padded_channels;
  bool centred;
  float epsilon;
  const float *there, *gains, *offsets;  // of each padded channel; `there` is 1 for those that there are, else 0
};

// Bilinear enlargement along one axis: of each sub-pixel, the first of the two pixels that it lies between, counted
// from its own, and the weight of the second.
struct LinearTaps {
  const int* first;
  const float* weights;
};

// A row of a tensor enlarged bilinearly; what lies beyond its edges is what lies at them.
struct BilinearRow {
  const float* rows[2];  // of the source, from column `origin` on
  float row_weight;      // of the second row
  LinearTaps columns;
  int64_t factor, origin, width;         // columns of the source: the first that is held, and all
  int64_t first, count;                  // columns of the target that are made
  int64_t source_stride, target_stride;  // floats from pixel to pixel
  int64_t padded_channels;
  float* target;
};

// A row of the input frame enlarged by cubic convolution, whose taps are clamped to the frame.
struct BicubicRow {
  const void* rows[kCubicTaps];  // of the input: pixel `begin` of each row under the kernel
  const float* row_weights;      // of those rows
  const float* column_weights;   // kCubicTaps for each of `scale` sub-pixels
  const int* first_taps;         // of each sub-pixel, from its input pixel on
  Type type;
  int64_t width, begin;            // of the input, pixels
  int64_t first, count, channels;  // input pixels that are enlarged
  int64_t scale;
  float* column;  // scratch for (count + 2 * kCubicTaps) * channels
  float* target;  // count * scale * channels
};

// One row of C * factor * factor channels, in the order (dy, dx, c), to rows of the frame, clamped and rounded: to all
// of them, or to row dy alone where a base is added.
struct StoreRow {
  const float* source;   // first channel of the first pixel
  int64_t input_stride;  // floats from pixel to pixel
  int64_t count, channels, factor, dy;
  const void* low;  // frame pixels that are added, repeated, with a gain; or null
  float low_gain;
  const float* base;  // samples that are added, as many as are stored in a row; or null
  void* pixels;
  int64_t pixels_stride;  // bytes from row to row
  Type type;
};

}  // namespace fastsr::cpu
