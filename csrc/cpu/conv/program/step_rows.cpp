#include "cpu/conv/program/step_rows.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "common/window.h"
#include "cpu/conv/program/sharing.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

using Kind = Step::Kind;

// Some columns of a row of a step's target: turns rows of rings into a kernel's arguments.
class Part {
 public:
  Part(const ConvProgram& program, const Unit& unit, const Step& step, int64_t y, Interval columns)
      : program_(program), kernels_(program.kernels), unit_(unit), step_(step), y_(y), columns_(columns) {}

  void make() const;
  void winograd_2d(int64_t bands) const;

 private:
  float* floats(int tensor, int64_t row, int64_t column) const {
    const bool held = tensor >= 0 && unit_.rings.floats[tensor].row != 0;
    return held ? reinterpret_cast<float*>(unit_.rings.floats[tensor].at(row, column)) : nullptr;
  }
  uint8_t* packed(int tensor, int64_t row, int64_t column) const {
    return unit_.rings.packed[tensor].row ? unit_.rings.packed[tensor].at(row, column) : nullptr;
  }
  // Floats from pixel to pixel of a tensor that is held as such.
  int64_t stride(int tensor) const { return unit_.rings.floats[tensor].pixel / static_cast<int64_t>(sizeof(float)); }
  const Tensor& source() const { return program_.tensors[step_.source]; }
  const Tensor& target() const { return program_.tensors[step_.target]; }
  // Rows (axis 0) or columns (axis 1) of a tensor in the frame at hand.
  int64_t length(const Tensor& t, int axis) const {
    return t.length(axis, axis == 0 ? unit_.frame.shape.height : unit_.frame.shape.width);
  }

  void load() const;
  void input_transform() const;
  void conv() const;
  void remap() const;
  void normalize() const;
  void bilinear_rows() const;
  void pad() const;
  void space_to_depth() const;
  void reduce_rows() const;
  void epilogue() const { change_values(y_, floats(step_.target, y_, columns_.first), stride(step_.target)); }
  void change_values(int64_t y, const float* from, int64_t from_stride) const;
  void follow(int64_t first, int64_t count) const;
  void store() const;
  const void* folded() const;
  const float* bicubic(int64_t y, int64_t first, int64_t count) const;
  std::vector<OutputPointers> outputs(int64_t y, int64_t x) const;
  OutputStrides strides() const;

  const ConvProgram& program_;
  const ConvKernels& kernels_;
  const Unit& unit_;
  const Step& step_;
  int64_t y_;
  Interval columns_;
};

void Part::make() const {
  switch (step_.kind) {
    case Kind::load: return load();
    case Kind::conv:
    case Kind::depthwise:
    case Kind::winograd_f4_row:
    case Kind::winograd_f4_1xn: conv(); return follow(y_ * step_.factor, step_.factor);
    case Kind::winograd_f4x4_f32:
    case Kind::winograd_f4x4_s16: return winograd_2d(1);
    case Kind::input_transform: return input_transform();
    case Kind::remap: return remap();
    case Kind::normalize: return normalize();
    case Kind::bilinear: return bilinear_rows();
    case Kind::pad: return pad();
    case Kind::space_to_depth: return space_to_depth();
    case Kind::reduce_rows: return reduce_rows();
    case Kind::store: return store();
  }
}

// ---- pixels in ------------------------------------------------------------------------------------------------------

// Columns of a row of the frame in blocks, as the first tensor holds them: each block's pixels one after the other.
const void* Part::folded() const {
  const Frame& frame = unit_.frame;
  const int64_t fold = program_.fold;
  if (fold == 1) return frame.at(y_, columns_.first);
  thread_local Scratch scratch;
  const int64_t run = fold * frame.pixel, count = columns_.length();
  auto* made = reinterpret_cast<uint8_t*>(scratch.floats((count * fold * run + 3) / 4));
  for (int64_t dy = 0; dy < fold; ++dy) {
    const uint8_t* from = frame.at(y_ * fold + dy, columns_.first * fold);
    for (int64_t x = 0; x < count; ++x) std::memcpy(made + (x * fold + dy) * run, from + x * run, run);
  }
  return made;
}

void Part::load() const {
  const int t = step_.target;
  kernels_.load(LoadRow{folded(), unit_.frame.type, columns_.length(), target().channels, target().padded_channels,
                        floats(t, y_, columns_.first), packed(t, y_, columns_.first), program_.format,
                        target().quantization});
}

// ---- convolutions ---------------------------------------------------------------------------------------------------

