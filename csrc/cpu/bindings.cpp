// The CPU module's door to Python: views arrays, releases the GIL, calls the kernels. fastsr.ops documents it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/checks.h"
#include "common/gil.h"
#include "cpu/conv/program/builder.h"
#include "cpu/conv/program/changes.h"
#include "cpu/conv/program/cut.h"
#include "cpu/conv/program/executor.h"
#include "cpu/conv/program/kept_tensors.h"
#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "cpu/tile_kernels.h"
#include "cpu/yuv420.h"

namespace py = pybind11;

namespace fastsr {
namespace {

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

void png_filter_rows(const py::array& rows, const std::optional<py::array>& above, py::array& out) {
  const cpu::PngRows args = cpu::png_rows(view(rows, "rows"), optional_view(above, "above"), writable_view(out, "out"));
  const auto& kernels = cpu::png_kernels();
  const WithoutGil released;
  kernels.filter_rows(args);
}

void resample_columns(const py::array& rows, const Integers& starts, const py::array& weights, py::array& out) {
  const std::vector<int64_t> kept = listed(starts);
  const cpu::ResampleColumns args =
      cpu::columns_to_resample(view(rows, "rows"), kept, view(weights, "weights"), writable_view(out, "out"));
  const auto& kernels = cpu::resample_kernels();
  const WithoutGil released;
  kernels.columns(args);
}

void resample_rows(const py::array& rows, const Integers& starts, const py::array& weights, py::array& out) {
  const std::vector<int64_t> kept = listed(starts);
  const cpu::ResampleRows args =
      cpu::rows_to_resample(view(rows, "rows"), kept, view(weights, "weights"), writable_view(out, "out"));
  const auto& kernels = cpu::resample_kernels();
  const WithoutGil released;
  kernels.rows(args);
}

cpu::YuvColors yuv_colors(const std::pair<double, double>& shares, bool full_range, bool chroma_left) {
  return cpu::YuvColors{shares.first, shares.second, full_range, chroma_left};
}

void rgb_to_yuv420(const py::array& pixels, py::array& luma, py::array& blue, py::array& red,
                   const std::pair<double, double>& shares, bool full_range, bool chroma_left) {
  const cpu::YuvConversion args =
      cpu::yuv_conversion(view(pixels, "pixels"), writable_view(luma, "luma"), writable_view(blue, "blue"),
                          writable_view(red, "red"), yuv_colors(shares, full_range, chroma_left));
  const auto& kernels = cpu::yuv420_kernels();
  const WithoutGil released;
  kernels.from_rgb(args);
}

void yuv420_to_rgb(const py::array& luma, const py::array& blue, const py::array& red, py::array& pixels,
                   const std::pair<double, double>& shares, bool full_range, bool chroma_left) {
  const cpu::YuvConversion args =
      cpu::yuv_conversion(writable_view(pixels, "pixels"), view(luma, "luma"), view(blue, "blue"), view(red, "red"),
                          yuv_colors(shares, full_range, chroma_left));
  const auto& kernels = cpu::yuv420_kernels();
  const WithoutGil released;
  kernels.to_rgb(args);
}

// ---- convolution programs ------------------------------------------------------------------------------------------

using Floats = std::vector<float>;

// An array whose elements lie one after the other, each where its type asks for: itself, or a copy.
py::array straight(const py::array& array) {
  constexpr int flags = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  py::array made = py::array::ensure(array, flags);
  if (!made) throw std::bad_alloc();
  return made;
}

bool on_main_thread() {
  const py::object main = py::module_::import("threading").attr("main_thread")();
  return main.attr("ident").cast<unsigned long>() == PyThread_get_thread_ident();
}

// Rows and columns of a kernel before its middle.
cpu::Sides middle(const py::array& kernel, const cpu::Sides& dilation) {
  const auto half = [&](int axis) {
    const int64_t size = kernel.ndim() == 4 ? kernel.shape(2 + axis) : 1;
    return static_cast<int>(std::min<int64_t>(size / 2 * dilation[axis], 1 << 20));
  };
  return {half(0), half(1)};
}

using Pair = std::array<int64_t, 2>;       // height and width, or row and column
using Rectangle = std::array<int64_t, 4>;  // top, bottom, left, right
using Parts = std::vector<Rectangle>;

// A program that is built and then run.
class Program {
 public:
  explicit Program(const std::string& precision)
      : builder_(cpu::conv_kernels(), precision), executor_(builder_.program()) {}

