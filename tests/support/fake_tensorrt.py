"""A stand-in for TensorRT, which loads no engine without a GPU: as much of it as the runtime side touches."""

import enum
import types

import numpy as np
import pytest

from fastsr.engines.gpu import discovery
from fastsr.engines.gpu.discovery import Gpu
from fastsr.engines.tensorrt import distributions
from fastsr.engines.tensorrt.distributions import Distribution

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
            return (n, c, h, w) if arguments[0] == "image" else self.library.result(n, c, h, w)
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
        self.result = lambda n, c, h, w: (n, c, 2 * h, 2 * w)

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
                return ("result", "image")[i]

            def get_tensor_mode(self, name):
                return {"image": "in", "result": "out"}[name]

            def get_tensor_dtype(self, name):
                return np.float16 if half else np.float32

            def get_tensor_profile_shape(self, name, index):
                assert (name, index) == ("image", 0)
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
    """The GPU."""
    made = Device()
    monkeypatch.setattr(discovery, "device", lambda index=0: made)
    return made


@pytest.fixture
def rtx():
    """TensorRT-RTX."""
    return Distribution("tensorrt_rtx", "1.7.0", Library())


@pytest.fixture
def installed(monkeypatch):
    """A dictionary, module name -> library, in place of the TensorRTs of this machine; none until some are added."""
    modules = {}

    def imported(name):
        if name in modules:
            return modules[name]
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(distributions.importlib, "import_module", imported)
    distributions.find.cache_clear()
    yield modules
    distributions.find.cache_clear()
