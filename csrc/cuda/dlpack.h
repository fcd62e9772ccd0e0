// The part of DLPack's stable ABI that reading a tensor needs, declared anew after the specification
// (https://dmlc.github.io/dlpack/latest/c_api.html, DLPack 1.0; the names are its own).
#pragma once

#include <cstdint>

namespace fastsr::dlpack {

struct DLDevice {
  int32_t device_type;  // 1: CPU, 2: CUDA, 3: pinned host memory, 13: CUDA managed memory
  int32_t device_id;
};

struct DLDataType {
  uint8_t code;  // 0: signed, 1: unsigned, 2: float, 4: bfloat, 5: complex, 6: bool
  uint8_t bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means C-contiguous
  uint64_t byte_offset;
};

// In capsules named "dltensor".
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor*);
};

// In capsules named "dltensor_versioned", since 1.0.
struct DLManagedTensorVersioned {
  struct {
    uint32_t major, minor;
  } version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;  // bit 0: read-only
  DLTensor dl_tensor;
};

}  // namespace fastsr::dlpack
