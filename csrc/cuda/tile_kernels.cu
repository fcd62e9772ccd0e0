// The kernels of gather.h and depth_to_space.h on the GPU.
#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

#include "cuda/devices.h"
#include "cuda/launch.h"
#include "cuda/tile_kernels.h"

namespace fastsr::cuda {
namespace {

template <class Kernel>
__global__ void __launch_bounds__(kThreads) run(const __grid_constant__ typename Kernel::Args args) {
  extern __shared__ __align__(16) unsigned char shared[];
  const Thread thread{static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z),
                      static_cast<int>(threadIdx.x), shared};
  Kernel::load(args, thread);
  __syncthreads();
  Kernel::store(args, thread);
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears it: one failure must not poison later calls
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

// Makes a device current as long as it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    if (driver_version() == 0) throw std::runtime_error("no NVIDIA driver on this machine, which CUDA arrays need");
    check(cudaGetDevice(&before_), "no CUDA device can be used");
    if (device != before_) check(cudaSetDevice(device), "the array's CUDA device cannot be used");
    changed_ = device != before_;
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() {
    if (changed_) cudaSetDevice(before_);
  }

 private:
  int before_ = 0;
  bool changed_ = false;
};

struct OnStream {
  cudaStream_t stream;
  static constexpr int max_rows = 65535, max_tiles = 65535;  // of a grid, on every device

  template <class Kernel>
  void start(typename Kernel::Args& args, const Grid& grid) const {
    const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
    const dim3 threads(static_cast<unsigned>(grid.threads));
    void* parameters[] = {&args};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(&run<Kernel>), blocks, threads, parameters,
                           static_cast<size_t>(grid.shared), stream),
          "a CUDA kernel could not be started");
  }
};

}  // namespace

void gather(const GatherArgs& args, const Queue& queue) {
  const OnDevice device(queue.device);
  OnStream on{reinterpret_cast<cudaStream_t>(queue.stream)};
  gather_any(args, on);
}

void scatter(const ScatterArgs& args, const Queue& queue) {
  const OnDevice device(queue.device);
  OnStream on{reinterpret_cast<cudaStream_t>(queue.stream)};
  scatter_any(args, on);
}

void shuffle(const ShuffleArgs& args, const Queue& queue) {
  const OnDevice device(queue.device);
  OnStream on{reinterpret_cast<cudaStream_t>(queue.stream)};
  shuffle_any(args, on);
}

}  // namespace fastsr::cuda
