"""The run-time side of TensorRT with a stand-in for the library, which loads no engine without a GPU."""

import enum
import sys
import threading
import types
import warnings

import numpy as np
import pytest
from small_models import compact

from fastsr import graph
from fastsr.engines import engine_cache, engine_file, flavours, gpus, tensorrt
from fastsr.engines.engine_builder import Profile
from fastsr.engines.flavours import Flavour
from fastsr.engines.gpus import Gpu
from fastsr.errors import EngineError, GpuMemoryError

PROFILE = Profile((1, 8, 8), (1, 64, 64), (4, 128, 256))
ADA = Gpu(0, "NVIDIA GeForce RTX 4090", "8.9")
HOPPER = Gpu(0, "NVIDIA H200", "9.0")


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    INFO = 3


class Validity(enum.Enum):
    VALID = 0
    INVALID = 2


class Diagnostics(enum.IntFlag):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    MALFORMED_ENGINE = 32


class Device:
    """Counts bytes; a stream and buffers that note what is done to them."""

    def __init__(self, free=1 << 30):
        self.free, self.held, self.current, self.synced = free, {}, 0, 0
        self.next = 0x1000
        self.handle = 77  # it is its own stream

    def set_current(self):
        self.current += 1

    def create_stream(self):
        return self

    def sync(self):
        self.synced += 1

    def allocate(self, size, *, stream):
        if size > self.free:
            raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        self.free -= size
        self.next += 0x10000000
        self.held[self.next] = size
        return Buffer(self, self.next, size)


class Buffer:
    def __init__(self, device, handle, size):
        self.device, self.handle, self.size = device, handle, size

    def close(self, stream=None):
        self.device.free += self.device.held.pop(self.handle)


class Context:
    def __init__(self, library):
        self.library, self.calls, self.shape, self.addresses = library, [], None, {}
        self.refuses = set()

    def __getattr__(self, name):
        if name not in self.library.context_methods:
            raise AttributeError(name)
        return lambda *arguments: self._called(name, arguments)

    def _called(self, name, arguments):
        self.calls.append((name, arguments))
        if name in self.refuses:
            self.library.log("it was told to refuse")
            return False
        if name == "set_input_shape":
            self.shape = arguments[1]
        if name == "set_tensor_address":
            self.addresses[arguments[0]] = arguments[1]
        if name == "update_device_memory_size_for_shapes":
            return 100 * int(np.prod(self.shape))
        if name == "get_tensor_shape":
            n, c, h, w = self.shape
            return (n, c, h, w) if arguments[0] == "picture" else (n, c, 2 * h, 2 * w)
        return True


class Library(types.SimpleNamespace):
    """As much of TensorRT's module as the runtime side touches."""

    context_methods = (
        "set_input_shape",
        "update_device_memory_size_for_shapes",
        "set_device_memory",
        "get_tensor_shape",
        "set_tensor_address",
        "execute_async_v3",
    )

    def __init__(self, rtx=True, half=True):
        super().__init__(__version__="1.7.0" if rtx else "10.9.0")
        library = self
        self.loggers, self.strategies, self.found = [], [], (Validity.VALID, 0)
        self.loads = self.contexts = True

        class ILogger:
            ERROR, INTERNAL_ERROR = Severity.ERROR, Severity.INTERNAL_ERROR

            def __init__(self):
                library.loggers.append(self)

        class Runtime:
            def __init__(self, logger):
                self.logger = logger

            def deserialize_cuda_engine(self, engine):
                library.loaded = engine
                if not library.loads:
                    library.log("Serialization assertion failed")
                return Engine() if library.loads else None

        class Engine:
            num_io_tensors = 2

            def get_tensor_name(self, i):
                return ("result", "picture")[i]

            def get_tensor_mode(self, name):
                return {"picture": "in", "result": "out"}[name]

            def get_tensor_dtype(self, name):
                return np.float16 if half else np.float32

            def get_tensor_profile_shape(self, name, index):
                assert (name, index) == ("picture", 0)
                return [(1, 3, 8, 8), (1, 3, 64, 64), (4, 3, 128, 256)]

            def create_execution_context(self, how):
                library.strategies.append(how)
                library.context = Context(library) if library.contexts else None
                return library.context

        if rtx:
            Engine.create_runtime_config = lambda self: Config()
            Runtime.get_engine_validity = lambda self, engine: library.found
            kinds = {"SM86": "sm86", "SM89": "sm89", "SM120": "sm120", "CURRENT": "current"}
            self.ComputeCapability = types.SimpleNamespace(__members__=kinds, **kinds)

        class RuntimeCache:
            content = b""

            def deserialize(self, data):
                if data != b"another driver's":
                    self.content = data
                return self.content == data

            def serialize(self):
                ran = "execute_async_v3" in [name for name, _ in library.context.calls]
                return memoryview(self.content + b"+" * ran)

        class Config:
            dynamic_shapes_kernel_specialization_strategy = "lazy"

            def set_execution_context_allocation_strategy(self, strategy):
                self.strategy = strategy

            def create_runtime_cache(self):
                library.runtime_cache = RuntimeCache()
                return library.runtime_cache

            def set_runtime_cache(self, cache):
                self.cache = cache

        self.IRuntimeCache = RuntimeCache
        self.ILogger, self.Runtime = ILogger, Runtime
        self.TensorIOMode = types.SimpleNamespace(INPUT="in")
        self.nptype = lambda kind: kind
        self.EngineValidity, self.EngineInvalidityDiagnostics = Validity, Diagnostics
        self.ExecutionContextAllocationStrategy = types.SimpleNamespace(USER_MANAGED="ours")
        self.DynamicShapesKernelSpecializationStrategy = types.SimpleNamespace(EAGER="eager")

    def log(self, text):
        self.loggers[0].log(Severity.INFO, "chatter")
        self.loggers[0].log(Severity.ERROR, text)


