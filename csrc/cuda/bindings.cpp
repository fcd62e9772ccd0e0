// The CUDA module's door to Python.
#include <pybind11/pybind11.h>

#include "devices.h"

namespace py = pybind11;

PYBIND11_MODULE(_cuda, module) {
  module.doc() = "CUDA part of fastsr; imports on machines without a driver.";
  module.def("driver_version", &fastsr::cuda::driver_version);
  module.def("runtime_version", &fastsr::cuda::runtime_version);
  module.def("devices", [] {
    std::string reason;
    py::list listed;
    for (const auto& device : fastsr::cuda::devices(reason)) {
      py::dict entry;
      entry["index"] = device.index;
      entry["name"] = device.name;
      entry["compute_capability"] = py::make_tuple(device.major, device.minor);
      entry["memory"] = device.memory;
      listed.append(entry);
    }
    return py::make_tuple(listed, reason);
  });
}
