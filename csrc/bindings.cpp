// The only file that knows Python: checks arguments, releases the GIL, calls the kernels. fastsr/ops.py documents it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/conv_program.h"
#include "cpu/isa.h"
#include "cpu/pool.h"
#include "cpu/tiles.h"
#include "ops.h"

namespace py = pybind11;

namespace fastsr {
namespace {

using cpu::Type;

constexpr int64_t kMaxFactor = 1024;  // its square times any size of an array fits 64 bits
constexpr int64_t kFar = 1LL << 40;   // of an origin from the frame

// Without the GIL as long as it lives. While the interpreter shuts down, CPython before 3.14 unwinds a daemon thread
// that asks for the GIL, which must not leave a destructor: such a thread sleeps until the process ends.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      for (;;) pause();
    }
  }

 private:
  PyThreadState* state_;
};

Type type_of(const py::array& array, const char* name) {
  if (!array.dtype().attr("isnative").cast<bool>()) {
    throw py::value_error(std::string(name) +
                          " has its bytes swapped; hand in array.astype(array.dtype.newbyteorder('='))");
  }
  const char kind = array.dtype().kind();
  const auto size = array.itemsize();
  if (kind == 'u' && size == 1) return Type::u8;
  if (kind == 'u' && size == 2) return Type::u16;
  if (kind == 'f' && size == 4) return Type::f32;
  if (kind == 'f' && size == 2) return Type::f16;
  throw py::value_error(std::string(name) + " has dtype " + py::str(array.dtype()).cast<std::string>() +
                        "; accepted: uint8, uint16, float32 pixels and float32, float16 batches");
}

void require(bool condition, const std::string& message) {
  if (!condition) throw py::value_error(message);
}

bool near(int64_t origin) { return origin > -kFar && origin < kFar; }

