// The convolution engine's rows: what one row of one layer reads, computes and writes. conv_program.h runs networks of
// them; kernels/ holds the kernels, compiled once per instruction set.
//
// A row of a tensor is its pixels one after the other, each with its channels side by side, filled up with zeros to
// whole vectors ("stored" channels). Tensors are held as float, or packed for the dot products of an instruction set:
// four bytes then hold two or four neighbouring channels.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "common/pixel.h"
#include "cpu/tile_kernels.h"

namespace fastsr::cpu {

constexpr int kMaxKernel = 9;  // rows and columns of a kernel
constexpr int kTaps = 4;       // of cubic convolution, along one axis
// Of winograd_f4_row.h, along one axis: outputs of a tile, columns of the kernel that it is for, products it takes.
constexpr int kTileOutputs = 4, kTileColumns = 3, kTilePlanes = 6;
constexpr int kPlanes2 = kTilePlanes * kTilePlanes;

// How a convolution's input is held: float; int8 levels less their zero point, in pairs of s16; int8 levels in fours
// of u8; bfloat16 in pairs.
enum class Packed { none, s16, u8, bf16 };

// What is added to the network's output: nothing, the input repeated, or enlarged by cubic convolution.
enum class Base { none, nearest, bicubic };

// Steps of an int8 tensor: level = round(value / scale) + zero, within 0..255.
struct Grid {
  float scale = 1;
  int zero = 0;
};

// Memory that starts at a cache line.
class Block {
 public:
  explicit Block(size_t bytes = 0)
      : data_(bytes ? static_cast<uint8_t*>(::operator new(bytes, std::align_val_t{64})) : nullptr) {}
  uint8_t* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(uint8_t* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<uint8_t, Free> data_;
};

// Memory that one thread uses again and again.
class Scratch {
 public:
  float* floats(int64_t count) {
    if (count > size_) block_ = Block(static_cast<size_t>(size_ = count) * sizeof(float));
    return reinterpret_cast<float*>(block_.data());
  }

