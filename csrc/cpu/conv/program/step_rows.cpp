// A row of a step's target: which kernel makes it, from which rows of the rings, shared out among a team of threads.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu/conv/program/unit.h"
#include "cpu/thread_pool.h"

namespace fastsr::cpu {
namespace {

constexpr double kLeastWork = 6e4;  // multiplications that are worth sharing out

int64_t sample(Type type) { return type == Type::u8 ? 1 : type == Type::u16 ? 2 : 4; }  // bytes

}  // namespace

// Row y of a step's target (of a convolution that shuffles: of the rows before the shuffle; of tiles: four of them),
// its columns shared out among `team` threads.
void ConvProgram::make_row(Unit& unit, const Step& step, int64_t y, int team) const {
  Interval columns = step.kind == Kind::store ? Interval{unit.left * body_factor_, unit.right * body_factor_ - 1}
                                              : unit.columns[step.target];
  const int64_t count = columns.last - columns.first + 1;
  const int64_t granule = step.kind == Kind::store ? 1 : tensors_[step.target].granule[1];
  const int64_t left =
      step.kind == Kind::store ? columns.first : granule_begin(columns.first, granule, tensors_[step.target].shift[1]);
  const int rows = step.kind == Kind::tiles ? kTileOutputs : 1;
  if (team == 1 || step.kind == Kind::spread || work(step) * rows * static_cast<double>(count) < kLeastWork) {
    return make_part(unit, step, y, columns);
  }
  const int64_t wide = granule * kTeamColumns / kTileOutputs, unit_width = count >= team * wide ? wide : granule;
  const int64_t pieces = (columns.last - left + unit_width) / unit_width;
  // Two shares each, so that a thread that is held up does fewer; and the same ones row after row where that is free,
  // for what is above them lies in its cache.
  const int64_t shares = std::min<int64_t>({pieces, 2 * team, 64});
  std::atomic<uint64_t> taken{0};
  parallel_for(shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t share = thread_index() % team * shares / team;
      while (taken.fetch_or(uint64_t{1} << share) >> share & 1) share = (share + 1) % shares;
      const int64_t first = std::max(columns.first, left + pieces * share / shares * unit_width);
      const int64_t last = std::min(columns.last, left + pieces * (share + 1) / shares * unit_width - 1);
      if (first <= last) make_part(unit, step, y, Interval{first, last});
    }
  });
}

// The given columns of such a row.
void ConvProgram::make_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const int t = step.kind == Kind::store ? step.source : step.target;
  const Tensor& tensor = tensors_[t];
  const int64_t count = columns.last - columns.first + 1;
  const auto floats = [&](int i, int64_t row, int64_t column) -> float* {
    return i >= 0 && unit.floats[i].row ? reinterpret_cast<float*>(unit.floats[i].at(row, column)) : nullptr;
  };
  const auto packed = [&](int i, int64_t row, int64_t column) -> uint8_t* {
    return unit.packed[i].row ? unit.packed[i].at(row, column) : nullptr;
  };
  const auto finish = [&] {
    kernels_.finish(FinishRow{floats(t, y, columns.first), floats(step.add, y, columns.first), &step.finish, count,
                              tensor.stored, packed(t, y, columns.first), kind_, tensor.grid});
  };
  switch (step.kind) {
    case Kind::load:
      kernels_.load(LoadRow{folded(unit.frame, y, columns), unit.frame.type, count, tensor.channels, tensor.stored,
                            floats(t, y, columns.first), packed(t, y, columns.first), kind_, tensor.grid});
      break;
    case Kind::conv:
    case Kind::winograd:
    case Kind::flat: conv_part(unit, step, y, columns); break;
    case Kind::tiles: tiles_part(unit, step, y, columns); break;
    case Kind::spread: spread_part(unit, step, y, columns); break;
    case Kind::gather: {
      const int64_t from = columns.first / step.factor;
      const int32_t* table = step.table.data() + y % step.factor * step.factor * tensor.channels;
      kernels_.gather(GatherRow{floats(step.source, y / step.factor, from), floats(t, y, columns.first), count,
                                columns.first % step.factor, step.factor, tensor.channels, tensors_[step.source].stored,
                                tensor.stored, table});
      finish();
      break;
    }
    case Kind::sum: {
      SumRow row{{},
                 step.terms,
                 count,
                 tensor.channels,
                 tensors_[step.source].stored,
                 tensor.stored,
                 step.starts.data(),
                 step.scales.empty() ? nullptr : step.scales.data(),
                 floats(t, y, columns.first)};
      const int64_t height = unit.frame.shape.height * tensors_[step.source].factor;
      for (int k = 0; k < step.terms; ++k) {
        const int64_t from = k <= 2 * step.reach[0] ? y - step.reach[0] + k : y;
        const Ring& ring = unit.floats[step.source];
        row.rows[k] = from >= 0 && from < height ? floats(step.source, from, columns.first)
                                                 : reinterpret_cast<const float*>(ring.outside);
      }
      kernels_.sum(row);
      if (tensor.packed) finish();
      break;
    }
    case Kind::store: store_part(unit, step, y, columns);
  }
}