void require_contiguous(const py::array& array, const char* name) {
  require((array.flags() & py::array::c_style) != 0, std::string(name) + " must be C-contiguous");
  require((array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0, std::string(name) + " must be aligned");
}

FrameShape frame_shape(const py::array& frame, const char* name) {
  require(frame.ndim() == 3, std::string(name) + " must be height x width x channels");
  require_contiguous(frame, name);
  require(type_of(frame, name) != Type::f16, std::string(name) + " must be uint8, uint16 or float32");
  return FrameShape{frame.shape(0), frame.shape(1), frame.shape(2)};
}

using Integers = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;

py::array tile_gather(const py::array& frame, const Integers& origins, int64_t height, int64_t width, bool half) {
  const FrameShape shape = frame_shape(frame, "frame");
  require(shape.height > 0 && shape.width > 0 && shape.channels > 0, "frame is empty");
  require(origins.ndim() == 2 && origins.shape(1) == 2, "origins must be N x 2 (top, left)");
  require(height > 0 && width > 0, "tiles must be at least 1 x 1");
  const int64_t tiles = origins.shape(0);
  std::vector<Window> windows;
  const auto at = origins.unchecked<2>();
  for (int64_t i = 0; i < tiles; ++i) {
    windows.push_back(Window{at(i, 0), at(i, 1), 0, 0, 0, 0});
    require(near(at(i, 0)) && near(at(i, 1)), "origins are too far from the frame");
  }
  const py::dtype dtype(half ? "float16" : "float32");
  py::array batch(dtype, std::vector<py::ssize_t>{tiles, shape.channels, height, width});
  const cpu::GatherArgs args{
      frame.data(),         type_of(frame, "frame"),     shape, windows.data(), tiles, height, width,
      batch.mutable_data(), half ? Type::f16 : Type::f32};
  const auto& kernels = cpu::tile_kernels();
  {
    const WithoutGil released;
    kernels.gather(args);
  }
  return batch;
}

void check_window(const Window& w, int64_t height, int64_t width, const FrameShape& covered) {
  require(near(w.top) && near(w.left), "a tile is too far from the frame");
  const bool in_tile =
      w.core_top >= w.top && w.core_left >= w.left && w.core_bottom <= w.top + height && w.core_right <= w.left + width;
  const bool in_frame =
      w.core_top >= 0 && w.core_left >= 0 && w.core_bottom <= covered.height && w.core_right <= covered.width;
  const bool ordered = w.core_top <= w.core_bottom && w.core_left <= w.core_right;
  require(in_tile && in_frame && ordered, "a window's core must lie inside its tile and inside the frame");
}

void tile_scatter(const py::array& batch, const Integers& windows, py::array& frame, int64_t factor, int residual,
                  const py::object& low) {
  const FrameShape shape = frame_shape(frame, "frame");
  require(frame.writeable(), "frame is read-only");
  require(batch.ndim() == 4, "batch must be N x C x h x w");
  require_contiguous(batch, "batch");
  const Type batch_type = type_of(batch, "batch");
  require(batch_type == Type::f32 || batch_type == Type::f16, "batch must be float32 or float16");
  require(factor >= 1 && factor <= kMaxFactor && shape.height % factor == 0 && shape.width % factor == 0,
          "the frame's sides must be multiples of the factor");
  require(batch.shape(1) == shape.channels * factor * factor, "batch must have channels x factor^2 channels");
  require(shape.channels * factor <= cpu::kMaxPlanes, "channels x factor must not exceed 64");
  require(windows.ndim() == 2 && windows.shape(1) == 6 && windows.shape(0) == batch.shape(0),
          "windows must be N x 6 (top, left, core top, core left, core bottom, core right), one per tile");
  const FrameShape covered{shape.height / factor, shape.width / factor, shape.channels};
  std::vector<Window> kept;
  const auto at = windows.unchecked<2>();
  for (int64_t i = 0; i < windows.shape(0); ++i) {
    kept.push_back(Window{at(i, 0), at(i, 1), at(i, 2), at(i, 3), at(i, 4), at(i, 5)});
    check_window(kept.back(), batch.shape(2), batch.shape(3), covered);
  }
  require(residual >= 0 && residual <= 2, "residual must be none, nearest or bilinear");
  const void* low_data = nullptr;
  py::array low_array;
  if (residual != static_cast<int>(Residual::none)) {
    require(!low.is_none(), "a residual needs the low-resolution frame");
    low_array = py::reinterpret_borrow<py::array>(low);
    const FrameShape s = frame_shape(low_array, "low");
    require(s.height == covered.height && s.width == covered.width && s.channels == covered.channels &&
                type_of(low_array, "low") == type_of(frame, "frame"),
            "low must have the frame's dtype and channels and be smaller by the factor");
    low_data = low_array.data();
  }
  const cpu::ScatterArgs args{batch.data(),
                              batch_type,
                              kept.data(),
                              batch.shape(0),
                              batch.shape(2),
                              batch.shape(3),
                              frame.mutable_data(),
                              type_of(frame, "frame"),
                              shape,
                              factor,
                              static_cast<Residual>(residual),
                              low_data};
  const auto& kernels = cpu::tile_kernels();
  const WithoutGil released;
  kernels.scatter(args);
}

py::array pixel_shuffle(const py::array& input, int64_t factor, bool channels_last) {
  require(input.ndim() == 4, "input must have four dimensions");
  require_contiguous(input, "input");
  require(factor >= 1 && factor <= kMaxFactor, "factor must be at least 1 and at most 1024");
  require(!input.dtype().attr("hasobject").cast<bool>(), "elements must be numbers, not Python objects");
  const int64_t item = input.itemsize();
  require(item == 1 || item == 2 || item == 4 || item == 8, "elements must be 1, 2, 4 or 8 bytes wide");
  const int64_t batch = input.shape(0), deep = input.shape(channels_last ? 3 : 1);
  const int64_t height = input.shape(channels_last ? 1 : 2), width = input.shape(channels_last ? 2 : 3);
  require(deep % (factor * factor) == 0,
          std::to_string(deep) + " channels are not a multiple of factor^2 = " + std::to_string(factor * factor));
  const int64_t channels = deep / (factor * factor);
  const std::vector<py::ssize_t> shape =
      channels_last ? std::vector<py::ssize_t>{batch, height * factor, width * factor, channels}
                    : std::vector<py::ssize_t>{batch, channels, height * factor, width * factor};
  py::array output(input.dtype(), shape);
  const cpu::ShuffleArgs args{input.data(), output.mutable_data(), item, batch, channels, height, width,
                              factor,       channels_last};
  const auto& kernels = cpu::tile_kernels();
  {
    const WithoutGil released;
    kernels.shuffle(args);
  }
  return output;
}

// ---- convolution programs ------------------------------------------------------------------------------------------

using cpu::ConvProgram;
template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;
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
      const auto levels = Array<int32_t>::ensure(bias);
      spec.starts.assign(levels.data(), levels.data() + spec.out);
      require(scales.empty() || static_cast<int>(scales.size()) == spec.out, "scales do not fit");
      require(!scales.empty() || (to.floats && !to.packed && slopes.empty() && add < 0), "raw sums are only stored");
    } else {
      spec.kernel = static_cast<const float*>(k.data());
      const auto values = Array<float>::ensure(bias);
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
      const auto v = Array<float>::ensure(bias);
      values.assign(v.data(), v.data() + to.channels);
    } else {
      const auto v = Array<int32_t>::ensure(bias);
      starts.assign(v.data(), v.data() + to.channels);
    }
    program_.sum(source, target, terms, std::move(values), std::move(starts), std::move(scales));
  }

  void store(int source, int factor, bool residual) {
    const Tensor& from = read(source);
    const int64_t planes = static_cast<int64_t>(tensors_[0].channels) * factor * factor;
    require(factor >= 1 && from.channels == planes && planes <= cpu::kMaxPlanes && from.floats, "output does not fit");
    require(!residual || from.factor == 1, "the input can only be added at its own resolution");
    program_.store(source, factor, residual);
    stored_ = true;
  }

  py::array run(const py::array& pixels, int64_t side, const py::object& progress) const {
    require(stored_, "the program has no end");
    const FrameShape shape = frame_shape(pixels, "pixels");
    require(shape.height > 0 && shape.width > 0 && shape.channels == tensors_[0].channels,
            "pixels must be height x width x " + std::to_string(tensors_[0].channels));
    require(side >= 0, "side must not be negative");
    const py::ssize_t scale = program_.scale();
    py::array out(pixels.dtype(), std::vector<py::ssize_t>{shape.height * scale, shape.width * scale, shape.channels});
    const void* from = pixels.data();
    void* to = out.mutable_data();
    const Type type = type_of(pixels, "pixels");
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
      program_.run(from, type, shape, to, side, report);
    } catch (const Stopped&) {
      std::rethrow_exception(raised);
    }
    return out;
  }

  int64_t unit_bytes(int64_t width) const { return program_.unit_bytes(width); }

 private:
  static constexpr int kMaxChannels = 4096;
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