// Where a convolution's output goes: for row y and column x, before the shuffle, pointers for each of its vectors.
std::vector<OutputPointers> Part::outputs(int64_t y, int64_t x) const {
  std::vector<OutputPointers> made;
  for (int64_t sub = 0; sub < step_.factor * step_.factor; ++sub) {
    const int64_t row = y * step_.factor + sub / step_.factor, column = x * step_.factor + sub % step_.factor;
    float* to = floats(step_.target, row, column);
    // What follows in place packs, and adds.
    uint8_t* to_packed = step_.follows ? nullptr : packed(step_.target, row, column);
    const float* added = step_.add_follows ? nullptr : floats(step_.add, row, column);
    for (int64_t c = 0; c < target().padded_channels; c += kernels_.lanes) {
      made.push_back(OutputPointers{to ? to + c : nullptr,
                                    to_packed ? to_packed + c * program_.packed_item(target()) : nullptr,
                                    added ? added + c : nullptr});
    }
  }
  return made;
}

OutputStrides Part::strides() const {
  const Rings& rings = unit_.rings;
  const int64_t added = step_.add >= 0 ? rings.floats[step_.add].pixel : 0;
  return OutputStrides{rings.floats[step_.target].pixel * step_.factor, rings.packed[step_.target].pixel * step_.factor,
                       added * step_.factor};
}

// The input transform of a row, for winograd_f4_row.
void Part::input_transform() const {
  const int64_t tiles = round_up(columns_.length(), kWinogradOutputs) / kWinogradOutputs;
  const int padded = target().padded_channels;
  kernels_.input_transform(InputTransformRow{floats(step_.source, y_, columns_.first - step_.before[1]),
                                             stride(step_.source), tiles, padded,
                                             floats(step_.target, y_, columns_.first), tiles * padded});
}

// Columns of row y, before the shuffle.
void Part::conv() const {
  const bool reads_floats = step_.reads == StorageFormat::f32;
  const Ring& input = reads_floats ? unit_.rings.floats[step_.source] : unit_.rings.packed[step_.source];
  const int64_t factor = step_.factor, first = columns_.first / factor;
  const std::vector<OutputPointers> to = outputs(y_, first);
  ConvRow row{};
  row.conv = &step_.conv;
  row.input_stride = input.pixel;
  row.count = columns_.length() / factor;
  row.outputs = to.data();
  row.strides = strides();
  row.format = program_.format;
  row.quantization = target().quantization;
  const uint8_t* rows[kMaxKernel * kMaxKernel];
  row.rows = rows;
  const int64_t height = length(source(), 0);
  for (int k = 0; k < step_.conv.kernel_rows; ++k) {
    const int64_t from = y_ - step_.before[0] + k / step_.apart * step_.dilation[0];
    const bool inside = from >= 0 && from < height;
    const int64_t x = first - step_.before[1] + k % step_.apart * step_.dilation[1] - input.first;
    // A transformed row has a pixel's worth of channels for each tile, plane behind plane.
    const int64_t offset = (source().is_transformed ? x / kWinogradOutputs : x) * input.pixel;
    rows[k] = (inside ? input.at(from, input.first) : input.outside) + offset;
  }
  if (source().is_transformed) {
    const Interval held = unit_.held[step_.source];
    row.plane = round_up(held.length(), kWinogradOutputs) / kWinogradOutputs * input.pixel;
    return kernels_.winograd_f4_row(row);
  }
  if (step_.kind == Kind::winograd_f4_1xn) return kernels_.winograd_f4_1xn(row);
  if (step_.kind == Kind::depthwise) return kernels_.depthwise(row);
  switch (step_.reads) {
    case StorageFormat::f32: return kernels_.conv_f32(row);
    case StorageFormat::bf16x2: return kernels_.conv_bf16(row);
    default: return kernels_.conv_int8(row);
  }
}