@pytest.fixture
def device(monkeypatch):
    made = Device()
    monkeypatch.setattr(gpus, "device", lambda index=0: made)
    return made


@pytest.fixture(params=["tensorrt_rtx", "tensorrt"])
def flavour(request):
    library = Library(rtx=request.param == "tensorrt_rtx")
    return Flavour(request.param, library.__version__, library)


@pytest.fixture
def rtx():
    return Flavour("tensorrt_rtx", "1.7.0", Library())


def test_what_an_engine_says_of_itself(flavour, device):
    network = tensorrt.TensorRTNetwork(b"engine", flavour)
    assert flavour.trt.loaded == b"engine"
    assert (network.dtype, network.layout) == (np.float16, "NCHW")
    assert (network.least, network.limits) == ((1, 8, 8), (4, 128, 256))
    single = Flavour("tensorrt", "10", Library(rtx=False, half=False))
    assert tensorrt.TensorRTNetwork(b"engine", single).dtype == np.float32


def test_kernels_are_compiled_when_prepared_not_behind_a_captured_graph(rtx, device):
    tensorrt.TensorRTNetwork(b"engine", rtx)
    (config,) = rtx.trt.strategies
    assert (config.strategy, config.dynamic_shapes_kernel_specialization_strategy) == ("ours", "eager")


def test_preparing_sets_the_shape_gives_memory_and_runs_once(flavour, device):
    network = tensorrt.TensorRTNetwork(b"engine", flavour)
    network.prepare(2, 16, 32)
    context = flavour.trt.context
    names = [name for name, _ in context.calls if name != "get_tensor_shape"]
    assert names == [
        "set_input_shape",
        "update_device_memory_size_for_shapes",
        "set_device_memory",
        "set_tensor_address",
        "set_tensor_address",
        "execute_async_v3",
    ]
    assert context.calls[0] == ("set_input_shape", ("picture", (2, 3, 16, 32)))
    needed = 100 * 2 * 3 * 16 * 32
    (address,) = device.held  # what it ran on is free again
    assert device.held[address] == needed
    assert ("set_device_memory", (address, needed)) in context.calls
    assert context.calls[-1] == ("execute_async_v3", (77,))
    assert device.synced >= 1


def test_it_tells_what_a_shape_needs_and_allocates_nothing(flavour, device):
    network = tensorrt.TensorRTNetwork(b"engine", flavour)
    network.prepare(1, 16, 16)
    held = dict(device.held)
    assert network.need(2, 16, 32) == 100 * 2 * 3 * 16 * 32 + 2 * (1 + 4) * 2 * 3 * 16 * 32
    assert device.held == held
    flavour.trt.context.calls.clear()
    network.prepare(1, 16, 16)  # asking has changed the context's shape
    assert flavour.trt.context.calls[0] == ("set_input_shape", ("picture", (1, 3, 16, 16)))
    with pytest.raises(EngineError, match="takes 1 to 4 pictures"):
        network.need(5, 16, 16)


class Kept:
    def __init__(self, data=None):
        self.data, self.times = data, 0

    def load(self):
        return self.data

    def keep(self, data):
        self.data, self.times = data, self.times + 1