  int tensor(int channels, int factor, bool floats, bool packed, float scale, int zero_point,
             const cpu::Sides& growth) {
    return builder_.tensor(channels, factor, floats, packed, cpu::QuantizationParams{scale, zero_point}, growth);
  }

  void conv(int source, int target, const py::array& kernel, const py::array& bias, Floats scales, Floats slopes,
            int add, float low, float high, int factor, const std::optional<cpu::Sides>& before,
            const cpu::Sides& dilation) {
    const py::array kernel_kept = straight(kernel), bias_kept = straight(bias);
    builder_.conv(source, target, view(kernel_kept, "kernel"), view(bias_kept, "bias"), std::move(scales),
                  cpu::EpilogueSpec{std::move(slopes), add, low, high}, factor,
                  before.value_or(middle(kernel_kept, dilation)), dilation);
  }

  void depthwise(int source, int target, const py::array& kernel, const py::array& bias, Floats slopes, int add,
                 float low, float high, const std::optional<cpu::Sides>& before, const cpu::Sides& dilation) {
    const py::array kernel_kept = straight(kernel), bias_kept = straight(bias);
    builder_.depthwise(source, target, view(kernel_kept, "kernel"), view(bias_kept, "bias"),
                       cpu::EpilogueSpec{std::move(slopes), add, low, high},
                       before.value_or(middle(kernel_kept, dilation)), dilation);
  }

  void concat(int target, const std::vector<int>& parts) { builder_.concat(target, parts); }

  void slice(int target, int source, int first) { builder_.slice(target, source, first); }

  void remap(int source, int target, int factor, std::vector<int32_t> table, Floats slopes, int add, float low,
             float high, Floats gains, Floats offsets, const std::string& function, int times) {
    builder_.remap(source, target, factor, std::move(table), cpu::EpilogueSpec{std::move(slopes), add, low, high},
                   {std::move(gains), std::move(offsets), cpu::function_named(function), times});
  }

  void follow(int target, Floats slopes, int add, float low, float high, Floats gains, Floats offsets,
              const std::string& function, int times) {
    builder_.follow(target, cpu::EpilogueSpec{std::move(slopes), add, low, high},
                    {std::move(gains), std::move(offsets), cpu::function_named(function), times});
  }

  void normalize(int source, int target, bool centred, float epsilon, Floats gains, Floats offsets) {
    builder_.normalize(source, target, {centred, epsilon, std::move(gains), std::move(offsets)});
  }

  void bilinear(int source, int target, int factor) { builder_.bilinear(source, target, factor); }

  void pad(int source, int target, const cpu::Sides& added, const std::string& border) {
    builder_.pad(source, target, added, cpu::border_named(border));
  }

  void space_to_depth(int source, int target, int down) { builder_.space_to_depth(source, target, down); }

  void reduce_rows(int source, int target, int terms, const py::array& bias, Floats scales, std::optional<int> before) {
    const py::array kept = straight(bias);
    builder_.reduce_rows(source, target, terms, view(kept, "bias"), std::move(scales), before.value_or(terms / 2));
  }

  void store(int source, int factor, const std::string& base, int fold, float gain, float repeated) {
    builder_.store(source, factor, base, fold, gain, repeated);
  }

  py::array run(const py::array& pixels, int64_t side, int64_t memory, const py::object& progress) const {
    const cpu::Place frame = cpu::all_of(view(pixels, "pixels"));
    return run_part(pixels, {frame.height, frame.width}, {0, 0}, {0, frame.height, 0, frame.width}, side, memory,
                    progress);
  }

  // The enlargement of a part (top, bottom, left, right) of a frame of `size` (height, width), of which `pixels` are
  // some, from row and column `first` on.
  py::array run_part(const py::array& pixels, const Pair& size, const Pair& first, const Rectangle& wanted,
                     int64_t side, int64_t memory, const py::object& progress) const {
    const Array given = view(pixels, "pixels");
    const std::vector<cpu::FramePart> parts{part_of(wanted)};
    const cpu::FramePart& part = parts[0];
    const cpu::Place place{size[0], size[1], first[0], first[1]};
    const FrameShape shape = cpu::check_parts(builder_.program(), given, place, parts, side, memory);
    const py::ssize_t scale = builder_.program().scale();
    py::array out(pixels.dtype(),
                  std::vector<py::ssize_t>{part.height() * scale, part.width() * scale, shape.channels});
    execute({given.data, given.type, shape, given.shape[1], first[0], first[1]},
            {out.mutable_data(), part.top, part.left, part.width()}, parts, cpu::CutBounds{side, memory}, progress);
    return out;
  }

