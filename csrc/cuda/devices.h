// What the CUDA driver knows of this machine's GPUs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fastsr::cuda {

struct Device {
  int index;
  std::string name;
  int major, minor;  // compute capability
  int64_t memory;    // bytes
};

// Version of the installed driver's CUDA (13000 for 13.0); 0 where there is no driver.
int driver_version();

// CUDA version that this module was built with, in the same form.
int runtime_version();

// All visible GPUs; empty where there is no driver or no GPU. `reason` then says why, in the runtime's words.
std::vector<Device> devices(std::string& reason);

// The device whose memory an address belongs to; -1 where it is not device memory or cannot be told.
int device_of(const void* address);

}  // namespace fastsr::cuda