// Columns of a row of the frame in blocks, as the first tensor holds them: each block's pixels one after the other.
const void* ConvProgram::folded(const Frame& frame, int64_t y, Interval columns) const {
  if (fold_ == 1) {
    return static_cast<const uint8_t*>(frame.pixels) +
           (y * frame.shape.width + columns.first) * colours() * sample(frame.type);
  }
  thread_local Scratch scratch;
  const int64_t run = fold_ * colours() * sample(frame.type), count = columns.last - columns.first + 1;
  auto* made = reinterpret_cast<uint8_t*>(scratch.floats((count * fold_ * run + 3) / 4));
  for (int64_t dy = 0; dy < fold_; ++dy) {
    const uint8_t* from =
        static_cast<const uint8_t*>(frame.pixels) + ((y * fold_ + dy) * frame.shape.width + columns.first) * run;
    for (int64_t x = 0; x < count; ++x) std::memcpy(made + (x * fold_ + dy) * run, from + x * run, run);
  }
  return made;
}

// `count` input pixels from column `first` on of row `y` of the output, enlarged.
const float* ConvProgram::bicubic(const Frame& frame, int64_t y, int64_t first, int64_t count) const {
  thread_local Scratch columns, row;
  const int64_t colours = this->colours(), width = frame.shape.width * fold_, height = frame.shape.height * fold_;
  const int64_t phase = y % scale();
  BicubicRow made{};
  for (int k = 0; k < kTaps; ++k) {
    const int64_t from = clamp_index(y / scale() + starts_[phase] + k, height);
    made.rows[k] = static_cast<const uint8_t*>(frame.pixels) + from * width * colours * sample(frame.type);
  }
  made.weights = phases_.data() + phase * kTaps;
  made.phases = phases_.data();
  made.starts = starts_.data();
  made.type = frame.type;
  made.width = width;
  made.first = first;
  made.count = count;
  made.channels = colours;
  made.scale = scale();
  made.column = columns.floats((count + 2 * kTaps) * colours);
  made.target = row.floats(count * scale() * colours);
  kernels_.bicubic(made);
  return made.target;
}

void ConvProgram::store_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const Frame& frame = unit.frame;
  const Tensor& tensor = tensors_[step.source];
  const int64_t colours = this->colours(), pixel = colours * sample(frame.type);
  const int64_t first = columns.first, count = columns.last - first + 1, width = frame.shape.width * enlarged();
  const float* source = reinterpret_cast<const float*>(unit.floats[step.source].at(y, first));
  const void* low = step.base == Base::nearest
                        ? static_cast<const uint8_t*>(frame.pixels) + (y * frame.shape.width + first) * pixel
                        : nullptr;
  // What the columns to be stored lie within, in input pixels; a body may end inside of one.
  const int64_t from = first * step.factor / scale(), to = ((first + count) * step.factor - 1) / scale();
  for (int64_t dy = 0; dy < step.factor; ++dy) {
    const int64_t row = y * step.factor + dy;
    const float* added = nullptr;
    if (step.base == Base::bicubic) {
      added = bicubic(frame, row, from, to - from + 1) + (first * step.factor - from * scale()) * colours;
    }
    uint8_t* out = static_cast<uint8_t*>(frame.out) + (row * width + first * step.factor) * pixel;
    kernels_.store(StoreRow{source, tensor.stored, count, colours, step.factor, dy, low, added, out, frame.type});
  }
}

// A row of a tensor spread for Winograd's convolution along the row.
void ConvProgram::spread_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const int64_t tiles = round_up(columns.last - columns.first + 1, kTileOutputs) / kTileOutputs;
  const int stored = tensors_[step.target].stored;
  kernels_.spread(SpreadRow{reinterpret_cast<const float*>(unit.floats[step.source].at(y, columns.first - 1)), tiles,
                            stored, reinterpret_cast<float*>(unit.floats[step.target].at(y, columns.first)),
                            tiles * stored});
}