  // The enlargement of parts of a frame (top, bottom, left, right), into `out`, which begins with that of input pixel
  // (top, left).
  void run_parts(const py::array& pixels, const Parts& parts, py::array& out, int64_t top, int64_t left, int64_t side,
                 int64_t memory, const py::object& progress) const {
    const Array given = view(pixels, "pixels"), made = writable_view(out, "out");
    std::vector<cpu::FramePart> wanted;
    for (const auto& p : parts) wanted.push_back(part_of(p));
    const FrameShape shape = cpu::check_parts(builder_.program(), given, cpu::all_of(given), wanted, side, memory);
    cpu::check_destination(builder_.program(), given, made, top, left, wanted);
    execute({given.data, given.type, shape, shape.width},
            {made.data, top, left, made.shape[1] / builder_.program().scale()}, wanted, cpu::CutBounds{side, memory},
            progress);
  }

  // What of a result has to be made again for a frame that follows another one; None for all of it.
  std::optional<Parts> changed_parts(const py::array& before, const py::array& after) const {
    const Array old = view(before, "before"), given = view(after, "after");
    const FrameShape shape = cpu::check_successor(builder_.program(), old, given);
    const WithoutGil released;
    const auto parts = cpu::changed_parts(builder_.program(), old.data, given.data, shape, shape.channels * given.item);
    if (!parts) return std::nullopt;
    Parts made;
    for (const cpu::FramePart& p : *parts) made.push_back({p.top, p.bottom, p.left, p.right});
    return made;
  }

  // The tensors of frames of one size, kept from one to the next.
  std::unique_ptr<cpu::KeptTensors> keep(int64_t height, int64_t width) const {
    const FrameShape shape = cpu::check_size(builder_.program(), height, width, 0, 0);
    return std::make_unique<cpu::KeptTensors>(builder_.program(), shape);
  }

  size_t kept_bytes(int64_t height, int64_t width) const {
    return cpu::KeptTensors::bytes(builder_.program(), cpu::check_size(builder_.program(), height, width, 0, 0));
  }

  // Makes `out` the enlargement of `pixels`, where it is that of the frame `before`; of None, whatever it is. Returns
  // the share of the work that was done.
  double run_kept(cpu::KeptTensors& kept, const py::array& pixels, py::array& out,
                  const std::optional<py::array>& before, const py::object& progress) const {
    require(&kept.program() == &builder_.program(), "the tensors are another program's");
    const Array given = view(pixels, "pixels"), made = writable_view(out, "out");
    const FrameShape shape = cpu::check_successor(builder_.program(), before ? view(*before, "before") : given, given);
    require(shape.height == kept.shape().height && shape.width == kept.shape().width,
            "the tensors are of frames of another size");
    cpu::check_destination(builder_.program(), given, made, 0, 0, {{0, shape.height, 0, shape.width}});
    require(made.shape[1] == shape.width * builder_.program().scale(), "out must be as wide as the enlargement");
    double share = 0;
    reported(progress, [&](const cpu::RunProgress::Report& report) {
      share = kept.run(before ? before->data() : nullptr, given.data, given.type, made.data, report);
    });
    return share;
  }

  // First and last of the rows that those are made from.
  std::pair<int64_t, int64_t> input_rows(int64_t height, int64_t top, int64_t bottom) const {
    return input_reads(0, height, top, bottom, "rows");
  }

  // And of the columns.
  std::pair<int64_t, int64_t> input_columns(int64_t width, int64_t left, int64_t right) const {
    return input_reads(1, width, left, right, "columns");
  }

  cpu::Cut cut(int64_t height, int64_t width, int64_t side, int64_t memory, int threads,
               const std::optional<Rectangle>& wanted) const {
    const cpu::ConvProgram& program = builder_.program();
    const FrameShape shape = cpu::check_size(program, height, width, side, memory);
    if (threads < 0) throw std::invalid_argument("threads must not be negative");
    const cpu::FramePart part = wanted ? part_of(*wanted) : cpu::FramePart{0, height, 0, width};
    cpu::check_part(program, shape, part);
    return cpu::cut(program, shape, part, cpu::CutBounds{side, memory, threads});
  }

  // The whole frame's.
  int64_t unit_bytes(int64_t width) const {
    cpu::check_width(builder_.program(), width);
    const cpu::ConvProgram& program = builder_.program();
    return cpu::unit_bytes(program, cpu::ring_rows(program, 1), width, width).all;
  }

