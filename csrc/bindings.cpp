// The CPU module's door to Python: views arrays, releases the GIL, calls the kernels. fastsr/ops.py documents it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checks.h"
#include "cpu/conv_program.h"
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

// ---- convolution programs ------------------------------------------------------------------------------------------

using cpu::ConvProgram;
template <typename T>
using Values = py::array_t<T, py::array::c_style | py::array::forcecast>;
using Floats = std::vector<float>;

// What is asked of every step, so that a wrong program cannot reach memory that is not its own.
class Program {
 public:
  explicit Program(const std::string& precision)
      : program_(cpu::conv_kernels(), precision), exact_(precision == "fp32") {}

  int tensor(int channels, int factor, bool floats, bool packed, float scale, int zero) {
    require(!stored_ && !begun_, "tensors come before steps");
    require(channels > 0 && channels <= kMaxChannels && factor > 0 && factor <= kMaxFactor, "tensor out of bounds");
    require(scale > 0 && zero >= 0 && zero <= 255, "no grid");
    tensors_.push_back({channels, factor, floats, packed && !exact_, false});
    if (tensors_.size() == 1) tensors_.back().made = true;
    return program_.tensor(channels, factor, floats, packed, cpu::Grid{scale, zero});
  }

  void conv(int source, int target, const py::array& kernel, const py::array& bias, Floats scales, Floats slopes,
            int add, float low, float high, int factor) {
    const auto k = py::array::ensure(kernel, py::array::c_style);
    require(k && k.ndim() == 4, "kernel must be out x in x rows x columns");
    cpu::ConvSpec spec{};
    spec.source = source;
    spec.target = target;
    spec.out = static_cast<int>(k.shape(0));
    spec.in = static_cast<int>(k.shape(1));
    spec.rows = static_cast<int>(k.shape(2));
    spec.columns = static_cast<int>(k.shape(3));
    require(factor >= 1 && factor <= 16 && spec.rows % 2 == 1 && spec.columns % 2 == 1 &&
                spec.rows <= cpu::kMaxKernel && spec.columns <= cpu::kMaxKernel,
            "kernel out of bounds");
    const Tensor& from = read(source);
    const Tensor& to = make(target);
    require(from.channels == spec.in && to.channels * factor * factor == spec.out && to.factor == from.factor * factor,
            "kernel does not fit its tensors");
    const bool int8 = k.dtype().kind() == 'i';
    require(int8 ? k.itemsize() == 1 : k.dtype().kind() == 'f' && k.itemsize() == 4, "kernel must be float32 or int8");
    require(int8 ? from.packed : from.floats || from.packed, "source is not held as this convolution reads it");
    require(bias.ndim() == 1 && bias.shape(0) == spec.out, "bias does not fit");
    if (int8) {
      spec.levels = static_cast<const int8_t*>(k.data());
      const auto levels = Values<int32_t>::ensure(bias);
      spec.starts.assign(levels.data(), levels.data() + spec.out);
      require(scales.empty() || static_cast<int>(scales.size()) == spec.out, "scales do not fit");
      require(!scales.empty() || (to.floats && !to.packed && slopes.empty() && add < 0), "raw sums are only stored");
    } else {
      spec.kernel = static_cast<const float*>(k.data());
      const auto values = Values<float>::ensure(bias);
      spec.bias.assign(values.data(), values.data() + spec.out);
      require(scales.empty(), "scales belong to int8");
    }
    require(slopes.empty() || static_cast<int>(slopes.size()) == spec.out, "slopes do not fit");
    addend(add, to);
    spec.scales = std::move(scales);
    spec.slopes = std::move(slopes);
    spec.add = add;
    spec.low = low;
    spec.high = high;
    spec.clipped = low > -kUnbounded || high < kUnbounded;
    spec.factor = factor;
    program_.conv(spec);
  }

  void gather(int source, int target, int factor, std::vector<int32_t> table, Floats slopes, int add, float low,
              float high) {
    const Tensor& from = read(source);
    const Tensor& to = make(target);
    require(from.floats && to.floats && factor >= 1 && factor <= kMaxFactor && to.factor == from.factor * factor,
            "tensors do not fit");
    require(static_cast<int64_t>(table.size()) == static_cast<int64_t>(factor) * factor * to.channels,
            "table does not fit");
    for (const int32_t c : table) require(c >= 0 && c < from.channels, "table out of bounds");
    require(slopes.empty() || static_cast<int>(slopes.size()) == to.channels, "slopes do not fit");
    addend(add, to);
    program_.gather(source, target, factor, std::move(table), add, std::move(slopes),
                    low > -kUnbounded || high < kUnbounded, low, high);
  }

  void sum(int source, int target, int terms, const py::array& bias, Floats scales) {
    const Tensor& from = read(source);
    const Tensor& to = make(target);
    require(from.floats && to.floats && terms % 2 == 1 && terms >= 1 && terms <= cpu::kMaxKernel &&
                from.channels == terms * to.channels && to.factor == from.factor,
            "tensors do not fit");
    require(bias.ndim() == 1 && bias.shape(0) == to.channels, "bias does not fit");
    require(scales.empty() || static_cast<int>(scales.size()) == to.channels, "scales do not fit");
    Floats values;
    std::vector<int32_t> starts;
    if (scales.empty()) {
      const auto v = Values<float>::ensure(bias);
      values.assign(v.data(), v.data() + to.channels);
    } else {
      const auto v = Values<int32_t>::ensure(bias);
      starts.assign(v.data(), v.data() + to.channels);
    }
    program_.sum(source, target, terms, std::move(values), std::move(starts), std::move(scales));
  }

