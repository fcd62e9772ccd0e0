// The only file that knows Python: checks arguments, releases the GIL, calls the kernels. fastsr/ops.py documents it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

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

}  // namespace
}  // namespace fastsr

PYBIND11_MODULE(_core, module) {
  module.doc() = "CPU kernels of fastsr; use fastsr.ops.";
  module.def("tile_gather", &fastsr::tile_gather, py::arg("frame"), py::arg("origins"), py::arg("height"),
             py::arg("width"), py::arg("half"));
  module.def("tile_scatter", &fastsr::tile_scatter, py::arg("batch"), py::arg("windows"), py::arg("frame"),
             py::arg("factor"), py::arg("residual"), py::arg("low"));
  module.def("pixel_shuffle", &fastsr::pixel_shuffle, py::arg("input"), py::arg("factor"), py::arg("channels_last"));
  module.def("thread_count", &fastsr::cpu::thread_count);
  module.def("available_isas", &fastsr::cpu::available_isas);
  module.def("active_isa", &fastsr::cpu::active_isa);
}
