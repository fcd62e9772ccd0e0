"""Memory, streams and graphs of a GPU by cuda-core, for engines that need no PyTorch; see `gpu.device.Device`."""

from __future__ import annotations

import ctypes
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import driver
from cuda.core import Buffer, Device, Event, LegacyPinnedMemoryResource, Stream

from fastsr.errors import GpuMemoryError

KEPT = 8  # page-locked blocks of one size that wait for their next use


class DeviceArray:
    """A C-contiguous array in device memory, for whatever reads `__cuda_array_interface__`."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, pointer: int, owner: Buffer) -> None:
        self.shape, self.dtype, self.pointer, self.owner = shape, np.dtype(dtype), pointer, owner

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        data = (self.pointer, False)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "strides": None, "version": 3}

    def __getitem__(self, rows: slice) -> DeviceArray:
        """A view of some rows (of the first axis)."""
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise IndexError("only neighbouring rows of a device array can be viewed")
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return DeviceArray((max(0, stop - start), *self.shape[1:]), self.dtype, self.pointer + start * row, self.owner)


class CoreDevice:
    """See `gpu.device.Device`."""

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self._device = Device(index)
        self._current()
        self._memory = self._device.create_stream()  # orders allocations
        self._host = LegacyPinnedMemoryResource()
        self._kept: dict[int, list[Buffer]] = {}
        self._lock = threading.Lock()

    def _current(self) -> None:
        """CUDA's notion of the device in use belongs to a thread, and any thread may call."""
        self._device.set_current()

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        self._current()
        buffer = self._device.allocate(max(1, math.prod(shape) * np.dtype(dtype).itemsize), stream=self._memory)
        self._memory.sync()  # usable on every stream from here on
        return DeviceArray(shape, dtype, int(buffer.handle), buffer)

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
        with self._lock:
            kept = self._kept.get(size)
            buffer = kept.pop() if kept else None
        if buffer is None:
            self._current()
            buffer = self._host.allocate(size)
        block = (ctypes.c_uint8 * size).from_address(int(buffer.handle))
        weakref.finalize(block, self._keep, size, buffer)  # page-locking takes longer than a frame does
        filled: npt.NDArray[np.uint8] = np.ctypeslib.as_array(block)[: math.prod(shape) * np.dtype(dtype).itemsize]
        return filled.view(dtype).reshape(shape)

    def _keep(self, size: int, buffer: Buffer) -> None:
        with self._lock:
            kept = self._kept.setdefault(size, [])
            if len(kept) < KEPT:
                kept.append(buffer)

    def stream(self) -> Stream:
        self._current()
        return self._device.create_stream()

    def copy(self, target: Any, source: Any, stream: Stream) -> None:
        self._current()
        _view(target).copy_from(_view(source), stream=stream)

    def record(self, stream: Any) -> Event:
        self._current()
        return _stream(stream).record()

    def wait(self, stream: Any, event: Event) -> None:
        self._current()
        _stream(stream).wait(event)

    def sync(self, event: Event) -> None:
        event.sync()

    def capture(self, work: Callable[[], None], stream: Stream) -> Callable[[], None]:
        self._current()
        builder = stream.create_graph_builder().begin_building("thread_local")
        try:
            work()
        finally:
            builder.end_building()
        graph = builder.complete()

        def launch() -> None:
            self._current()
            graph.launch(stream)

        return launch

    def free_memory(self) -> int:
        self._current()
        error, free, _ = driver.cuMemGetInfo()
        if error != driver.CUresult.CUDA_SUCCESS:
            raise RuntimeError(f"the CUDA driver does not tell how much memory is free ({error})")
        return int(free)

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, GpuMemoryError) or "OUT_OF_MEMORY" in str(error).upper().replace(" ", "_")

    def release(self) -> None:
        self._device.sync()  # what was freed in stream order is free then


def _view(array: Any) -> Buffer:
    if isinstance(array, DeviceArray):
        return Buffer.from_handle(array.pointer, array.nbytes, owner=array.owner)
    return Buffer.from_handle(array.ctypes.data, array.nbytes, owner=array)


def _stream(stream: Any) -> Stream:
    """A stream of our own, or a caller's (an int handle, or what has `__cuda_stream__`)."""
    if isinstance(stream, Stream):
        return stream
    return Stream.from_handle(stream if isinstance(stream, int) else stream.__cuda_stream__()[1])