// Where a convolution's output goes: for row y and column x, before the shuffle, one place for each of its vectors.
std::vector<Place> ConvProgram::places(const Unit& unit, const Step& step, int64_t y, int64_t x) const {
  const Tensor& target = tensors_[step.target];
  const Ring &floats = unit.floats[step.target], &packed = unit.packed[step.target];
  std::vector<Place> made;
  for (int64_t sub = 0; sub < step.factor * step.factor; ++sub) {
    const int64_t row = y * step.factor + sub / step.factor, column = x * step.factor + sub % step.factor;
    float* to = floats.row ? reinterpret_cast<float*>(floats.at(row, column)) : nullptr;
    uint8_t* to_packed = packed.row ? packed.at(row, column) : nullptr;
    const float* added =
        step.add >= 0 ? reinterpret_cast<const float*>(unit.floats[step.add].at(row, column)) : nullptr;
    for (int64_t c = 0; c < target.stored; c += kernels_.lanes) {
      made.push_back(Place{to ? to + c : nullptr, to_packed ? to_packed + c * item(target) : nullptr,
                           added ? added + c : nullptr});
    }
  }
  return made;
}

Stride ConvProgram::stride(const Unit& unit, const Step& step) const {
  const int64_t added = step.add >= 0 ? unit.floats[step.add].pixel : 0;
  return Stride{unit.floats[step.target].pixel * step.factor, unit.packed[step.target].pixel * step.factor,
                added * step.factor};
}

// Columns of row y, before the shuffle, of a convolution.
void ConvProgram::conv_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const Tensor& source = tensors_[step.source];
  const Ring& input = step.reads == Packed::none ? unit.floats[step.source] : unit.packed[step.source];
  const int64_t factor = step.factor, first = columns.first / factor;
  const std::vector<Place> to = places(unit, step, y, first);
  ConvRow row{};
  row.conv = &step.conv;
  row.input_stride = input.pixel;
  row.count = (columns.last - columns.first + 1) / factor;
  row.places = to.data();
  row.stride = stride(unit, step);
  row.packed = kind_;
  row.grid = tensors_[step.target].grid;
  for (int k = 0; k < step.conv.kernel_rows; ++k) {
    const int64_t from = y - step.reach[0] + k;
    const bool inside = from >= 0 && from < unit.frame.shape.height * source.factor;
    const int64_t x = first - step.reach[1] - input.first;
    // A spread row has a pixel's worth of channels for each tile, plane behind plane.
    const int64_t offset = (source.is_spread ? x / kTileOutputs : x) * input.pixel;
    row.rows[k] = (inside ? input.at(from, input.first) : input.outside) + offset;
  }
  if (source.is_spread) {
    const Interval held = unit.columns[step.source];
    row.plane = round_up(held.last - held.first + 1, kTileOutputs) / kTileOutputs * input.pixel;
    return kernels_.winograd(row);
  }
  if (step.kind == Kind::flat) return kernels_.flat(row);
  switch (step.reads) {
    case Packed::none: return kernels_.conv_f32(row);
    case Packed::bf16: return kernels_.conv_bf16(row);
    default: return kernels_.conv_int8(row);
  }
}

// Columns of four rows, before the shuffle, of a convolution: the `y`-th four; fewer at the frame's upper and lower
// edges.
void ConvProgram::tiles_part(const Unit& unit, const Step& step, int64_t y, Interval columns) const {
  const Ring& input = unit.floats[step.source];
  const int* shift = tensors_[step.target].shift;
  const int64_t first = columns.first / step.factor, top = y * kTileOutputs + shift[0] / step.factor;
  const int64_t begin = granule_begin(first, kTileOutputs, shift[1] / step.factor);
  const int64_t height = unit.frame.shape.height * tensors_[step.source].factor;
  TileRows band{};
  band.conv = &step.conv;
  band.stored = tensors_[step.source].stored;
  band.count = (columns.last - columns.first + 1) / step.factor;
  band.before = first - begin;
  band.from = static_cast<int>(std::max<int64_t>(0, -top));
  band.to = static_cast<int>(std::min<int64_t>(kTileOutputs, height - top));
  band.stride = stride(unit, step);
  band.packed = tensors_[step.target].packed ? kind_ : Packed::none;
  band.grid = tensors_[step.target].grid;
  for (int k = 0; k < kTilePlanes; ++k) {
    const int64_t from = top - 1 + k, x = begin - 1 - input.first;
    const uint8_t* row = from >= 0 && from < height ? input.at(from, input.first) : input.outside;
    band.rows[k] = reinterpret_cast<const float*>(row + x * input.pixel);
  }
  std::vector<Place> to;
  for (int r = band.from; r < band.to; ++r) {
    const std::vector<Place> row = places(unit, step, top + r, first);
    to.insert(to.end(), row.begin(), row.end());
  }
  band.places = to.data();
  kernels_.tiles(band);
}

}  // namespace fastsr::cpu
