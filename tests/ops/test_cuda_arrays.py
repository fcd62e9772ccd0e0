"""Arrays in a GPU's memory as the operations read them, without a GPU: objects only claim to lie there."""

import sys
import types

import numpy as np
import pytest

import fastsr
from fastsr import EngineError, ops
from fastsr.ops import cuda_arrays

_cuda = pytest.importorskip("fastsr._cuda", reason="the CUDA module was not built (FASTSR_CUDA=on pip install .)")


class Fake:
    """Claims device memory; every test must be refused before a kernel touches it."""

    def __init__(self, shape, dtype="|u1", device=0, strides=None, readonly=False, **more):
        self.device = device
        data = (0x10000, readonly)
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": dtype, "data": data, "strides": strides, "version": 3, **more
        }  # fmt: skip

    def __dlpack_device__(self):
        return (2, self.device)


FRAME = Fake((8, 8, 3))
LOCKED = Fake((1, 3, 4, 4), "<f4", readonly=True)
ELSEWHERE = Fake((1, 3, 4, 4), "<f4", device=1)
STRIDED = Fake((8, 8, 3), strides=(1, 8, 64))
BATCH = Fake((1, 3, 4, 4), "<f4")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=np.zeros((1, 3, 4, 4), np.float32)), "out in CPU memory"),
        (lambda: ops.tile_gather(Fake((8, 8, 3), "<i4"), [(0, 0)], (4, 4), out=BATCH), "dtype int32; accepted: uint8"),
        (lambda: ops.tile_gather(Fake((8, 8), "|u1"), [(0, 0)], (4, 4), out=BATCH), "height x width x channels"),
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=Fake((1, 3, 4, 4), "<f8")), "batch has dtype float64"),
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 5), out=BATCH), r"out has shape \(1, 3, 4, 4\)"),
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=ELSEWHERE), "frame on device 0, out on"),
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 4)), "hand in out="),
        (lambda: ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=LOCKED), "out is read-only"),
        (lambda: ops.tile_gather(STRIDED, [(0, 0)], (4, 4), out=BATCH), r"frame\.contiguous\(\)"),
        (lambda: ops.tile_gather(Fake((8, 8, 3), ">u2"), [(0, 0)], (4, 4), out=BATCH), "bytes swapped"),
        (lambda: ops.tile_gather(Fake((8, 8, 3), mask=FRAME), [(0, 0)], (4, 4), out=BATCH), "masked"),
        (lambda: ops.tile_gather(Fake((8, 8, 3), stream=0), [(0, 0)], (4, 4), out=BATCH), "stream 0"),
        (lambda: ops.tile_scatter(BATCH, [(0, 0, 0, 0, 4, 4)], Fake((8, 8, 3), readonly=True)), "frame is read-only"),
        (lambda: ops.tile_scatter(BATCH, [(0, 0, 0, 0, 5, 4)], FRAME), "inside its tile"),
        (lambda: ops.tile_scatter(BATCH, [(0, 0, 0, 0, 4, 4)] * 2, FRAME), "one per tile"),
        (lambda: ops.tile_scatter(BATCH, [(0, 0, 0, 0, 4, 4)], FRAME, low=np.zeros((8, 8, 3), np.uint8)), "low in CPU"),
        (lambda: ops.tile_scatter(BATCH, [(0, 0, 0, 0, 4, 4)], FRAME, 1, "nearest"), "needs the low-resolution frame"),
        (lambda: ops.pixel_shuffle(BATCH, 2, out=BATCH), "not a multiple of factor"),
        (lambda: ops.pixel_shuffle(Fake((1, 4, 4, 4), "<f4"), 2, out=BATCH), "1 x 1 x 8 x 8 is needed"),
        (lambda: ops.pixel_shuffle(BATCH, 1, out=Fake((1, 3, 4, 4), "<f2")), "out has dtype float16"),
        (lambda: ops.pixel_shuffle(BATCH, 1, bias=Fake((2,), "<f4"), out=BATCH), "one per output channel"),
        (lambda: ops.pixel_shuffle(BATCH, 1, bias=[0.0] * 3, out=BATCH), "bias in CPU memory"),
    ],
)  # fmt: skip
def test_refused_before_a_kernel_starts(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_misaligned_address_is_refused():
    odd = Fake((1, 3, 4, 4), "<f4")
    odd.__cuda_array_interface__["data"] = (0x10002, False)
    with pytest.raises(ValueError, match="x is not aligned to its 4-byte"):
        ops.pixel_shuffle(odd, 1, out=BATCH)


@pytest.mark.skipif(_cuda.driver_version() != 0, reason="this machine has an NVIDIA driver")
def test_without_a_driver_the_error_says_so():
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=BATCH)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        ops.tile_scatter(BATCH, [(0, 0, 0, 0, 4, 4)], FRAME)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        ops.pixel_shuffle(BATCH, 1, out=BATCH)


def test_without_the_module_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.delattr(fastsr, "_cuda", raising=False)
    monkeypatch.setitem(sys.modules, "fastsr._cuda", None)
    with pytest.raises(EngineError, match="FASTSR_CUDA=on"):
        ops.tile_gather(FRAME, [(0, 0)], (4, 4), out=BATCH)


def test_cpu_arrays_take_no_stream():
    with pytest.raises(ValueError, match="stream is for CUDA arrays"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2)), 2, stream=0)


