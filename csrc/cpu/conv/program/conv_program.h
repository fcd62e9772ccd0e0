// A network as a program of steps that runs row by row.
//
// Rows flow through all layers at once: as soon as a layer has the rows above and below, the next one makes its row,
// and a row that nobody needs any more is overwritten. Every tensor is thus a ring of a few rows, and memory does not
// grow with the frame's height. A frame is cut into units (bands and strips) that are computed apart, each with the
// margin of rows and columns that its layers look at; a value is the same whichever unit computes it. Where rows are
// made four at a time that margin is large, and threads share a unit's rows instead, each making some of their columns.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cpu/conv/kernel_table.h"

namespace fastsr::cpu {

// First and last row (or column); empty when last < first.
struct Interval {
  int64_t first = 0, last = -1;
  bool empty() const { return last < first; }
};

// A convolution as the caller has it: `kernel` is out x in x rows x columns.
struct ConvSpec {
  int source, target;
  int out, in, rows, columns;
  const float* kernel = nullptr;   // float and bf16
  const int8_t* levels = nullptr;  // int8
  std::vector<float> bias;         // float and bf16
  std::vector<int32_t> starts;     // int8: bias levels
  std::vector<float> scales;       // int8: of one unit of the sum; empty: sums are kept for `sum`
  std::vector<float> slopes;       // or empty
  int add = -1;                    // tensor that is added, or -1
  bool clipped = false;
  float low = 0, high = 0;
  int factor = 1;  // pixel shuffle of the outputs, which come in the order (dy, dx, channel)
};

// How tensors that are not float are held at a precision: "fp32" (not at all), "int8" or "bf16". Throws
// std::invalid_argument where the instruction set has none such.
Packed packing(const ConvKernels& kernels, const std::string& precision);

class ConvProgram {
 public:
  // `precision`: as for `packing`.
  ConvProgram(const ConvKernels& kernels, const std::string& precision);

  // A tensor of `channels` at `factor` times the input's resolution; the first is the network's input. `floats` and
  // `packed` say how it is held. Returns its number.
  int tensor(int channels, int factor, bool floats, bool packed, Grid grid);
  void conv(const ConvSpec& spec);
  // target = source with channel table[dy][dx][c] at sub-pixel (dy, dx); factor 1 copies.
  void gather(int source, int target, int factor, std::vector<int32_t> table, int add, std::vector<float> slopes,
              bool clipped, float low, float high);
  // target = bias + sums of the rows of `source`, which holds `terms` kernel rows of `channels` each. With scales
  // `source` holds s32 and once more as many channels, which are added to the middle row.
  void sum(int source, int target, int terms, std::vector<float> bias, std::vector<float> scales);
  // The last step: `source`, shuffled by `factor`, plus the enlarged input (none, nearest or bicubic), to pixels. The
  // first tensor holds blocks of `fold` x `fold` pixels, in the order (dy, dx, colour). No step may follow.
  void store(int source, int factor, Base base, int fold);

  int64_t scale() const { return enlarged() / fold_; }
  // Bytes that a unit of `width` input pixels needs; its margins do not reach beyond a frame of `frame_width`.
  int64_t unit_bytes(int64_t width, int64_t frame_width) const;

  // Upscales a frame of shape.height x shape.width input pixels, multiples of the fold. `side` bounds the units' sides
  // in input pixels (0: the memory decides). `progress` (may be empty) is called on the caller's thread with (rows
  // done, rows in all); what it throws ends the run.
  void run(const void* pixels, Type type, FrameShape shape, void* out, int64_t side,
           const std::function<void(int64_t, int64_t)>& progress) const;

 private:
  struct Tensor {
    int channels, factor;
    bool floats, packed;
    Grid grid;
    int stored = 0;           // channels, filled up
    int granule[2] = {1, 1};  // its rows, columns are made this many at a time,
    int shift[2] = {0, 0};    // beginning at multiples of that plus this
    int spread = -1;          // the tensor that holds it spread for Winograd's convolution, or -1
    bool is_spread = false;
    int64_t margin = 0;    // columns beside a unit's that kernels reach into
    int64_t capacity = 0;  // rows of the ring
  };
  enum class Kind { load, conv, spread, winograd, flat, tiles, gather, sum, store };
  struct Step {
    Kind kind;
    int source = -1, target = -1, add = -1;
    int factor = 1;               // target rows for each source row
    int reach[2] = {0, 0};        // rows, columns that a kernel reaches up and down
    Packed reads = Packed::none;  // what a convolution reads
    PackedConv conv;
    Finish finish;
    std::vector<int32_t> table;
    int terms = 0;
    std::vector<float> starts, scales;
    Base base = Base::none;
  };
  struct Frame;
  struct Unit;
  struct Cut;
  using Memory = std::pair<size_t, Block>;  // bytes, and where they are

  bool in_float(const ConvSpec& spec) const;
  bool tile_conv(const ConvSpec& spec);
  int spread_of(int source);
  int64_t ring_row(const Tensor& t, const Interval& columns, int64_t sample) const;
  int stored(int channels, bool input) const;
  int64_t item(const Tensor& t) const {
    return t.packed && kernels_.int8 == Packed::u8 && kind_ != Packed::bf16 ? 1 : 2;
  }
  int64_t enlarged() const { return body_factor_ * steps_.back().factor; }  // from blocks to pixels
  int64_t colours() const { return tensors_[0].channels / (fold_ * fold_); }
  void measure();
  void needs(int64_t first, int64_t last, int axis, std::vector<Interval>& need) const;
  Cut cut(const FrameShape& shape, int64_t side) const;
  Unit unit(const Frame& frame, const Cut& parts, int64_t index) const;
  size_t lay_out(Unit& unit) const;
  void place(Unit& unit, uint8_t* memory) const;
  Memory take(size_t bytes) const;
  void give_back(Memory memory) const;
  void flow(Unit& unit, int team, const std::function<bool(int64_t)>& finished) const;
  void make_row(Unit& unit, const Step& step, int64_t y, int team) const;
  void make_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const;
  void conv_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const;
  void tiles_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const;
  void spread_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const;
  const void* folded(const Frame& frame, int64_t y, Interval columns) const;
  const float* bicubic(const Frame& frame, int64_t y, int64_t first, int64_t count) const;
  void store_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const;
  std::vector<Place> places(const Unit& unit, const Step& step, int64_t y, int64_t x) const;
  Stride stride(const Unit& unit, const Step& step) const;
  double work(const Step& step) const;

  const ConvKernels& kernels_;
  Packed kind_;  // how packed tensors are held
  std::vector<Tensor> tensors_;
  std::vector<Step> steps_;
  int64_t body_factor_ = 1;  // of the tensor that `store` reads
  int64_t fold_ = 1;
  std::vector<float> phases_;  // of bicubic enlargement, for each sub-pixel: weights of its taps,
  std::vector<int> starts_;    // and the first of them, from its input pixel on
  int64_t lead_ = 0;           // rows of that tensor between the first layer's start and the first row that is stored
  bool teams_ = false;         // rows are made four at a time: threads may share them, however little they are
  mutable std::mutex mutex_;
  mutable std::vector<Memory> spare_;  // memory of finished units
};

}  // namespace fastsr::cpu
