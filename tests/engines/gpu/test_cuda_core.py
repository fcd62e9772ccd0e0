"""What of the CUDA device layer runs without a GPU: views of device arrays, page-locked blocks used again."""

import ctypes
import gc
import threading

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason='needs: pip install "fastsr[tensorrt]"')

from fastsr.engines.gpu.cuda_core import KEPT, CoreDevice, DeviceArray
from fastsr.errors import GpuMemoryError


class Block:
    """What cuda-core's allocators return, of ordinary memory."""

    def __init__(self, size):
        self.memory = (ctypes.c_uint8 * size)()
        self.handle = ctypes.addressof(self.memory)


class Host:
    def __init__(self):
        self.made = []

    def allocate(self, size):
        self.made.append(Block(size))
        return self.made[-1]


@pytest.fixture
def device():
    made = CoreDevice.__new__(CoreDevice)
    made._host, made._kept, made._lock = Host(), {}, threading.Lock()
    made._current = lambda: None
    return made


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_rows_are_views(dtype):
    array = DeviceArray((6, 4, 3), dtype, 1000, None)
    size = np.dtype(dtype).itemsize
    rows = array[2:5]
    assert (rows.shape, rows.pointer, rows.nbytes) == ((3, 4, 3), 1000 + 2 * 12 * size, 36 * size)
    assert array[:0].shape == (0, 4, 3)
    described = rows.__cuda_array_interface__
    assert described["data"] == (rows.pointer, False)
    assert (described["shape"], described["typestr"]) == ((3, 4, 3), np.dtype(dtype).str)
    with pytest.raises(IndexError, match="neighbouring"):
        array[::2]


def test_page_locked_blocks_are_used_again(device):
    first = device.pinned((4, 5, 3), np.uint16)
    first[...] = 7
    view = first[1:3]
    place = first.ctypes.data
    del first
    gc.collect()
    other = device.pinned((4, 5, 3), np.uint16)
    assert other.ctypes.data != place  # a view of the first still lives
    assert (view == 7).all()
    del view
    gc.collect()
    again = device.pinned((4, 5, 3), np.uint16)
    assert again.ctypes.data == place
    assert len(device._host.made) == 2


def test_only_some_blocks_are_kept(device):
    many = [device.pinned((8,), np.uint8) for _ in range(KEPT + 5)]
    del many
    gc.collect()
    assert len(device._kept[8]) == KEPT


def test_empty_arrays_have_an_address(device):
    assert device.pinned((0, 4, 3), np.float32).shape == (0, 4, 3)


def test_which_errors_mean_memory(device):
    assert device.is_out_of_memory(GpuMemoryError("no 3 MiB are free"))
    assert device.is_out_of_memory(RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"))
    assert not device.is_out_of_memory(RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS"))