// Columns of so many times four rows, before the shuffle, from the y-th four on; fewer at the frame's upper and lower
// edges.
void Part::winograd_2d(int64_t bands) const {
  const bool bf16 = step_.kind == Kind::winograd_f4x4_s16;
  constexpr int rows = kWinogradOutputs, read = kWinogradPlanes;
  const Ring& input = bf16 ? unit_.rings.packed[step_.source] : unit_.rings.floats[step_.source];
  const int* shift = target().shift;
  const int64_t first = columns_.first / step_.factor;
  const int64_t begin = aligned_begin(first, rows, shift[1] / step_.factor);
  const int64_t x = begin - step_.before[1] - input.first;
  const int64_t height = length(source(), 0), end = length(target(), 0) / step_.factor;
  std::vector<WinogradBand> made(static_cast<size_t>(bands));
  std::vector<OutputPointers> to;
  for (int64_t b = 0; b < bands; ++b) {
    WinogradBand& band = made[b];
    const int64_t top = (y_ + b) * rows + shift[0] / step_.factor;
    band.from = static_cast<int>(std::max<int64_t>(0, -top));
    band.to = static_cast<int>(std::min<int64_t>(rows, end - top));
    for (int k = 0; k < read; ++k) {
      const int64_t from = top - step_.before[0] + k;
      band.rows[k] = (from >= 0 && from < height ? input.at(from, input.first) : input.outside) + x * input.pixel;
    }
    for (int r = band.from; r < band.to; ++r) {
      const std::vector<OutputPointers> row = outputs(top + r, first);
      to.insert(to.end(), row.begin(), row.end());
    }
  }
  const OutputPointers* next = to.data();
  for (WinogradBand& band : made) {
    band.outputs = next;
    next += (band.to - band.from) * step_.conv.vectors;
  }
  WinogradRows arguments{};
  arguments.conv = &step_.conv;
  arguments.bands = made.data();
  arguments.band_count = bands;
  arguments.padded_channels = source().padded_channels;
  arguments.input_stride = input.pixel;
  arguments.count = columns_.length() / step_.factor;
  arguments.before = first - begin;
  arguments.strides = strides();
  arguments.format = target().packed && !step_.follows ? program_.format : StorageFormat::f32;
  arguments.quantization = target().quantization;
  bf16 ? kernels_.winograd_f4x4_s16(arguments) : kernels_.winograd_f4x4_f32(arguments);
  const int64_t top = y_ * rows + shift[0] / step_.factor + made.front().from;
  const int64_t bottom = (y_ + bands - 1) * rows + shift[0] / step_.factor + made.back().to;
  follow(top * step_.factor, (bottom - top) * step_.factor);
}

// ---- what could not be folded into a convolution --------------------------------------------------------------------

// Row y of the target, of what is at `from` (floats from pixel to pixel: `from_stride`).
void Part::change_values(int64_t y, const float* from, int64_t from_stride) const {
  const int t = step_.target;
  const Rings& rings = unit_.rings;
  const bool adds = step_.add >= 0 && step_.add_follows;
  EpilogueRow row{};
  row.source = from;
  row.source_stride = from_stride * static_cast<int64_t>(sizeof(float));
  row.times = floats(step_.times, y, columns_.first);
  row.times_stride = step_.times >= 0 ? rings.floats[step_.times].pixel : 0;
  row.function = step_.function;
  row.row = OutputPointers{floats(t, y, columns_.first), packed(t, y, columns_.first),
                           adds ? floats(step_.add, y, columns_.first) : nullptr};
  row.strides = OutputStrides{rings.floats[t].pixel, rings.packed[t].pixel, adds ? rings.floats[step_.add].pixel : 0};
  row.gains = step_.gains.empty() ? nullptr : step_.gains.data();
  row.offsets = step_.offsets.empty() ? nullptr : step_.offsets.data();
  row.epilogue = &step_.epilogue;
  row.count = columns_.length();
  row.padded_channels = target().padded_channels;
  row.format = program_.format;
  row.quantization = target().quantization;
  kernels_.epilogue(row);
}

// Changes rows of the target in place, where something follows what made them.
void Part::follow(int64_t first, int64_t count) const {
  if (!step_.follows) return;
  for (int64_t y = first; y < first + count; ++y) {
    change_values(y, floats(step_.target, y, columns_.first), stride(step_.target));
  }
}

void Part::remap() const {
  const int64_t factor = step_.factor, from = columns_.first / factor;
  if (step_.table.empty()) return change_values(y_, floats(step_.source, y_, from), stride(step_.source));
  const int32_t* table = step_.table.data() + y_ % factor * factor * target().channels;
  kernels_.remap(RemapRow{floats(step_.source, y_ / factor, from), floats(step_.target, y_, columns_.first),
                          columns_.length(), columns_.first % factor, factor, target().channels, stride(step_.source),
                          stride(step_.target), target().padded_channels, table});
  epilogue();
}

void Part::normalize() const {
  const Normalization& n = step_.normalization;
  kernels_.normalize(NormalizeRow{floats(step_.source, y_, columns_.first), floats(step_.target, y_, columns_.first),
                                  stride(step_.source), stride(step_.target), columns_.length(), target().channels,
                                  target().padded_channels, n.centred, n.epsilon, n.there.data(), n.gains.data(),
                                  n.offsets.data()});
  if (target().packed || step_.follows) epilogue();
}