 private:
  int64_t size_ = 0;
  Block block_;
};

// What happens to a value between the sum and its store: PReLU, an addition, a clamp.
struct Finish {
  std::vector<float> slopes;  // of negative values, per stored channel; empty for none
  bool clipped = false;
  float low = 0, high = 0;
};

// A convolution packed for one instruction set:
// [group of vectors][plane, when spread][kernel row][4-byte group of inputs][vector][lane].
struct PackedConv {
  int kernel_rows = 0, kernel_columns = 0;
  int vectors = 0;            // of output channels
  int64_t steps = 0;          // 4-byte groups of inputs in one kernel row
  Block weights;              // float, bf16 pairs, s16 pairs or s8 fours
  Block starts;               // what the sums start from, per output: float, or s32 for int8
  std::vector<float> scales;  // int8: what one unit of the sum is worth, per output; empty: the sum is kept as s32
  Finish finish;
};

// Where one vector of output channels goes, at the row's first pixel.
struct Place {
  float* floats;     // or null
  uint8_t* packed;   // or null
  const float* add;  // what is added, or null
};

// How far apart the pixels are that Places point to, in bytes.
struct Stride {
  int64_t floats, packed, add;
};

struct ConvRow {
  const PackedConv* conv;
  const uint8_t* rows[kMaxKernel];  // first input sample under the kernel, one pointer per kernel row
  int64_t input_stride;             // bytes from pixel to pixel (from tile to tile of a spread row)
  int64_t plane;                    // bytes from plane to plane of a spread row
  int64_t count;                    // pixels to make
  const Place* places;              // one per vector
  Stride stride;
  Packed packed;  // how outputs are packed
  Grid grid;
};

// A row spread for winograd_f4_row.h.
struct SpreadRow {
  const float* source;  // the pixel left of the first tile
  int64_t tiles, stored;
  float* target;
  int64_t plane;  // floats from plane to plane
};

// Up to four rows of a convolution for winograd_f4x4_3x3.h.
struct TileRows {
  const PackedConv* conv;
  const float* rows[kTilePlanes];  // the input's, from the pixel left of the first tile on
  int64_t stored, count;           // channels of the input, columns to make
  int64_t before;                  // columns of the first tile that are not made: they lie left of the frame
  int from, to;                    // rows of the four that are made: from..to - 1
  const Place* places;             // row after row, one per vector
  Stride stride;
  Packed packed;  // how outputs are packed
  Grid grid;
};

// Frame pixels to the first tensor.
struct LoadRow {
  const void* pixels;
  Type type;
  int64_t count, channels, stored;
  float* floats;    // or null
  uint8_t* packed;  // or null
  Packed kind;
  Grid grid;
};

// Samples moved: channel c of pixel x comes from channel table[(x + phase) % factor * channels + c] of pixel
// (x + phase) / factor.
struct GatherRow {
  const float* source;
  float* target;
  int64_t count, phase, factor, channels;
  int64_t source_stored, target_stored;
  const int32_t* table;
};

// Kernel rows computed apart, added up: target[x][c] = start[c] + sum over k of rows[k][x][k * channels + c], each of
// them times its own scale where `scales` is set.
struct SumRow {
  const float* rows[kMaxKernel + 1];  // s32 where `scales` is set
  int terms;
  int64_t count, channels, source_stored, target_stored;
  const float* starts;
  const float* scales;  // one per channel of the source, or null
  float* target;
};

// An activation, an addition, a clamp, and packing, on a row of floats.
struct FinishRow {
  float* floats;
  const float* add;  // or null
  const Finish* finish;
  int64_t count, stored;
  uint8_t* packed;  // or null
  Packed kind;
  Grid grid;
};

// A row of the input frame enlarged by cubic convolution, whose taps are clamped to the frame.
struct BicubicRow {
  const void* rows[kTaps];  // of the input: the first pixel of each row under the kernel
  const float* weights;     // of those rows
  const float* phases;      // kTaps for each of `scale` sub-pixels
  const int* starts;        // first tap of each sub-pixel, from its input pixel on
  Type type;
  int64_t width;                   // of the input, pixels
  int64_t first, count, channels;  // input pixels that are enlarged
  int64_t scale;
  float* column;  // scratch for (count + 2 * kTaps) * channels
  float* target;  // count * scale * channels
};

// One row of C * factor * factor channels, in the order (dy, dx, c), to row dy of the frame, clamped and rounded.
struct StoreRow {
  const float* source;  // first channel of the first pixel
  int64_t stored, count, channels, factor, dy;
  const void* low;    // frame pixels that are added, repeated; or null
  const float* base;  // samples that are added, as many as are stored; or null
  void* pixels;
  Type type;
};

struct ConvKernels {
  int lanes;               // floats in a vector
  Packed int8;             // how int8 tensors are held
  int (*group)(int left);  // vectors of the next tile when `left` are to be made
  void (*conv_f32)(const ConvRow&);
  void (*conv_int8)(const ConvRow&);
  void (*conv_bf16)(const ConvRow&);  // null where bf16 is not offered
  void (*spread)(const SpreadRow&);
  void (*winograd)(const ConvRow&);
  void (*flat)(const ConvRow&);
  void (*tiles)(const TileRows&);
  void (*load)(const LoadRow&);
  void (*gather)(const GatherRow&);
  void (*sum)(const SumRow&);
  void (*finish)(const FinishRow&);
  void (*bicubic)(const BicubicRow&);
  void (*store)(const StoreRow&);
  int64_t (*burn)(Packed kind, int64_t rounds);  // multiplies and adds in registers; returns how many operations
};

// One table per instruction set; isa.h chooses. "wide" is avx512's code in AVX2 instructions, for tests alone.
namespace portable {
extern const ConvKernels conv_kernels;
}
namespace avx2 {
extern const ConvKernels conv_kernels;
}
namespace wide {
extern const ConvKernels conv_kernels;
}
namespace avxvnni {
extern const ConvKernels conv_kernels;
}
namespace avx512 {
extern const ConvKernels conv_kernels;
}
namespace avx512bf16 {
extern const ConvKernels conv_kernels;
}

}  // namespace fastsr::cpu
