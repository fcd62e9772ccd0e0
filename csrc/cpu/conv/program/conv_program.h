// A network as a program of steps that runs row by row: what the builder makes and the executor runs.
//
// Rows flow through all layers at once: as soon as a layer has the rows above and below, the next one makes its row,
// and a row that nobody needs any more is overwritten. Every tensor is thus a ring of a few rows, and memory does not
// grow with the frame's height. A frame is cut into units (bands and strips) that are computed apart, each with the
// margin of rows and columns that its layers look at; a value is the same whichever unit computes it. Where rows are
// made four at a time that margin is large, and threads share a unit's rows instead, each making some of their
// columns.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cpu/conv/kernel_table.h"

namespace fastsr::cpu {

// What is added to the network's output: nothing, the input repeated, or enlarged bilinearly or by cubic convolution.
enum class Base { none, nearest, bilinear, bicubic };

// Rows (along axis 0) and columns (axis 1).
using Sides = std::array<int, 2>;

// What lies beyond a tensor's edges where rows and columns are added to it.
enum class Border { zeros, edge, reflect };

struct Tensor {
  int channels, factor;  // times the frame's rows and columns, in blocks (ConvProgram::block)
  bool floats, packed;   // how it is held
  QuantizationParams quantization;
  Sides growth{};  // rows, columns that it has beyond those: fewer where it is negative
  int padded_channels = 0;
  int alignment[2] = {1, 1};    // its rows, columns are made this many at a time,
  int shift[2] = {0, 0};        // beginning at multiples of that plus this
  bool is_transformed = false;  // for winograd_f4_row.h
  int whole = -1;               // the tensor of whose ring it is a range, wherever that one is held as this one is
  int offset = 0;               // the padded channel of the whole that it begins at
  std::vector<int> parts{};     // of a view, which no step makes: the tensors that it consists of
  std::vector<int> places{};    // padded channel of each of its channels; empty: one after the other
  int64_t margin = 0;           // columns beside a unit's that kernels reach into

  bool held(bool as_packed) const { return as_packed ? packed : floats; }
  // Its rows (axis 0) or columns (axis 1) in a frame of so many blocks.
  int64_t length(int axis, int64_t blocks) const { return blocks * factor + growth[axis]; }
};

// Of each padded channel: whether there is one (1 or 0), gains and offsets, which are 0 where there is none.
struct Normalization {
  bool centred = true;
  float epsilon = 0;
  std::vector<float> there, gains, offsets;
};

struct Step {
  enum class Kind {
    load,
    conv,
    depthwise,
    input_transform,
    winograd_f4_row,
    winograd_f4_1xn,
    winograd_f4x4_f32,
    winograd_f4x4_s16,
    remap,
    normalize,
    bilinear,
    pad,
    space_to_depth,
    reduce_rows,
    store
  };
  Kind kind;
  int source = -1, target = -1, add = -1, times = -1;
  int factor = 1;                            // target rows for each source row
  int down = 1;                              // source rows for each target row
  Sides before{}, after{};                   // rows, columns that it reads before a source row or column, and behind
  Sides dilation{1, 1};                      // rows, columns from one of a kernel's to the next
  StorageFormat reads = StorageFormat::f32;  // what a convolution reads
  PackedConv conv;
  int apart = 1;  // columns of a direct convolution's kernel whose inputs do not adjoin: each is a kernel row
  // Of a remap, and of what follows another step in place (`follows`): function(value * gain + offset), the epilogue.
  bool follows = false, add_follows = false;  // the latter: what follows adds, not the convolution
  std::vector<float> gains, offsets;          // empty for none
  Function function = Function::none;
  EpilogueParams epilogue;
  std::vector<int32_t> table;     // of a remap; empty where every channel stays in its place; or of a pad
  Border border = Border::zeros;  // of a pad, which puts
  Sides added{};                  // so many rows above its source, and columns left of it
  Normalization normalization;    // over channels
  std::vector<int> first_taps;    // of a bilinear enlargement: see LinearTaps
  std::vector<float> tap_weights;
  int terms = 0;                    // of a row reduction,
  std::vector<float> init, scales;  // its bias and scales
  Base base = Base::none;
  float repeated = 0;  // gain of the input repeated; of a nearest base, or beside a smooth one

  bool convolves() const {
    return kind == Kind::conv || kind == Kind::depthwise || kind == Kind::winograd_f4_row ||
           kind == Kind::winograd_f4_1xn || tile_rows() > 1;
  }
  // Whether single values of what it makes may be changed in place: they are floats.
  bool can_be_followed() const {
    return !follows && (convolves() || kind == Kind::normalize || kind == Kind::bilinear);
  }
  // Rows of Winograd's tiles along both axes, which are made together; 1 where there are none.
  int tile_rows() const {
    return kind == Kind::winograd_f4x4_f32 || kind == Kind::winograd_f4x4_s16 ? kWinogradOutputs : 1;
  }
};

// Enlargement by a whole factor, by cubic convolution or bilinearly: for each sub-pixel the weights of its taps, and
// the first of them, counted from its input pixel.
struct CubicTaps {
  std::vector<float> weights;
  std::vector<float> row_weights;  // the same, times the gain of the whole
  std::vector<int> first;
};

struct ConvProgram {
  const ConvKernels& kernels;
  StorageFormat format;  // of packed tensors
  std::vector<Tensor> tensors{};
  std::vector<Step> steps{};
  int64_t body_factor = 1;  // of the tensor that the store step reads
  int64_t fold = 1;         // the first tensor holds fold x fold pixels as one
  CubicTaps cubic{};        // of a bicubic or bilinear base
  bool tiles = false;       // rows are made four at a time: threads may share them, however little they are

  bool complete() const { return !steps.empty() && steps.back().kind == Step::Kind::store; }
  // A frame is counted in blocks of so many pixels: the sides of the smallest one that every tensor has whole pixels
  // of.
  int64_t block() const { return fold * tensors[0].factor; }
  int64_t enlarged() const { return body_factor * steps.back().factor; }  // from blocks to pixels
  int64_t scale() const { return enlarged() / block(); }
  int64_t image_channels() const { return tensors[0].channels / (fold * fold); }
  // Bytes of a packed channel.
  int64_t packed_item(const Tensor& t) const {
    return t.packed && kernels.int8 == StorageFormat::u8x4 && format != StorageFormat::bf16x2 ? 1 : 2;
  }
};

// Multiplications for each pixel of a step's target (of a convolution that shuffles: before the shuffle), about.
double multiplications(const ConvProgram& program, const Step& step);

}  // namespace fastsr::cpu