def test_compiled_kernels_are_kept_for_the_next_process(rtx, device):
    kept = Kept()
    network = tensorrt.TensorRTNetwork(b"engine", rtx, kernels=kept)
    (config,) = rtx.trt.strategies
    assert config.cache is rtx.trt.runtime_cache
    network.prepare(1, 16, 16)
    assert (kept.data, kept.times) == (b"+", 1)
    network.prepare(1, 32, 32)
    assert kept.times == 1  # nothing new was compiled
    tensorrt.TensorRTNetwork(b"engine", rtx, kernels=kept)
    assert rtx.trt.runtime_cache.content == b"+"


def test_kernels_of_another_driver_are_compiled_anew(rtx, device):
    kept = Kept(b"another driver's")
    tensorrt.TensorRTNetwork(b"engine", rtx, kernels=kept).prepare(1, 16, 16)
    assert kept.data == b"+"


def test_a_shape_is_prepared_once(rtx, device):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    network.prepare(1, 16, 16)
    count = len(rtx.trt.context.calls)
    network.prepare(1, 16, 16)
    assert len(rtx.trt.context.calls) == count


def test_memory_only_grows_and_says_when_it_moves(rtx, device):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    generations = []
    for shape in ((1, 16, 16), (1, 8, 8), (2, 16, 16), (1, 16, 16)):
        network.prepare(*shape)
        generations.append(network.generation)
        assert len(device.held) == 1
    assert generations == [1, 1, 2, 2]
    assert list(device.held.values()) == [100 * 2 * 3 * 16 * 16]


def test_enqueue_neither_allocates_nor_waits(rtx, device):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    network.prepare(1, 16, 16)
    context = rtx.trt.context
    before = (dict(device.held), device.synced, device.current, device.next)
    context.calls.clear()
    network.enqueue(0xA000, 0xB000, 5)
    assert context.calls == [
        ("set_tensor_address", ("picture", 0xA000)),
        ("set_tensor_address", ("result", 0xB000)),
        ("execute_async_v3", (5,)),
    ]
    assert (dict(device.held), device.synced, device.current, device.next) == before


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 16, 16), "takes 1 to 4 pictures at once, not 5"),
        ((1, 129, 16), "takes 8 to 128 rows at once, not 129"),
        ((1, 16, 7), "takes 8 to 256 columns at once, not 7"),
    ],
)
def test_shapes_outside_of_the_profile_are_refused_untouched(rtx, device, shape, message):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    with pytest.raises(EngineError, match=message):
        network.prepare(*shape)
    assert rtx.trt.context.calls == []


def test_too_little_memory_is_an_error_of_its_own_and_leaves_none_held(rtx, device):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    device.free = 10_000_000
    with pytest.raises(GpuMemoryError, match="no 37 MiB are free on the GPU; try a smaller tile"):
        network.prepare(4, 128, 256)
    assert device.held == {}
    network.prepare(1, 16, 16)
    assert network.generation == 2
    device.free = 100  # enough for nothing: what it would try itself on does not fit
    with pytest.raises(GpuMemoryError):
        network.prepare(1, 8, 8)
    assert len(device.held) == 1
    device.free = 1 << 30
    network.prepare(1, 8, 8)  # not taken for prepared


@pytest.mark.parametrize("method", ["set_input_shape", "set_tensor_address", "execute_async_v3"])
def test_what_tensorrt_refuses_comes_with_its_reason(rtx, device, method):
    network = tensorrt.TensorRTNetwork(b"engine", rtx)
    rtx.trt.context.refuses.add(method)
    with pytest.raises(EngineError, match=r"TensorRT-RTX 1\.7\.0 cannot .*: it was told to refuse"):
        network.prepare(1, 16, 16)
    rtx.trt.context.refuses.clear()
    network.prepare(1, 16, 16)


