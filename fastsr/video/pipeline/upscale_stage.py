"""The middle stage: frames through an upscaler; equal frames that follow each other are upscaled once."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from fastsr.engines.protocol import Pixels, Progress
from fastsr.video.frame import Frame
from fastsr.video.pipeline.channel import Channel

_NOTHING: Pixels = np.empty((0, 0, 3), np.uint8)


class FrameUpscaler(Protocol):
    """What the stage needs of `fastsr.Upscaler`."""

    @property
    def name(self) -> str:
        """Model name."""
        ...

    @property
    def fingerprint(self) -> str:
        """Equal for upscalers that make equal results."""
        ...

    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Iterator[Any]:
        """H x W x 3 pixels to larger ones, lazily and in order."""
        ...


class UpscaleStage:
    """Turns frames into upscaled ones of a size (width, height)."""

    def __init__(self, upscaler: FrameUpscaler, size: tuple[int, int]) -> None:
        self.repeated = 0  #: frames that equal the one before, whose result was taken again
        self._upscaler, self._size = upscaler, size

    def __call__(self, frames: Iterable[Frame], put: Callable[[Frame], None]) -> None:
        """Upscale all, in order, and hand each to `put`."""
        made: Pixels = _NOTHING
        # what the upscaler has taken and not yet given back, each followed by the repeats behind it
        waiting: collections.deque[list[Frame]] = collections.deque()

        def fresh() -> Iterator[Pixels]:
            before: Frame | None = None
            for frame in frames:
                if before is not None and _equal(frame, before):
                    self.repeated += 1
                    repeat = dataclasses.replace(frame, pixels=_NOTHING)
                    if waiting:
                        waiting[-1].append(repeat)
                    else:
                        put(dataclasses.replace(repeat, pixels=made))
                    continue
                before = frame
                waiting.append([dataclasses.replace(frame, pixels=_NOTHING)])
                yield frame.pixels

        # a frame may take minutes, of which nobody waits for the end when the work is given up
        check = frames.check if isinstance(frames, Channel) else None
        for result in self._upscaler.stream(fresh(), size=self._size, progress=check):
            made = result
            for frame in waiting.popleft():
                put(dataclasses.replace(frame, pixels=made))


def _equal(a: Frame, b: Frame) -> bool:
    return a.digest == b.digest and np.array_equal(a.pixels, b.pixels)
