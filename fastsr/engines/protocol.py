"""What an engine is: the protocols that every part of fastsr may rely on, and the words that users choose one by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy.typing as npt

Pixels = npt.NDArray[Any]
Progress = Callable[[int, int], None]  # (tiles or parts of the work done, in all); what it raises ends the run

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Device = Literal["auto", "cpu", "cuda"]
EngineName = Literal["auto", "cpu", "onnxruntime", "torch", "tensorrt", "onnx"]

PRECISIONS: tuple[str, ...] = get_args(Precision)
DEVICES: tuple[str, ...] = get_args(Device)


class Engine(Protocol):
    """Built for one Graph at one precision; safe to call from several threads."""

    @property
    def name(self) -> str:
        """As in the registry."""
        ...

    @property
    def precision(self) -> str:
        """One of PRECISIONS, but "auto"."""
        ...

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """H x W x C pixels (C-contiguous; uint8, uint16 or float32 in 0..1) to `scale` times as high and wide."""
        ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine that overlaps the copies of one frame with the computing of another."""

    def stream(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """Each frame as `run` makes it, in order; the next is taken while one is computed."""
        ...


@runtime_checkable
class DeviceEngine(Engine, Protocol):
    """An engine that takes arrays which lie on its GPU already."""

    @property
    def gpu(self) -> int:
        """Number of the GPU that it runs on."""
        ...

    def run_on_device(self, frame: Any, shape: tuple[int, int, int], out: Any, stream: Any) -> None:
        """Enlarge `frame`, an H x W x C device array, into `out`, in order on `stream`; the host does not wait."""
        ...


class GpuEngine(StreamingEngine, DeviceEngine, Protocol):
    """What all engines on a GPU offer."""