def test_engines_that_do_not_load_say_why(rtx, device):
    rtx.trt.loads = False
    with pytest.raises(EngineError, match="cannot load this engine: Serialization assertion failed"):
        tensorrt.TensorRTNetwork(b"engine", rtx)
    rtx.trt.loads, rtx.trt.contexts = True, False
    with pytest.raises(EngineError, match="cannot make an execution context"):
        tensorrt.TensorRTNetwork(b"engine", rtx)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Diagnostics.VERSION_MISMATCH, "built by another version of TensorRT-RTX; build it anew"),
        (Diagnostics.UNSUPPORTED_CC, "built for other GPUs"),
        (Diagnostics.OLD_CUDA_DRIVER, "driver is too old for it; update the driver"),
        (Diagnostics.VERSION_MISMATCH | Diagnostics.MALFORMED_ENGINE, "another version.*; it is damaged"),
    ],
)
def test_engines_that_the_runtime_finds_invalid_say_what_to_do(rtx, device, found, message):
    rtx.trt.found = (Validity.INVALID, found)
    with pytest.raises(EngineError, match=rf"TensorRT-RTX 1\.7\.0 cannot run this engine: .*{message}"):
        tensorrt.TensorRTNetwork(b"engine", rtx)
    assert not hasattr(rtx.trt, "loaded")


def test_closing_frees_the_memory_and_may_be_repeated(flavour, device):
    network = tensorrt.TensorRTNetwork(b"engine", flavour)
    network.prepare(1, 16, 16)
    network.close()
    network.close()
    assert device.held == {}
    with pytest.raises(EngineError, match="this network was closed"):
        network.prepare(1, 16, 16)


# Which TensorRT, which GPU.


@pytest.fixture
def installed(monkeypatch):
    """Stand-ins for the modules that are installed: none, until a test adds some."""
    modules = {}

    def imported(name):
        if name in modules:
            return modules[name]
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(flavours.importlib, "import_module", imported)
    flavours.find.cache_clear()
    yield modules
    flavours.find.cache_clear()


def test_rtx_serves_what_it_lists_and_tensorrt_the_rest(installed):
    installed["tensorrt_rtx"], installed["tensorrt"] = Library(), Library(rtx=False)
    assert flavours.choose(ADA).name == "tensorrt_rtx"
    assert flavours.choose(HOPPER).name == "tensorrt"
    del installed["tensorrt_rtx"]
    flavours.find.cache_clear()
    assert flavours.choose(ADA).name == "tensorrt"


def test_what_is_missing_is_named_with_what_installs_it(installed):
    with pytest.raises(EngineError, match=r'RTX 4090 \(SM 8\.9\); run: pip install "fastsr\[tensorrt\]"'):
        flavours.choose(ADA)
    with pytest.raises(EngineError, match=r"H200 \(SM 9\.0\); run: pip install tensorrt$"):
        flavours.choose(HOPPER)
    installed["tensorrt_rtx"] = Library()
    flavours.find.cache_clear()
    with pytest.raises(EngineError, match=r"TensorRT-RTX 1\.7\.0 does not serve NVIDIA H200.*pip install tensorrt$"):
        flavours.choose(HOPPER)
    installed["tensorrt"] = types.SimpleNamespace(__version__="8.6.1")
    flavours.find.cache_clear()
    with pytest.raises(EngineError, match=r"TensorRT 8\.6\.1 is too old"):
        flavours.find("tensorrt")


def test_log_lines_reach_those_who_listen_and_none_others(rtx):
    logger = rtx.log.logger
    logger.log(Severity.ERROR, "before")
    every = []
    with rtx.log.errors() as errors, rtx.log.listening(every.append, everything=True):
        logger.log(Severity.INFO, "chatter")
        logger.log(Severity.ERROR, "trouble")
    logger.log(Severity.ERROR, "after")
    assert (list(errors), every) == (["trouble"], ["chatter", "trouble"])


def test_what_is_raised_while_it_logs_waits_until_it_is_back(rtx):
    """C++ would end the process."""

    def interrupted(line):
        raise KeyboardInterrupt

    with rtx.log.listening(interrupted):
        rtx.log.logger.log(Severity.ERROR, "a line")
        other = threading.Thread(target=rtx.log.check)  # what is raised in one thread is not another's
        other.start()
        other.join()
        with pytest.raises(KeyboardInterrupt):
            rtx.log.check()
        rtx.log.check()


def cuda_core(monkeypatch, device):
    module = types.ModuleType("cuda.core")
    module.Device = device
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.core", module)


def test_the_gpu_is_asked_for_its_name(monkeypatch):
    class Card(Device):
        name, compute_capability = "card", (12, 0)

        def __init__(self, index):
            super().__init__()

    cuda_core(monkeypatch, Card)
    assert gpus.find(1) == Gpu(1, "card", "12.0")