void Part::bilinear_rows() const {
  const Ring& ring = unit_.rings.floats[step_.source];
  const int64_t factor = step_.factor, phase = y_ % factor, upper = y_ / factor + step_.first_taps[phase];
  BilinearRow row{};
  for (int k = 0; k < 2; ++k) {
    row.rows[k] = floats(step_.source, clamp_index(upper + k, length(source(), 0)), ring.first);
  }
  row.row_weight = step_.tap_weights[phase];
  row.columns = LinearTaps{step_.first_taps.data(), step_.tap_weights.data()};
  row.factor = factor;
  row.origin = ring.first;
  row.width = length(source(), 1);
  row.first = columns_.first;
  row.count = columns_.length();
  row.source_stride = stride(step_.source);
  row.target_stride = stride(step_.target);
  row.padded_channels = target().padded_channels;
  row.target = floats(step_.target, y_, columns_.first);
  kernels_.bilinear(row);
  if (target().packed || step_.follows) epilogue();
}

// Columns of a row of the source with others around it, which are copied from where the border finds them.
void Part::pad() const {
  const int64_t rows = length(source(), 0), width = length(source(), 1);
  const int64_t padded = target().padded_channels;
  const auto found = [&](int64_t i, int64_t size) {  // -1: nowhere
    if (step_.border == Border::reflect) return reflect(i, size);
    return step_.border == Border::edge || (i >= 0 && i < size) ? clamp_index(i, size) : int64_t{-1};
  };
  const auto copy = [&](int64_t from_row, int64_t from, int64_t x, int64_t count) {
    float* to = floats(step_.target, y_, x);
    if (from_row >= 0 && from >= 0) {
      return kernels_.remap(RemapRow{floats(step_.source, from_row, from), to, count, 0, 1, target().channels,
                                     stride(step_.source), stride(step_.target), padded, step_.table.data()});
    }
    for (int64_t i = 0; i < count; ++i) std::fill_n(to + i * stride(step_.target), padded, 0.f);
  };
  const int64_t from_row = found(y_ - step_.added[0], rows), left = step_.added[1];
  const int64_t inside = std::clamp(left, columns_.first, columns_.last + 1),
                outside = std::clamp(left + width, inside, columns_.last + 1);
  for (int64_t x = columns_.first; x < inside; ++x) copy(from_row, found(x - left, width), x, 1);
  if (inside < outside) copy(from_row, inside - left, inside, outside - inside);
  for (int64_t x = outside; x <= columns_.last; ++x) copy(from_row, found(x - left, width), x, 1);
  if (target().packed) epilogue();
}

// Each block of down x down pixels as one; zeros beyond the source's edges.
void Part::space_to_depth() const {
  const int64_t down = step_.down, channels = source().channels, rows = length(source(), 0);
  const int64_t from = stride(step_.source), to = stride(step_.target);
  const Ring& ring = unit_.rings.floats[step_.source];
  float* target_row = floats(step_.target, y_, columns_.first);
  for (int64_t dy = 0; dy < down; ++dy) {
    const int64_t row = y_ * down + dy, x = columns_.first * down;
    const float* pixels = row < rows ? floats(step_.source, row, x)
                                     : reinterpret_cast<const float*>(ring.outside + (x - ring.first) * ring.pixel);
    for (int64_t i = 0; i < columns_.length(); ++i) {
      float* block = target_row + i * to + dy * down * channels;
      for (int64_t dx = 0; dx < down; ++dx) {
        std::copy_n(pixels + (i * down + dx) * from, channels, block + dx * channels);
      }
    }
  }
  for (int64_t i = 0; i < columns_.length(); ++i) {
    std::fill(target_row + i * to + target().channels, target_row + i * to + target().padded_channels, 0.f);
  }
  if (target().packed) epilogue();
}