@pytest.mark.parametrize(
    ("strides", "shape", "fits"),
    [
        (None, (2, 3, 4), True),
        ((48, 16, 4), (2, 3, 4), True),
        ((999, 16, 4), (1, 3, 4), True),  # the stride of a single row means nothing
        ((0, 0, 0), (2, 0, 4), True),
        ((4, 8, 24), (2, 3, 4), False),
        ((96, 32, 8), (2, 3, 4), False),
    ],
)
def test_contiguity(strides, shape, fits):
    array = Fake(shape, "<f4", strides=strides)
    if fits:
        assert cuda_arrays.read(array, "x").shape == shape
    else:
        with pytest.raises(ValueError, match="C-contiguous"):
            cuda_arrays.read(array, "x")


def handle_of(stream, *arrays):
    return cuda_arrays.stream_handle(stream, {str(i): cuda_arrays.read(a, "x") for i, a in enumerate(arrays)}, 0)


def test_streams():
    named, other = Fake((2,), stream=77), Fake((2,), stream=78)
    assert handle_of(None, FRAME) == 0
    assert handle_of(None, FRAME, named) == 77
    assert handle_of(5, named) == 5
    assert handle_of(types.SimpleNamespace(__cuda_stream__=lambda: (0, 123)), FRAME) == 123
    assert handle_of(types.SimpleNamespace(__cuda_stream__=(0, 124)), FRAME) == 124
    assert handle_of(types.SimpleNamespace(cuda_stream=9), FRAME) == 9
    assert handle_of(types.SimpleNamespace(ptr=10), FRAME) == 10
    with pytest.raises(ValueError, match="different streams"):
        handle_of(None, named, other)
    with pytest.raises(ValueError, match="version 1"):
        handle_of(types.SimpleNamespace(__cuda_stream__=(1, 124)), FRAME)
    with pytest.raises(TypeError, match="not str"):
        handle_of("default", FRAME)
    with pytest.raises(TypeError, match="not bool"):
        handle_of(True, FRAME)
    with pytest.raises(ValueError, match="no handle"):
        handle_of(-1, FRAME)


class FakeCupy(types.ModuleType):
    """As much of CuPy as streams and allocation need, remembering what it was asked."""

    def __init__(self):
        super().__init__("cupy")
        self.current, self.asked = 21, []

        class Entered:
            def __init__(entered, *where):
                entered.where = where

            def __enter__(entered):
                self.asked.append(entered.where)

            def __exit__(entered, *_):
                pass

        current = types.SimpleNamespace(ptr=self.current)
        self.cuda = types.SimpleNamespace(Device=Entered, ExternalStream=Entered, get_current_stream=lambda: current)

    def empty(self, shape, dtype):
        self.asked.append((tuple(shape), dtype))
        return Fake(tuple(shape), np.dtype(dtype).str)


def test_the_arrays_library_gives_stream_and_memory(monkeypatch):
    cupy = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = type("ndarray", (Fake,), {"__module__": "cupy"})((4, 4, 3), device=1)
    assert handle_of(None, FRAME, array) == 21
    read = cuda_arrays.read(array, "x")
    cupy.asked.clear()
    made = cuda_arrays.empty(read, [1, 3, 2, 2], "float16", 1, 21)
    assert made.__cuda_array_interface__["shape"] == (1, 3, 2, 2)
    assert cupy.asked == [(1,), ((1, 3, 2, 2), "float16")]
    cuda_arrays.empty(read, [2], "float32", 1, 99)
    assert (99, 1) in cupy.asked


class OnlyDlpack:
    """A CPU array's capsule behind a claim of device memory."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, *, stream, max_version=None):
        assert stream == -1
        return self.array.__dlpack__() if max_version is None else self.array.__dlpack__(max_version=max_version)


class OldDlpack(OnlyDlpack):
    def __dlpack__(self, *, stream):
        return self.array.__dlpack__()


@pytest.mark.parametrize("kind", [OnlyDlpack, OldDlpack])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.int64])
def test_dlpack_capsules_are_read(kind, dtype):
    array = np.zeros((5, 4, 3), dtype)[1:]
    read = cuda_arrays.read(kind(array), "x")
    assert read.described == (array.ctypes.data, [4, 4, 3], np.dtype(dtype).name, array.itemsize)
    assert not read.readonly


def test_dlpack_says_what_is_read_only_or_strided():
    array = np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match=r"x\.contiguous"):
        cuda_arrays.read(OnlyDlpack(array[:, ::2]), "x")
    array.flags.writeable = False
    try:
        array.__dlpack__(max_version=(1, 0))
    except (TypeError, BufferError):
        pytest.skip("this NumPy exports no read-only arrays by DLPack")
    with pytest.raises(ValueError, match="x is read-only"):
        cuda_arrays.read(OnlyDlpack(array), "x", written=True)


def test_torch_bfloat_is_read_by_dlpack():
    torch = pytest.importorskip("torch", reason="needs torch")
    tensor = torch.zeros((2, 4, 3), dtype=torch.bfloat16)
    for capsule in (tensor.__dlpack__(), tensor.__dlpack__(max_version=(1, 0))):
        read = _cuda.read_dlpack(capsule)
        assert (read["address"], read["shape"], read["code"], read["bits"]) == (tensor.data_ptr(), [2, 4, 3], 4, 16)
    read = cuda_arrays.read(tensor, "x")
    assert read.described == (tensor.data_ptr(), [2, 4, 3], "bfloat16", 2)
    with pytest.raises(ValueError, match=r"x\.detach\(\)"):
        cuda_arrays.read(torch.zeros(2, requires_grad=True), "x")


def test_a_used_capsule_is_refused():
    capsule = np.zeros(3).__dlpack__()
    np.from_dlpack(types.SimpleNamespace(__dlpack__=lambda **_: capsule, __dlpack_device__=lambda: (1, 0)))
    with pytest.raises(ValueError, match="used already"):
        _cuda.read_dlpack(capsule)
