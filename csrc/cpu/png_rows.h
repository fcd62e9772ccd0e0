// What the row filters of PNG are asked: described arrays turned into arguments, or std::invalid_argument.
#pragma once

#include <cstdint>

#include "common/array.h"

namespace fastsr::cpu {

constexpr int64_t kMaxPixelBytes = 8;

// Rows that lie one after the other, samples of 1 or 2 bytes in the machine's order.
struct PngRows {
  const void* rows;
  const void* above;  // the row before them; null: there is none, which counts as zeros
  int64_t count, row_bytes;
  int64_t pixel_bytes;   // 1 to kMaxPixelBytes
  int64_t sample_bytes;  // 1 or 2
  uint8_t* out;          // of each row its filter type and its bytes, most significant first
};

// `rows` H x W x C, uint8 or uint16; `above` W x C or no array; `out` H x (1 + bytes of a row), uint8.
PngRows png_rows(const Array& rows, const Array& above, const Array& out);

}  // namespace fastsr::cpu