 private:
  static cpu::FramePart part_of(const Rectangle& p) { return {p[0], p[1], p[2], p[3]}; }

  std::pair<int64_t, int64_t> input_reads(int axis, int64_t length, int64_t begin, int64_t end,
                                          const std::string& what) const {
    require(builder_.program().complete(), "the program has no end");
    require(0 <= begin && begin < end && end <= length, "there are no such " + what + " in the frame");
    const cpu::Interval read = cpu::input_reads(builder_.program(), axis, length, begin, end);
    return {read.first, read.last};
  }

  void execute(const cpu::Source& from, const cpu::Destination& to, const std::vector<cpu::FramePart>& parts,
               cpu::CutBounds bounds, const py::object& progress) const {
    reported(progress, [&](const cpu::RunProgress::Report& report) { executor_.run(from, to, parts, bounds, report); });
  }

  // Calls run(report) without Python's lock; `progress` and signals may end it.
  template <typename Run>
  static void reported(const py::object& progress, const Run& run) {
    // What Python raises stays on this thread: another one may be the last to let go of an exception that the pool saw.
    struct Stopped {};
    std::exception_ptr raised;
    cpu::RunProgress::Report report;
    const bool interruptible = on_main_thread();  // Python takes signals on no other
    int64_t told = 0;
    if (interruptible || !progress.is_none()) {
      report = [&](int64_t done, int64_t total) {
        const WithGil held;
        try {
          if (interruptible && PyErr_CheckSignals() != 0) throw py::error_already_set();
          if (!progress.is_none() && done > told) progress(done, total);
          told = done;
        } catch (const py::error_already_set&) {
          raised = std::current_exception();
          throw Stopped{};
        }
      };
    }
    try {
      const WithoutGil released;
      run(report);
    } catch (const Stopped&) {
      std::rethrow_exception(raised);
    }
  }

