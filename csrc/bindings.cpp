// The CPU module's door to Python: views arrays, releases the GIL, calls the kernels. fastsr/ops.py documents it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "checks.h"
#include "cpu/isa.h"
#include "cpu/pool.h"
#include "cpu/tiles.h"
#include "gil.h"

namespace py = pybind11;

namespace fastsr {
namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw py::value_error(message);
}

Array view(const py::array& array, const char* name) {
  require((array.flags() & py::array::c_style) != 0, std::string(name) + " must be C-contiguous");
  require((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0, std::string(name) + " must be aligned");
  require(array.dtype().attr("isnative").cast<bool>(),
          std::string(name) + " has its bytes swapped; hand in array.astype(array.dtype.newbyteorder('='))");
  require(!array.dtype().attr("hasobject").cast<bool>(), "elements must be numbers, not Python objects");
  const auto dtype = py::str(array.dtype()).cast<std::string>();
  return Array{const_cast<void*>(array.data()), type_named(dtype), array.itemsize(), dtype,
               std::vector<int64_t>(array.shape(), array.shape() + array.ndim())};
}

Array writable_view(py::array& array, const char* name) {
  require(array.writeable(), std::string(name) + " is read-only");
  return view(array, name);
}

Array optional_view(const std::optional<py::array>& array, const char* name) {
  return array ? view(*array, name) : Array{};
}

using Integers = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

std::vector<int64_t> listed(const Integers& values) { return {values.data(), values.data() + values.size()}; }

void tile_gather(const py::array& frame, const Integers& origins, py::array& batch, bool channels_last) {
  std::vector<Window> windows;
  const GatherArgs args =
      gather_args(view(frame, "frame"), listed(origins), writable_view(batch, "out"), channels_last, windows);
  const auto& kernels = cpu::tile_kernels();
  const WithoutGil released;
  kernels.gather(args);
}

void tile_scatter(const py::array& batch, const Integers& windows, py::array& frame, int64_t factor, int residual,
                  const std::optional<py::array>& low, bool channels_last) {
  std::vector<Window> kept;
  const ScatterArgs args = scatter_args(view(batch, "batch"), listed(windows), writable_view(frame, "frame"), factor,
                                        residual, optional_view(low, "low"), channels_last, kept);
  const auto& kernels = cpu::tile_kernels();
  const WithoutGil released;
  kernels.scatter(args);
}

void pixel_shuffle(const py::array& input, py::array& output, int64_t factor, bool channels_last,
                   const std::optional<py::array>& bias, const std::optional<py::array>& slope) {
  const ShuffleArgs args = shuffle_args(view(input, "input"), writable_view(output, "out"), factor, channels_last,
                                        optional_view(bias, "bias"), optional_view(slope, "slope"));
  const auto& kernels = cpu::tile_kernels();
  const WithoutGil released;
  kernels.shuffle(args);
}

}  // namespace
}  // namespace fastsr

PYBIND11_MODULE(_core, module) {
  module.doc() = "CPU kernels of fastsr; use fastsr.ops.";
  module.def("gather_shape", &fastsr::gather_shape, py::arg("frame"), py::arg("tiles"), py::arg("height"),
             py::arg("width"), py::arg("channels_last"));
  module.def("shuffle_shape", &fastsr::shuffle_shape, py::arg("input"), py::arg("factor"), py::arg("channels_last"));
  module.def("tile_gather", &fastsr::tile_gather, py::arg("frame"), py::arg("origins"), py::arg("batch"),
             py::arg("channels_last"));
  module.def("tile_scatter", &fastsr::tile_scatter, py::arg("batch"), py::arg("windows"), py::arg("frame"),
             py::arg("factor"), py::arg("residual"), py::arg("low"), py::arg("channels_last"));
  module.def("pixel_shuffle", &fastsr::pixel_shuffle, py::arg("input"), py::arg("output"), py::arg("factor"),
             py::arg("channels_last"), py::arg("bias"), py::arg("slope"));
  module.def("thread_count", &fastsr::cpu::thread_count);
  module.def("available_isas", &fastsr::cpu::available_isas);
  module.def("active_isa", &fastsr::cpu::active_isa);
}
