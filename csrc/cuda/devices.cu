#include <cuda_runtime_api.h>

#include "cuda/devices.h"

namespace fastsr::cuda {

int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int runtime_version() { return CUDART_VERSION; }

std::vector<Device> devices(std::string& reason) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    reason = cudaGetErrorString(status);
    cudaGetLastError();  // clears it: a missing driver must not poison later calls
    return {};
  }
  std::vector<Device> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    found.push_back(Device{i, properties.name, properties.major, properties.minor,
                           static_cast<int64_t>(properties.totalGlobalMem)});
  }
  return found;
}

int device_of(const void* address) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, address) != cudaSuccess) {
    cudaGetLastError();
    return -1;
  }
  const bool usable = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
  return usable ? attributes.device : -1;
}

}  // namespace fastsr::cuda