  void store(int source, int factor, bool residual) {
    const Tensor& from = read(source);
    const int64_t planes = static_cast<int64_t>(tensors_[0].channels) * factor * factor;
    require(factor >= 1 && from.channels == planes && planes <= kMaxPlanes && from.floats, "output does not fit");
    require(!residual || from.factor == 1, "the input can only be added at its own resolution");
    program_.store(source, factor, residual);
    stored_ = true;
  }

  py::array run(const py::array& pixels, int64_t side, const py::object& progress) const {
    require(stored_, "the program has no end");
    const Array frame = view(pixels, "pixels");
    require(frame.shape.size() == 3, "pixels must be height x width x channels");
    require(frame.type == Type::u8 || frame.type == Type::u16 || frame.type == Type::f32,
            "pixels must be uint8, uint16 or float32, not " + frame.dtype);
    const FrameShape shape{frame.shape[0], frame.shape[1], frame.shape[2]};
    require(shape.height > 0 && shape.width > 0 && shape.channels == tensors_[0].channels,
            "pixels must be height x width x " + std::to_string(tensors_[0].channels));
    require(side >= 0, "side must not be negative");
    const py::ssize_t scale = program_.scale();
    py::array out(pixels.dtype(), std::vector<py::ssize_t>{shape.height * scale, shape.width * scale, shape.channels});
    void* to = out.mutable_data();
    // What Python raises stays on this thread: another one may be the last to let go of an exception that the pool saw.
    struct Stopped {};
    std::exception_ptr raised;
    std::function<void(int64_t, int64_t)> report;
    if (!progress.is_none()) {
      report = [&](int64_t done, int64_t total) {
        const py::gil_scoped_acquire held;
        try {
          progress(done, total);
        } catch (const py::error_already_set&) {
          raised = std::current_exception();
          throw Stopped{};
        }
      };
    }
    try {
      const WithoutGil released;
      program_.run(frame.data, frame.type, shape, to, side, report);
    } catch (const Stopped&) {
      std::rethrow_exception(raised);
    }
    return out;
  }

  int64_t unit_bytes(int64_t width) const { return program_.unit_bytes(width, width); }  // the whole frame

 private:
  static constexpr int kMaxChannels = 4096, kMaxFactor = 1024;
  static constexpr float kUnbounded = 3e38f;
  struct Tensor {
    int channels, factor;
    bool floats, packed, made;
  };

  const Tensor& read(int i) const {
    require(!stored_ && i >= 0 && i < static_cast<int>(tensors_.size()) && tensors_[i].made, "no such tensor yet");
    return tensors_[i];
  }
  const Tensor& make(int i) {
    require(!stored_ && i > 0 && i < static_cast<int>(tensors_.size()) && !tensors_[i].made, "target is made already");
    tensors_[i].made = begun_ = true;
    return tensors_[i];
  }
  void addend(int i, const Tensor& target) const {
    if (i < 0) return;
    const Tensor& t = read(i);
    require(t.floats && t.channels == target.channels && t.factor == target.factor && &t != &target,
            "what is added does not fit");
  }

  ConvProgram program_;
  bool exact_;
  bool begun_ = false, stored_ = false;
  std::vector<Tensor> tensors_;
};

// Multiplications and additions a second that all threads together reach on sums in registers, times 1e-9.
double multiply_add_rate(int64_t rounds, const std::string& precision) {
  const auto& kernels = cpu::conv_kernels();
  const cpu::Packed kind = cpu::packing(kernels, precision);
  std::atomic<int64_t> operations{0};
  const WithoutGil released;
  const auto start = std::chrono::steady_clock::now();
  cpu::parallel_for(cpu::thread_count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) operations += kernels.burn(kind, rounds);
  });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return static_cast<double>(operations) / taken.count() * 1e-9;
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
  py::class_<fastsr::Program>(module, "ConvProgram")
      .def(py::init<const std::string&>(), py::arg("precision"))
      .def("tensor", &fastsr::Program::tensor, py::arg("channels"), py::arg("factor"), py::arg("floats"),
           py::arg("packed"), py::arg("scale") = 1.f, py::arg("zero") = 0)
      .def("conv", &fastsr::Program::conv, py::arg("source"), py::arg("target"), py::arg("kernel"), py::arg("bias"),
           py::arg("scales"), py::arg("slopes"), py::arg("add"), py::arg("low"), py::arg("high"), py::arg("factor"))
      .def("gather", &fastsr::Program::gather, py::arg("source"), py::arg("target"), py::arg("factor"),
           py::arg("table"), py::arg("slopes"), py::arg("add"), py::arg("low"), py::arg("high"))
      .def("sum", &fastsr::Program::sum, py::arg("source"), py::arg("target"), py::arg("terms"), py::arg("bias"),
           py::arg("scales"))
      .def("store", &fastsr::Program::store, py::arg("source"), py::arg("factor"), py::arg("residual"))
      .def("run", &fastsr::Program::run, py::arg("pixels"), py::arg("side") = 0, py::arg("progress") = py::none())
      .def("unit_bytes", &fastsr::Program::unit_bytes, py::arg("width"));
  module.def("precisions", [] {
    std::vector<std::string> names{"fp32", "int8"};
    if (fastsr::cpu::conv_kernels().conv_bf16 != nullptr) names.emplace_back("bf16");
    return names;
  });
  module.def("multiply_add_rate", &fastsr::multiply_add_rate, py::arg("rounds"), py::arg("precision") = "fp32");
  module.def("thread_count", &fastsr::cpu::thread_count);
  module.def("available_isas", &fastsr::cpu::available_isas);
  module.def("active_isa", &fastsr::cpu::active_isa);
}