// Floating-point operations a second that all threads together reach on sums in registers, times 1e-9.
double multiply_add_rate(int64_t rounds) {
  const auto& kernels = cpu::conv_kernels();
  std::atomic<int64_t> operations{0};
  const WithoutGil released;
  const auto start = std::chrono::steady_clock::now();
  cpu::parallel_for(cpu::thread_count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) operations += kernels.burn(rounds);
  });
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return static_cast<double>(operations) / taken.count() * 1e-9;
}

}  // namespace
}  // namespace fastsr

PYBIND11_MODULE(_core, module) {
  module.doc() = "CPU kernels of fastsr; use fastsr.ops.";
  module.def("tile_gather", &fastsr::tile_gather, py::arg("frame"), py::arg("origins"), py::arg("height"),
             py::arg("width"), py::arg("half"));
  module.def("tile_scatter", &fastsr::tile_scatter, py::arg("batch"), py::arg("windows"), py::arg("frame"),
             py::arg("factor"), py::arg("residual"), py::arg("low"));
  module.def("pixel_shuffle", &fastsr::pixel_shuffle, py::arg("input"), py::arg("factor"), py::arg("channels_last"));
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
  module.def("multiply_add_rate", &fastsr::multiply_add_rate, py::arg("rounds"));
  module.def("thread_count", &fastsr::cpu::thread_count);
  module.def("available_isas", &fastsr::cpu::available_isas);
  module.def("active_isa", &fastsr::cpu::active_isa);
}
