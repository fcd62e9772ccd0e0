// The CUDA kernels on the host: tests of their index arithmetic, accesses and launches need no GPU.
#include <cstring>
#include <memory>

#include "cuda/launch.h"
#include "cuda/tile_kernels.h"

namespace fastsr::cuda {
namespace {

struct HostLoop {
  int max_rows, max_tiles;
  bool backward;

  template <class Kernel>
  void start(const typename Kernel::Args& args, const Grid& grid) const {
    struct alignas(16) Piece {
      unsigned char bytes[16];
    };
    const int pieces = (grid.shared + 15) / 16;
    const std::unique_ptr<Piece[]> shared(new Piece[static_cast<size_t>(pieces) + 1]);
    for (int z = 0; z < grid.z; ++z) {
      for (int y = 0; y < grid.y; ++y) {
        for (int x = 0; x < grid.x; ++x) {
          std::memset(shared.get(), 0xa5, static_cast<size_t>(pieces) * 16);  // what a block leaves unset must show
          for (int phase = 0; phase < 2; ++phase) {
            for (int i = 0; i < grid.threads; ++i) {
              const Thread thread{x, y, z, backward ? grid.threads - 1 - i : i, shared.get()->bytes};
              phase == 0 ? Kernel::load(args, thread) : Kernel::store(args, thread);
            }
          }
        }
      }
    }
  }
};

}  // namespace

void emulate_gather(const GatherArgs& args, const Walk& walk) {
  const HostLoop run{walk.max_rows, walk.max_tiles, walk.backward};
  gather_any(args, run);
}

void emulate_scatter(const ScatterArgs& args, const Walk& walk) {
  const HostLoop run{walk.max_rows, walk.max_tiles, walk.backward};
  scatter_any(args, run);
}

void emulate_shuffle(const ShuffleArgs& args, const Walk& walk) {
  const HostLoop run{walk.max_rows, walk.max_tiles, walk.backward};
  shuffle_any(args, run);
}

}  // namespace fastsr::cuda
