// The tiles of several rows of tiles, in batches: a batch's weights are read once, and its blocks are full.
#pragma once

#include <algorithm>

#include "cpu/conv/row_args.h"

namespace fastsr::cpu::FASTSR_ISA_NAME {

// Neighbouring tiles of one band in a batch: tiles first..first + count - 1 of the band are tiles at.. of the batch.
struct TileRun {
  const WinogradBand* band;
  int64_t first, count, at;
};

// The batches of kTiles tiles that bands of `tiles` tiles make: body(runs, number of runs, tiles in all).
template <int kTiles, typename Body>
void for_each_batch(const WinogradRows& rows, int64_t tiles, const Body& body) {
  TileRun runs[kTiles];
  int count = 0;
  int64_t filled = 0;
  for (int64_t b = 0; b < rows.band_count; ++b) {
    for (int64_t first = 0; first < tiles;) {
      const int64_t taken = std::min<int64_t>(kTiles - filled, tiles - first);
      runs[count++] = {rows.bands + b, first, taken, filled};
      first += taken;
      filled += taken;
      if (filled == kTiles || (b + 1 == rows.band_count && first == tiles)) {
        body(runs, count, filled);
        count = 0;
        filled = 0;
      }
    }
  }
}

// A row of outputs in the terms of the epilogue; its pointers are set by the caller.
inline ConvRow output_row(const WinogradRows& rows) {
  ConvRow row{};
  row.conv = rows.conv;
  row.strides = rows.strides;
  row.format = rows.format;
  row.quantization = rows.quantization;
  return row;
}

}  // namespace fastsr::cpu::FASTSR_ISA_NAME
