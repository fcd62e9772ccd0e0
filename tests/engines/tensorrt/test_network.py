"""A TensorRT engine at run time, with a stand-in for the library."""

import numpy as np
import pytest
from support.fake_tensorrt import Diagnostics, Library, Validity

from fastsr.engines.tensorrt import network as tensorrt_network
from fastsr.engines.tensorrt.distributions import Distribution
from fastsr.errors import EngineError, GpuMemoryError


@pytest.fixture(params=["tensorrt_rtx", "tensorrt"])
def distribution(request):
    library = Library(rtx=request.param == "tensorrt_rtx")
    return Distribution(request.param, library.__version__, library)


def test_what_an_engine_says_of_itself(distribution, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", distribution)
    assert distribution.trt.loaded == b"engine"
    assert (network.dtype, network.layout) == (np.float16, "NCHW")
    assert (network.least, network.limits) == ((1, 8, 8), (4, 128, 256))
    single = Distribution("tensorrt", "10", Library(rtx=False, half=False))
    assert tensorrt_network.TensorRTNetwork(b"engine", single).dtype == np.float32


def test_kernels_are_compiled_when_prepared_not_behind_a_captured_graph(rtx, device):
    tensorrt_network.TensorRTNetwork(b"engine", rtx)
    (config,) = rtx.trt.strategies
    assert (config.strategy, config.dynamic_shapes_kernel_specialization_strategy) == ("ours", "eager")


def test_preparing_sets_the_shape_gives_memory_and_runs_once(distribution, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", distribution)
    network.prepare(2, 16, 32)
    context = distribution.trt.context
    names = [name for name, _ in context.calls if name != "get_tensor_shape"]
    assert names == [
        "set_input_shape",
        "update_device_memory_size_for_shapes",
        "set_device_memory",
        "set_tensor_address",
        "set_tensor_address",
        "execute_async_v3",
    ]
    assert context.calls[0] == ("set_input_shape", ("image", (2, 3, 16, 32)))
    needed = 100 * 2 * 3 * 16 * 32
    (address,) = device.held  # what it ran on is free again
    assert device.held[address] == needed
    assert ("set_device_memory", (address, needed)) in context.calls
    assert context.calls[-1] == ("execute_async_v3", (77,))
    assert device.synced >= 1


def test_it_tells_what_a_shape_needs_and_allocates_nothing(distribution, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", distribution)
    network.prepare(1, 16, 16)
    held = dict(device.held)
    assert network.need(2, 16, 32) == 100 * 2 * 3 * 16 * 32 + 2 * (1 + 4) * 2 * 3 * 16 * 32
    assert device.held == held
    distribution.trt.context.calls.clear()
    network.prepare(1, 16, 16)  # asking has changed the context's shape
    assert distribution.trt.context.calls[0] == ("set_input_shape", ("image", (1, 3, 16, 16)))
    with pytest.raises(EngineError, match="takes 1 to 4 images"):
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
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx, kernels=kept)
    (config,) = rtx.trt.strategies
    assert config.cache is rtx.trt.runtime_cache
    network.prepare(1, 16, 16)
    assert (kept.data, kept.times) == (b"+", 1)
    network.prepare(1, 32, 32)
    assert kept.times == 1  # nothing new was compiled
    tensorrt_network.TensorRTNetwork(b"engine", rtx, kernels=kept)
    assert rtx.trt.runtime_cache.content == b"+"


def test_kernels_of_another_driver_are_compiled_anew(rtx, device):
    kept = Kept(b"another driver's")
    tensorrt_network.TensorRTNetwork(b"engine", rtx, kernels=kept).prepare(1, 16, 16)
    assert kept.data == b"+"


def test_a_shape_is_prepared_once(rtx, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    network.prepare(1, 16, 16)
    count = len(rtx.trt.context.calls)
    network.prepare(1, 16, 16)
    assert len(rtx.trt.context.calls) == count


def test_memory_only_grows(rtx, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    held = []
    for shape in ((1, 16, 16), (1, 8, 8), (2, 16, 16), (1, 16, 16)):
        network.prepare(*shape)
        assert len(device.held) == 1
        held += device.held
    assert held[0] == held[1] != held[2] == held[3]  # a graph captured before a move holds the old address
    assert list(device.held.values()) == [100 * 2 * 3 * 16 * 16]


def test_enqueue_neither_allocates_nor_waits(rtx, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    network.prepare(1, 16, 16)
    context = rtx.trt.context
    before = (dict(device.held), device.synced, device.current, device.next)
    context.calls.clear()
    network.enqueue(0xA000, 0xB000, 5)
    assert context.calls == [
        ("set_tensor_address", ("image", 0xA000)),
        ("set_tensor_address", ("result", 0xB000)),
        ("execute_async_v3", (5,)),
    ]
    assert (dict(device.held), device.synced, device.current, device.next) == before


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 16, 16), "takes 1 to 4 images at once, not 5"),
        ((1, 129, 16), "takes 8 to 128 rows at once, not 129"),
        ((1, 16, 7), "takes 8 to 256 columns at once, not 7"),
    ],
)
def test_shapes_outside_of_the_profile_are_refused_untouched(rtx, device, shape, message):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    with pytest.raises(EngineError, match=message):
        network.prepare(*shape)
    assert rtx.trt.context.calls == []


def test_too_little_memory_is_an_error_of_its_own_and_leaves_none_held(rtx, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    device.free = 10_000_000
    with pytest.raises(GpuMemoryError, match="no 37 MiB are free on the GPU; try a smaller tile"):
        network.prepare(4, 128, 256)
    assert device.held == {}
    network.prepare(1, 16, 16)
    assert len(device.held) == 1
    device.free = 100  # enough for nothing: what it would try itself on does not fit
    with pytest.raises(GpuMemoryError):
        network.prepare(1, 8, 8)
    assert len(device.held) == 1
    device.free = 1 << 30
    network.prepare(1, 8, 8)  # not taken for prepared


@pytest.mark.parametrize("method", ["set_input_shape", "set_tensor_address", "execute_async_v3"])
def test_what_tensorrt_refuses_comes_with_its_reason(rtx, device, method):
    network = tensorrt_network.TensorRTNetwork(b"engine", rtx)
    rtx.trt.context.refuses.add(method)
    with pytest.raises(EngineError, match=r"TensorRT-RTX 1\.7\.0 cannot .*: it was told to refuse"):
        network.prepare(1, 16, 16)
    rtx.trt.context.refuses.clear()
    network.prepare(1, 16, 16)


def test_engines_that_do_not_load_say_why(rtx, device):
    rtx.trt.loads = False
    with pytest.raises(EngineError, match="cannot load this engine: Serialization assertion failed"):
        tensorrt_network.TensorRTNetwork(b"engine", rtx)
    rtx.trt.loads, rtx.trt.contexts = True, False
    with pytest.raises(EngineError, match="cannot make an execution context"):
        tensorrt_network.TensorRTNetwork(b"engine", rtx)


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
        tensorrt_network.TensorRTNetwork(b"engine", rtx)
    assert not hasattr(rtx.trt, "loaded")


def test_closing_frees_the_memory_and_may_be_repeated(distribution, device):
    network = tensorrt_network.TensorRTNetwork(b"engine", distribution)
    network.prepare(1, 16, 16)
    network.close()
    network.close()
    assert device.held == {}
    with pytest.raises(EngineError, match="this network was closed"):
        network.prepare(1, 16, 16)


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
    assert set(real) == set(tensorrt_network._INVALID)
    assert {d.name: int(d) for d in Diagnostics}.items() <= real.items()
    assert hasattr(trt.ExecutionContextAllocationStrategy, "USER_MANAGED")
    assert hasattr(trt.DynamicShapesKernelSpecializationStrategy, "EAGER")
    assert np.dtype(trt.nptype(trt.DataType.HALF)) == np.float16
