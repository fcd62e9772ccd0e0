// The CUDA module's door to Python. fastsr.ops tells where an array lies and of what type it is, and documents the
// operations.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/checks.h"
#include "common/gil.h"
#include "cuda/devices.h"
#include "cuda/dlpack.h"
#include "cuda/tile_kernels.h"

namespace py = pybind11;

namespace fastsr::cuda {
namespace {

// A C-contiguous array: address, shape, NumPy's (or torch's) name of its type, bytes per element.
using Described = std::tuple<uintptr_t, std::vector<int64_t>, std::string, int64_t>;

Array view(const Described& array) {
  const auto& [address, shape, dtype, item] = array;
  return Array{reinterpret_cast<void*>(address), type_named(dtype), item, dtype, shape};
}

Array optional_view(const std::optional<Described>& array) { return array ? view(*array) : Array{}; }

using Integers = std::vector<int64_t>;

// Each operation on a GPU and in its emulation: `Where` is a Queue or a Walk.
template <class Where, void (*kernel)(const GatherArgs&, const Where&)>
void tile_gather(const Described& frame, const Integers& origins, const Described& batch, bool channels_last,
                 const Where& where) {
  std::vector<Window> kept;
  const GatherArgs args = gather_args(view(frame), origins, view(batch), channels_last, kept);
  const WithoutGil released;
  kernel(args, where);
}

template <class Where, void (*kernel)(const ScatterArgs&, const Where&)>
void tile_scatter(const Described& batch, const Integers& windows, const Described& frame, int64_t factor, int residual,
                  const std::optional<Described>& low, bool channels_last, const Where& where) {
  std::vector<Window> kept;
  const ScatterArgs args =
      scatter_args(view(batch), windows, view(frame), factor, residual, optional_view(low), channels_last, kept);
  const WithoutGil released;
  kernel(args, where);
}

template <class Where, void (*kernel)(const ShuffleArgs&, const Where&)>
void pixel_shuffle(const Described& input, const Described& output, int64_t factor, bool channels_last,
                   const std::optional<Described>& bias, const std::optional<Described>& slope, const Where& where) {
  const ShuffleArgs args =
      shuffle_args(view(input), view(output), factor, channels_last, optional_view(bias), optional_view(slope));
  const WithoutGil released;
  kernel(args, where);
}

// What a DLPack capsule describes; the capsule stays its producer's and must outlive the use of the address.
py::dict read_dlpack(const py::capsule& capsule) {
  const std::string name = capsule.name() == nullptr ? "" : capsule.name();
  const dlpack::DLTensor* tensor = nullptr;
  bool readonly = false;
  if (name == "dltensor_versioned") {
    const auto* managed = capsule.get_pointer<dlpack::DLManagedTensorVersioned>();
    if (managed->version.major != 1)
      throw py::value_error("this version of DLPack is not known; fastsr reads 0.x and 1.x");
    tensor = &managed->dl_tensor;
    readonly = (managed->flags & 1) != 0;
  } else if (name == "dltensor") {
    tensor = &capsule.get_pointer<dlpack::DLManagedTensor>()->dl_tensor;
  } else {
    throw py::value_error("not a DLPack capsule, or one that was used already");
  }
  const size_t dimensions = static_cast<size_t>(tensor->ndim);
  py::dict read;
  read["address"] = reinterpret_cast<uintptr_t>(tensor->data) + tensor->byte_offset;
  read["shape"] = std::vector<int64_t>(tensor->shape, tensor->shape + dimensions);
  read["strides"] = py::none();
  if (tensor->strides != nullptr) read["strides"] = std::vector<int64_t>(tensor->strides, tensor->strides + dimensions);
  read["code"] = static_cast<int>(tensor->dtype.code);
  read["bits"] = static_cast<int>(tensor->dtype.bits);
  read["lanes"] = static_cast<int>(tensor->dtype.lanes);
  read["device"] = py::make_tuple(tensor->device.device_type, tensor->device.device_id);
  read["readonly"] = readonly;
  return read;
}

py::tuple list_devices() {
  std::string reason;
  py::list listed;
  for (const auto& device : devices(reason)) {
    py::dict entry;
    entry["index"] = device.index;
    entry["name"] = device.name;
    entry["compute_capability"] = py::make_tuple(device.major, device.minor);
    entry["memory"] = device.memory;
    listed.append(entry);
  }
  return py::make_tuple(listed, reason);
}

}  // namespace
}  // namespace fastsr::cuda

PYBIND11_MODULE(_cuda, module) {
  using namespace fastsr::cuda;
  module.doc() = "CUDA part of fastsr; imports on machines without a driver. Use fastsr.ops.";
  module.def("driver_version", &driver_version);
  module.def("runtime_version", &runtime_version);
  module.def("devices", &list_devices);
  module.def("device_of", [](uintptr_t address) { return device_of(reinterpret_cast<const void*>(address)); });
  module.def("read_dlpack", &read_dlpack);
  py::class_<Queue>(module, "Queue", "Where a call runs")
      .def(py::init<int, uintptr_t>(), py::arg("device"), py::arg("stream"));
  py::class_<Walk>(module, "Walk", "How an emulated call goes over its grid")
      .def(py::init<int, int, bool>(), py::arg("max_rows") = 65535, py::arg("max_tiles") = 65535,
           py::arg("backward") = false);
  module.def("tile_gather", &tile_gather<Queue, gather>);
  module.def("tile_scatter", &tile_scatter<Queue, scatter>);
  module.def("pixel_shuffle", &pixel_shuffle<Queue, shuffle>);
  module.def("emulate_tile_gather", &tile_gather<Walk, emulate_gather>);
  module.def("emulate_tile_scatter", &tile_scatter<Walk, emulate_scatter>);
  module.def("emulate_pixel_shuffle", &pixel_shuffle<Walk, emulate_shuffle>);
}