class DynamicLibNotFoundError(RuntimeError):
    """Named as cuda-pathfinder's."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DynamicLibNotFoundError('"cuda" can only be found via system search'), "no NVIDIA driver on this machine"),
        (RuntimeError("CUDA_ERROR_STUB_LIBRARY: ..."), "no NVIDIA driver"),
        (RuntimeError("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"), "driver is too old .*; update the driver"),
        (RuntimeError("cudaErrorINSUFFICIENT_DRIVER"), "driver is too old"),
        (ValueError("Device ID expected to be in range"), r"GPU 3 cannot be used \(Device ID .*nvidia-smi"),
        (Exception(), r"GPU 3 cannot be used \(Exception\)"),
    ],
)
def test_no_gpu_says_why(monkeypatch, error, message):
    def fails(index):
        raise error

    cuda_core(monkeypatch, fails)
    with pytest.raises(EngineError, match=message):
        gpus.find(3)


def test_without_cuda_core_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(EngineError, match=r'need cuda-core.*pip install "fastsr\[tensorrt\]"'):
        gpus.find()


# From a graph to a network.


@pytest.fixture
def network_of(monkeypatch, tmp_path, device, rtx):
    """`tensorrt.network` for a small model on an RTX 4090; `builds` holds what was built."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gpus, "find", lambda index=0: ADA)
    monkeypatch.setattr(flavours, "choose", lambda gpu: rtx)
    model = graph.read(compact().save(tmp_path / "m.onnx"))
    builds = []

    def build(flavour, network, precision, profile, targets, progress):
        progress(1, 2)
        builds.append((network.name, precision, profile, targets))
        return precision.encode()

    monkeypatch.setattr(tensorrt, "build", build)

    def make(precision="fp16", **options):
        return tensorrt.network(model, precision, PROFILE, **options)

    make.builds, make.model = builds, model
    return make


def test_a_network_is_built_once_for_the_cards_kind(network_of, rtx, tmp_path):
    assert network_of().limits == (4, 128, 256)
    assert rtx.trt.loaded == b"fp16"
    network_of()
    assert network_of.builds == [("m", "fp16", PROFILE, ("8.9",))]
    network_of("int8")
    assert rtx.trt.loaded == b"int8"
    assert len(network_of.builds) == 2
    (path,) = [p for p in (tmp_path / "cache").glob("*.engine") if b'"int8"' in p.read_bytes()]
    description, _ = engine_file.read(path)
    assert engine_cache.key(description) == path.stem
    assert (description["targets"], description["gpu"], description["flavour"]) == (["8.9"], None, "tensorrt_rtx")


def test_tensorrt_builds_for_the_very_card(network_of, monkeypatch):
    monkeypatch.setattr(flavours, "choose", lambda gpu: Flavour("tensorrt", "10.9.0", Library(rtx=False)))
    network_of()
    monkeypatch.setattr(gpus, "find", lambda index=0: Gpu(0, "another", "8.9"))
    network_of()
    assert [targets for *_, targets in network_of.builds] == [(), ()]


def test_progress_is_told_while_it_is_built(network_of):
    steps = []
    assert network_of(progress=lambda done, total: steps.append((done, total))).limits == (4, 128, 256)
    assert steps == [(1, 2)]


def test_a_build_that_fails_says_so_each_time(network_of, monkeypatch):
    def fails(*_):
        raise EngineError("cannot be built")

    monkeypatch.setattr(tensorrt, "build", fails)
    with pytest.raises(EngineError, match="cannot be built"):
        network_of()
    with pytest.raises(EngineError, match="cannot be built"):
        network_of()


def test_a_cached_engine_that_no_longer_loads_is_built_anew(network_of, rtx, monkeypatch):
    network_of()
    real, fails = tensorrt.TensorRTNetwork, [True]

    def loads(*arguments):
        if fails and fails.pop():
            raise EngineError("the NVIDIA driver has changed")
        return real(*arguments)

    monkeypatch.setattr(tensorrt, "TensorRTNetwork", loads)
    assert network_of().limits == (4, 128, 256)
    assert len(network_of.builds) == 2
    fails[:] = [True, True]
    with pytest.raises(EngineError, match="driver has changed"):  # one that was just built does not load either
        network_of()
    assert len(network_of.builds) == 3


def test_too_little_memory_for_a_cached_engine_does_not_build_it_anew(network_of, monkeypatch):
    network_of()

    def full(*_):
        raise GpuMemoryError("no memory")

    monkeypatch.setattr(tensorrt, "TensorRTNetwork", full)
    with pytest.raises(GpuMemoryError):
        network_of()
    assert len(network_of.builds) == 1


