#include "cpu/conv/program/sharing.h"

#include <algorithm>

namespace fastsr::cpu {
namespace {

constexpr double kLeastWork = 6e4;   // multiplications that are worth sharing out
constexpr int64_t kMostShares = 64;  // of a batch of rows

// Tiles of four columns that are shared out together: many fill the kernels' blocks, but some threads would have fewer.
// Rows of tiles fill blocks together.
int64_t piece_tiles(int64_t columns, int64_t rows, bool tiles, int team) {
  if (rows > 1) return tiles ? 1 : 3;
  for (const int64_t wide : {12, 6, 3}) {
    if (columns >= 4 * team * wide * kWinogradOutputs) return wide;
  }
  return 1;
}

}  // namespace

double shared_evenly(int64_t columns, int64_t rows, int team) {
  const int64_t bands = (rows + kWinogradOutputs - 1) / kWinogradOutputs;
  const int64_t piece = piece_tiles(columns, bands, true, team) * kWinogradOutputs;
  const int64_t pieces = (columns + piece - 1) / piece * bands;
  return static_cast<double>(pieces) / static_cast<double>((pieces + team - 1) / team);
}

Interval Shares::columns_of(int64_t share) const {
  const int64_t place = share / down;
  return {std::max(columns.first, left + pieces * place / across * piece),
          std::min(columns.last, left + pieces * (place + 1) / across * piece - 1)};
}

Interval Shares::rows_of(int64_t share) const {
  const int64_t place = share % down;
  return {rows * place / down, rows * (place + 1) / down - 1};
}

Shares share_out(const ConvProgram& program, const Unit& unit, const Step& step, int64_t count, int team) {
  const bool stores = step.kind == Step::Kind::store;
  const Interval columns = stores ? Interval{unit.left * program.body_factor, unit.right * program.body_factor - 1}
                                  : unit.columns[step.target];
  const int64_t alignment = stores ? 1 : program.tensors[step.target].alignment[1];
  const int64_t left =
      stores ? columns.first : aligned_begin(columns.first, alignment, program.tensors[step.target].shift[1]);
  Shares made{columns, left, columns.last + 1 - left, 1, count};
  const double work = multiplications(program, step) * step.tile_rows() * static_cast<double>(columns.length() * count);
  const bool transform = step.kind == Step::Kind::input_transform;  // its rows are made in one piece
  if (team == 1 || (transform && count == 1) || work < kLeastWork) return made;
  if (!transform) {
    made.piece = alignment * piece_tiles(columns.length(), count, step.tile_rows() > 1, team);
    made.pieces = (columns.last - left + made.piece) / made.piece;
  }
  // Two shares for each thread, so that one that is held up does fewer, or as near to that as leaves the threads least
  // to wait for one another.
  const int64_t most = std::min<int64_t>(2 * team, kMostShares);
  if (count == 1) {
    made.across = std::min(made.pieces, most);
    return made;
  }
  int64_t best = made.pieces * count + 1;
  for (int64_t across = 1; across <= std::min(made.pieces, most); ++across) {
    const int64_t down = std::min(count, most / across);
    const int64_t largest = (made.pieces + across - 1) / across * ((count + down - 1) / down);
    const int64_t time = (across * down + team - 1) / team * largest;
    if (time <= best) {
      best = time;
      made.across = across;
      made.down = down;
    }
  }
  return made;
}

}  // namespace fastsr::cpu
