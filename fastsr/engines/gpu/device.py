"""What the frame engine asks of a GPU and of a network on it; each runtime implements these protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy.typing as npt

Array = Any  # on the device: what `Device.empty` makes, or a caller's own (see fastsr.ops.cuda_arrays)


class Device(Protocol):
    """Memory, streams and graphs of one GPU, by a library made for them. Usable from any thread."""

    index: int  # of the GPU

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An uninitialised array on the device; slices of its first axis are views."""
        ...

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An uninitialised page-locked array on the host."""
        ...

    def stream(self) -> Any:
        """A new queue of work."""
        ...

    def copy(self, target: Any, source: Any, stream: Any) -> None:
        """Queue a copy between a page-locked array and a device array of the same shape and dtype, either way."""
        ...

    def record(self, stream: Any) -> Any:
        """An event that happens once what is queued so far is done."""
        ...

    def wait(self, stream: Any, event: Any) -> None:
        """Let what is queued from now on wait for an event."""
        ...

    def sync(self, event: Any) -> None:
        """Block until an event has happened."""
        ...

    def capture(self, work: Callable[[], None], stream: Any) -> Callable[[], None]:
        """Record what `work` queues on `stream`, without running it; the result queues it again in one call."""
        ...

    def free_memory(self) -> int:
        """Bytes that could be allocated now."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether `error` says that device memory ran out."""
        ...

    def release(self) -> None:
        """Give memory that is held but not used back to the device."""
        ...


class Prepared(Protocol):
    """A network ready for batches of one shape."""

    @property
    def x(self) -> Array:
        """What to fill: N x C x h x w, or N x h x w x C with layout "NHWC"."""
        ...

    def run(self, stream: Any) -> Array:
        """Queue the network on `x`; returns where its output will be, until the next run."""
        ...


class Network(Protocol):
    """A generator (or what `without_output_head` left of it) on one GPU."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of the batches."""
        ...

    @property
    def layout(self) -> str:
        """Of the batches: "NCHW" or "NHWC"."""
        ...

    @property
    def limits(self) -> tuple[int, int, int]:
        """The largest batch, height and width."""
        ...

    def need(self, batch: int, height: int, width: int) -> int:
        """Bytes of device memory that a batch of this shape takes, as measured; nothing is prepared from then on."""
        ...

    def prepare(self, batch: int, height: int, width: int) -> Prepared:
        """Get ready for a shape; what was prepared before may not be used any more."""
        ...