def test_compiled_kernels_lie_beside_the_engine(network_of, tmp_path):
    network_of().prepare(1, 16, 16)
    (path,) = (tmp_path / "cache").glob("*.kernels")
    assert path.read_bytes() == b"+"


def test_no_gpu_is_told_at_once(network_of, monkeypatch):
    def fails(index=0):
        raise EngineError("there is no NVIDIA driver")

    monkeypatch.setattr(gpus, "find", fails)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        network_of()


def test_a_build_ends_with_the_process(network_of, monkeypatch):
    monkeypatch.setattr(tensorrt.threading, "main_thread", lambda: types.SimpleNamespace(is_alive=lambda: False))
    with pytest.raises(EngineError, match="the process is ending"):
        network_of()


def engine_of(network_of, path, **changes):
    flavour = Flavour("tensorrt_rtx", "1.7.0", None)
    description = tensorrt.describe(network_of.model, "fp16", PROFILE, flavour, ("8.6", "8.9"), None) | changes
    engine_file.write(path, description, b"exported")
    return path


def test_engine_files_run_where_they_were_built_for(network_of, installed, rtx, tmp_path, monkeypatch):
    installed["tensorrt_rtx"] = rtx.trt
    path = engine_of(network_of, tmp_path / "m.engine")
    assert tensorrt.load(path).limits == (4, 128, 256)
    assert rtx.trt.loaded == b"exported"
    engine_of(network_of, path, version="1.6.0")
    with pytest.raises(EngineError, match=r"m\.engine: was built by TensorRT-RTX 1\.6\.0, and this is 1\.7\.0; export"):
        tensorrt.load(path)
    engine_of(network_of, path, targets=["8.6", "12.0"])
    with pytest.raises(EngineError, match=r"built for SM 8\.6, 12\.0, and NVIDIA .* is SM 8\.9; .*--target-sm 8\.9"):
        tensorrt.load(path)
    engine_of(network_of, path, targets=[], gpu=["NVIDIA L4", "8.9"])
    with pytest.raises(EngineError, match=r"was built on NVIDIA L4, and this is NVIDIA GeForce RTX 4090"):
        tensorrt.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"m\.engine: is damaged or cut short"):
        tensorrt.load(path)


def test_the_weights_beside_a_file_count(network_of, monkeypatch):
    """The digest of the file alone would not tell new weights in its external data from the old ones."""
    import dataclasses

    changed = dataclasses.replace(network_of.model, serialized=network_of.model.serialized + b"\x00")
    flavour = Flavour("tensorrt_rtx", "1.7.0", None)
    keys = {
        engine_cache.key(tensorrt.describe(model, "fp16", PROFILE, flavour, ("8.9",), None))
        for model in (network_of.model, changed)
    }
    assert len(keys) == 2


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_network(network_of, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "file"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert network_of().limits == (4, 128, 256)
    assert [w.category for w in caught] == [RuntimeWarning]


def test_the_stand_in_has_what_the_library_has():
    trt = pytest.importorskip("tensorrt_rtx", reason='TensorRT-RTX is not installed; pip install "fastsr[tensorrt]"')
    for name in Library.context_methods:
        assert callable(getattr(trt.IExecutionContext, name))
    library = Library()
    for kind, real in (("Runtime", trt.Runtime), ("ILogger", trt.ILogger)):
        ours = {n for n in vars(getattr(library, kind)) if not n.startswith("_")}
        assert ours <= set(dir(real)) | {"logger"}
    engine = library.Runtime(None).deserialize_cuda_engine(b"")
    assert {n for n in dir(engine) if not n.startswith("_")} <= set(dir(trt.ICudaEngine))
    assert {n for n in dir(engine.create_runtime_config()) if not n.startswith("_")} <= set(dir(trt.IRuntimeConfig))
    assert {n for n in vars(library.IRuntimeCache) if not n.startswith("_")} <= set(dir(trt.IRuntimeCache)) | {
        "content"
    }
    for member in ("VALID", "INVALID"):
        assert hasattr(trt.EngineValidity, member)
    real = {name: int(bit) for name, bit in trt.EngineInvalidityDiagnostics.__members__.items()}
    assert set(real) == set(tensorrt._INVALID)
    assert {d.name: int(d) for d in Diagnostics}.items() <= real.items()
    assert hasattr(trt.ExecutionContextAllocationStrategy, "USER_MANAGED")
    assert hasattr(trt.DynamicShapesKernelSpecializationStrategy, "EAGER")
    assert np.dtype(trt.nptype(trt.DataType.HALF)) == np.float16
