// A part of a frame while it is computed: where its tensors' rows lie.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/conv/program/conv_program.h"

namespace fastsr::cpu {

constexpr int64_t kTeamColumns = 12 * kTileOutputs;  // that a thread of a team should have at least
constexpr int64_t kFarRow = 1 << 24;                 // far from any edge, and a multiple of every factor's power in use

inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
// Where the granule begins that `v` lies in.
inline int64_t granule_begin(int64_t v, int64_t granule, int64_t shift) {
  return floor_div(v - shift, granule) * granule + shift;
}
inline int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }

// One tensor's rows in memory: columns first..last of a unit with the margins beside them, as a ring.
struct Ring {
  uint8_t* data = nullptr;  // column `first` of the ring's first row
  int64_t pixel = 0, row = 0, capacity = 0;
  int64_t first = 0;
  uint8_t* outside = nullptr;  // a row of zeros: the rows above and below the frame

  uint8_t* at(int64_t y, int64_t x) const { return data + (y % capacity) * row + (x - first) * pixel; }
};

// What is upscaled, and to where; the shape is in blocks of fold x fold pixels.
struct ConvProgram::Frame {
  const void* pixels;
  void* out;
  Type type;
  FrameShape shape;
};

// A part of a frame that is computed on its own.
struct ConvProgram::Unit {
  const Frame& frame;
  int64_t top = 0, bottom = 0;      // rows of the input that the unit is for
  int64_t left = 0, right = 0;      // columns
  std::vector<Interval> rows{};     // of every tensor, that the row at hand needs
  std::vector<Interval> columns{};  // of every tensor, that the unit needs
  std::vector<int64_t> next{};      // row of every tensor to be made next
  std::vector<Ring> floats{}, packed{};
};

}  // namespace fastsr::cpu