void Part::reduce_rows() const {
  ReduceRows row{{},
                 step_.terms,
                 columns_.length(),
                 target().channels,
                 source().padded_channels,
                 target().padded_channels,
                 stride(step_.target),
                 step_.init.data(),
                 step_.scales.empty() ? nullptr : step_.scales.data(),
                 floats(step_.target, y_, columns_.first)};
  const int64_t height = length(source(), 0);
  const int kernel_rows = step_.before[0] + step_.after[0] + 1;
  for (int k = 0; k < step_.terms; ++k) {
    // Behind those of all kernel rows come what the middle one's miss.
    const int64_t from = y_ - step_.before[0] + (k < kernel_rows ? k : kernel_rows / 2);
    const Ring& ring = unit_.rings.floats[step_.source];
    row.rows[k] = from >= 0 && from < height ? floats(step_.source, from, columns_.first)
                                             : reinterpret_cast<const float*>(ring.outside);
  }
  kernels_.reduce_rows(row);
  if (target().packed) epilogue();
}

// ---- pixels out -----------------------------------------------------------------------------------------------------

// `count` input pixels from column `first` on of row `y` of the output, enlarged.
const float* Part::bicubic(int64_t y, int64_t first, int64_t count) const {
  thread_local Scratch columns, row;
  const Frame& frame = unit_.frame;
  const int64_t channels = program_.image_channels(), scale = program_.scale(), phase = y % scale;
  const int64_t width = frame.shape.width * program_.block(), height = frame.shape.height * program_.block();
  BicubicRow made{};
  for (int k = 0; k < kCubicTaps; ++k) {
    const int64_t from = clamp_index(y / scale + program_.cubic.first[phase] + k, height);
    made.rows[k] = frame.at(from, frame.first_column);
  }
  made.row_weights = program_.cubic.row_weights.data() + phase * kCubicTaps;
  made.column_weights = program_.cubic.weights.data();
  made.first_taps = program_.cubic.first.data();
  made.type = frame.type;
  made.width = width;
  made.begin = frame.first_column;
  made.first = first;
  made.count = count;
  made.channels = channels;
  made.scale = scale;
  made.column = columns.floats((count + 2 * kCubicTaps) * channels);
  made.target = row.floats(count * scale * channels);
  kernels_.bicubic(made);
  return made.target;
}

void Part::store() const {
  const Frame& frame = unit_.frame;
  const int64_t channels = program_.image_channels(), scale = program_.scale();
  const int64_t first = columns_.first, count = columns_.length();
  const float* samples = floats(step_.source, y_, first);
  const void* low = step_.repeated != 0 ? frame.at(y_, first) : nullptr;
  // What the columns to be stored lie within, in input pixels; a body may end inside of one.
  const int64_t from = first * step_.factor / scale, to = ((first + count) * step_.factor - 1) / scale;
  StoreRow row{};
  row.source = samples;
  row.input_stride = stride(step_.source);
  row.count = count;
  row.channels = channels;
  row.factor = step_.factor;
  row.low = low;
  row.low_gain = step_.repeated;
  row.pixels_stride = frame.out_row;
  row.pixels = frame.out + (y_ * step_.factor - frame.part.top * program_.enlarged()) * frame.out_row +
               (first * step_.factor - frame.part.left * program_.enlarged()) * frame.pixel;
  row.type = frame.type;
  if (step_.base != Base::bicubic && step_.base != Base::bilinear) return kernels_.store(row);
  for (; row.dy < step_.factor; ++row.dy) {
    row.base =
        bicubic(y_ * step_.factor + row.dy, from, to - from + 1) + (first * step_.factor - from * scale) * channels;
    kernels_.store(row);
  }
}

}  // namespace

void make_rows(const ConvProgram& program, const Unit& unit, const Step& step, int64_t y, int64_t count, int team) {
  const Shares shares = share_out(program, unit, step, count, team);
  if (shares.columns.empty()) return;  // only columns beyond the tensor's edges are read
  const auto make = [&](const Interval& rows, const Interval& columns) {
    if (columns.empty()) return;
    if (step.tile_rows() > 1) return Part(program, unit, step, y + rows.first, columns).winograd_2d(rows.length());
    for (int64_t row = rows.first; row <= rows.last; ++row) Part(program, unit, step, y + row, columns).make();
  };
  if (shares.count() == 1) return make({0, count - 1}, shares.columns);
  std::atomic<uint64_t> taken{0};
  parallel_for(shares.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // The same ones batch after batch where that is free, for what is above them lies in the thread's cache.
      int64_t share = thread_index() % team * shares.count() / team;
      while (taken.fetch_or(uint64_t{1} << share) >> share & 1) share = (share + 1) % shares.count();
      make(shares.rows_of(share), shares.columns_of(share));
    }
  });
}

void make_columns(const ConvProgram& program, const Unit& unit, const Step& step, int64_t y, const Interval& columns) {
  Part(program, unit, step, y, columns).make();
}

}  // namespace fastsr::cpu
