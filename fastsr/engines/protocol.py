"""What an engine is: the protocols that every part of fastsr may rely on, and the words that users choose one by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from fastsr.tiling.bounds import amount
from fastsr.tiling.frame_part import FramePart

Pixels = npt.NDArray[Any]
PixelwiseMap = Callable[[Pixels], Pixels]  # makes of each pixel another one, whatever is beside it
Progress = Callable[[int, int], None]  # (tiles or parts of the work done, in all); what it raises ends the run

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Device = Literal["auto", "cpu", "cuda"]
EngineName = Literal["auto", "cpu", "onnxruntime", "openvino", "torch", "tensorrt", "onnx"]

PRECISIONS: tuple[str, ...] = get_args(Precision)
DEVICES: tuple[str, ...] = get_args(Device)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a frame would cost, foretold from its size."""

    part: tuple[int, int]
    """Width and height of the parts that it is cut into, without what they compute twice."""
    parts: int
    """How many there are."""
    memory: int
    """Bytes that are held at once beyond the frame, its result and the weights, about."""
    twice: float
    """Share of the work that is done more than once, because the parts' borders overlap: 0.14 is 14% more work."""

    def __str__(self) -> str:
        taken = f"about {amount(self.memory)} of memory"
        if self.parts == 1:
            return f"in one part: {taken}"
        width, height = self.part
        return f"in {self.parts} parts of {width}x{height}: {self.twice:.0%} of the work done twice, {taken}"


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
class ForetellingEngine(Engine, Protocol):
    """An engine that knows beforehand how it would cut a frame."""

    def estimate(self, height: int, width: int, part: FramePart | None = None) -> Estimate:
        """What a frame of this size costs, or a part of it. Raises EngineError where the memory does not suffice."""
        ...


@runtime_checkable
class PartialEngine(Engine, Protocol):
    """An engine that enlarges a part of a frame, to what `run` makes of it in the whole frame."""

    def part_bands(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Iterator[Pixels]:
        """The enlargement of a part, in bands of rows from above.

        `convert` makes what `run` takes, of `dtype`, from H x W x any rows and columns of the frame; only those that
        the part depends on are converted.
        """
        ...


@runtime_checkable
class BandedEngine(Engine, Protocol):
    """An engine that gives a frame's rows back as it makes them, so that nobody has to hold all of them."""

    def bands(self, pixels: Pixels, dtype: np.dtype[Any], progress: Progress | None = None) -> Iterator[Pixels]:
        """What `run` makes of `pixels`, or of the same pixels as float32 in 0..1, in bands of rows from above.

        `dtype` is that of the result: that of `pixels`, or float32.
        """
        ...


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine that overlaps the copies of one frame with the computing of another."""

    def stream(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """Each frame as `run` makes it, in order; the next is taken while one is computed."""
        ...


@runtime_checkable
class StreamReusingEngine(Engine, Protocol):
    """An engine that does not compute again what a frame has in common with the one before."""

    def for_stream(self) -> Engine:
        """An engine for the frames of one stream, in order, from one thread at a time; it makes the same bytes."""
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


class GpuEngine(StreamingEngine, DeviceEngine, PartialEngine, Protocol):
    """What all engines on a GPU offer."""


def counted(progress: Progress | None, runs: int) -> Iterator[Progress | None]:
    """One callback per engine run; together they count to the end of all `runs`."""
    for run in range(runs):
        if progress is None:
            yield None
        else:
            yield lambda done, total, run=run: progress(run * total + done, runs * total)  # type: ignore[misc]