  cpu::ProgramBuilder builder_;
  cpu::Executor executor_;
};

// Multiplications and additions a second that all threads together reach on sums in registers, times 1e-9.
double multiply_add_rate(int64_t rounds, const std::string& precision) {
  const auto& kernels = cpu::conv_kernels();
  const cpu::StorageFormat format = cpu::packed_format(kernels, precision);
  std::atomic<int64_t> operations{0};
  const WithoutGil released;
  const auto start = std::chrono::steady_clock::now();
  cpu::parallel_for(cpu::thread_count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) operations += kernels.peak_operations(format, rounds);
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
  module.def("resample_columns", &fastsr::resample_columns, py::arg("rows"), py::arg("starts"), py::arg("weights"),
             py::arg("out"));
  module.def("resample_rows", &fastsr::resample_rows, py::arg("rows"), py::arg("starts"), py::arg("weights"),
             py::arg("out"));
  module.def("png_filter_rows", &fastsr::png_filter_rows, py::arg("rows"), py::arg("above"), py::arg("out"));
  module.def("rgb_to_yuv420", &fastsr::rgb_to_yuv420, py::arg("pixels"), py::arg("luma"), py::arg("blue"),
             py::arg("red"), py::arg("shares"), py::arg("full_range"), py::arg("chroma_left"));
  module.def("yuv420_to_rgb", &fastsr::yuv420_to_rgb, py::arg("luma"), py::arg("blue"), py::arg("red"),
             py::arg("pixels"), py::arg("shares"), py::arg("full_range"), py::arg("chroma_left"));
  using fastsr::cpu::Cut;
  py::class_<Cut>(module, "Cut")
      .def_property_readonly("across", [](const Cut& cut) { return cut.parts.columns; })
      .def_property_readonly("down", [](const Cut& cut) { return cut.parts.rows; })
      .def_property_readonly("team", [](const Cut& cut) { return cut.parts.team; })
      .def_property_readonly("batch", [](const Cut& cut) { return cut.parts.batch; })
      .def_readonly("at_once", &Cut::at_once)
      .def_readonly("memory", &Cut::bytes)
      .def_readonly("work", &Cut::work)
      .def_readonly("efficiency", &Cut::efficiency);
  py::class_<fastsr::cpu::KeptTensors>(module, "KeptTensors");
  py::class_<fastsr::Program>(module, "ConvProgram")
      .def(py::init<const std::string&>(), py::arg("precision"))
      .def("tensor", &fastsr::Program::tensor, py::arg("channels"), py::arg("factor"), py::arg("floats"),
           py::arg("packed"), py::arg("scale") = 1.f, py::arg("zero_point") = 0,
           py::arg("growth") = fastsr::cpu::Sides{})
      .def("concat", &fastsr::Program::concat, py::arg("target"), py::arg("parts"))
      .def("slice", &fastsr::Program::slice, py::arg("target"), py::arg("source"), py::arg("first"))
      .def("conv", &fastsr::Program::conv, py::arg("source"), py::arg("target"), py::arg("kernel"), py::arg("bias"),
           py::arg("scales"), py::arg("slopes"), py::arg("add"), py::arg("low"), py::arg("high"), py::arg("factor"),
           py::arg("before") = py::none(), py::arg("dilation") = fastsr::cpu::Sides{1, 1})
      .def("depthwise", &fastsr::Program::depthwise, py::arg("source"), py::arg("target"), py::arg("kernel"),
           py::arg("bias"), py::arg("slopes"), py::arg("add"), py::arg("low"), py::arg("high"),
           py::arg("before") = py::none(), py::arg("dilation") = fastsr::cpu::Sides{1, 1})
      .def("remap", &fastsr::Program::remap, py::arg("source"), py::arg("target"), py::arg("factor"), py::arg("table"),
           py::arg("slopes"), py::arg("add"), py::arg("low"), py::arg("high"), py::arg("gains") = fastsr::Floats{},
           py::arg("offsets") = fastsr::Floats{}, py::arg("function") = "none", py::arg("times") = -1)
      .def("follow", &fastsr::Program::follow, py::arg("target"), py::arg("slopes"), py::arg("add"), py::arg("low"),
           py::arg("high"), py::arg("gains") = fastsr::Floats{}, py::arg("offsets") = fastsr::Floats{},
           py::arg("function") = "none", py::arg("times") = -1)
      .def("normalize", &fastsr::Program::normalize, py::arg("source"), py::arg("target"), py::arg("centred"),
           py::arg("epsilon"), py::arg("gains"), py::arg("offsets"))
      .def("bilinear", &fastsr::Program::bilinear, py::arg("source"), py::arg("target"), py::arg("factor"))
      .def("reduce_rows", &fastsr::Program::reduce_rows, py::arg("source"), py::arg("target"), py::arg("terms"),
           py::arg("bias"), py::arg("scales"), py::arg("before") = py::none())
      .def("pad", &fastsr::Program::pad, py::arg("source"), py::arg("target"), py::arg("added"), py::arg("border"))
      .def("space_to_depth", &fastsr::Program::space_to_depth, py::arg("source"), py::arg("target"), py::arg("down"))
      .def("store", &fastsr::Program::store, py::arg("source"), py::arg("factor"), py::arg("base"), py::arg("fold") = 1,
           py::arg("gain") = 1.f, py::arg("repeated") = 0.f)
      .def("run", &fastsr::Program::run, py::arg("pixels"), py::arg("side") = 0, py::arg("memory") = 0,
           py::arg("progress") = py::none())
      .def("run_part", &fastsr::Program::run_part, py::arg("pixels"), py::arg("size"), py::arg("first"),
           py::arg("part"), py::arg("side") = 0, py::arg("memory") = 0, py::arg("progress") = py::none())
      .def("run_parts", &fastsr::Program::run_parts, py::arg("pixels"), py::arg("parts"), py::arg("out"),
           py::arg("top") = 0, py::arg("left") = 0, py::arg("side") = 0, py::arg("memory") = 0,
           py::arg("progress") = py::none())
      .def("changed_parts", &fastsr::Program::changed_parts, py::arg("before"), py::arg("after"))
      .def("keep", &fastsr::Program::keep, py::arg("height"), py::arg("width"), py::keep_alive<0, 1>())
      .def("kept_bytes", &fastsr::Program::kept_bytes, py::arg("height"), py::arg("width"))
      .def("run_kept", &fastsr::Program::run_kept, py::arg("kept"), py::arg("pixels"), py::arg("out"),
           py::arg("before") = py::none(), py::arg("progress") = py::none())
      .def("input_rows", &fastsr::Program::input_rows, py::arg("height"), py::arg("top"), py::arg("bottom"))
      .def("input_columns", &fastsr::Program::input_columns, py::arg("width"), py::arg("left"), py::arg("right"))
      .def("cut", &fastsr::Program::cut, py::arg("height"), py::arg("width"), py::arg("side") = 0,
           py::arg("memory") = 0, py::arg("threads") = 0, py::arg("part") = py::none())
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
