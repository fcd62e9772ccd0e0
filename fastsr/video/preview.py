"""Comparisons: bicubic on the left, the model on the right, as a clip or as a strip of frames."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastsr import images
from fastsr.engines.protocol import Progress
from fastsr.loading import load
from fastsr.video.frame import Frame
from fastsr.video.pipeline.upscale_stage import FrameUpscaler
from fastsr.video.sources.frame_source import FrameSource
from fastsr.video.sources.time_range import TimeRange

SECONDS = 5  # of a clip, where no end is given
ROWS = 4  # frames of a strip


class SideBySide:
    """An upscaler whose frames are twice as wide: bicubic | another one's."""

    def __init__(self, upscaler: FrameUpscaler) -> None:
        self.name = f"bicubic | {upscaler.name}"
        self.fingerprint = f"bicubic | {upscaler.fingerprint}"
        self._left, self._right = load("bicubic"), upscaler

    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Iterator[Any]:
        """H x W x 3 pixels to frames of `size` (width, height) that hold both."""
        assert size is not None
        half = size[0] // 2, size[1]
        first, second = itertools.tee(frames)
        made = zip(
            self._left.stream(first, size=half), self._right.stream(second, size=half, progress=progress), strict=True
        )
        return (np.concatenate(both, axis=1) for both in made)


def shortened(wanted: TimeRange) -> TimeRange:
    """The part of a video that a preview shows."""
    if wanted.end is not None:
        return wanted
    return TimeRange(wanted.start, (wanted.start or Fraction(0)) + SECONDS, wanted.fps_limit)


def write_strip(
    first_frame_from: Callable[[Fraction], Frame | None],
    span: tuple[Fraction, Fraction],
    upscaler: FrameUpscaler,
    size: tuple[int, int],
    target: Path,
) -> int:
    """Write one image with rows of `size`, of moments spread over `span` (seconds); returns how many rows.

    `first_frame_from` gives the first frame at or after a time. Raises ImageError when it cannot be written.
    """
    start, end = span
    times = [start + (end - start) * row / ROWS for row in range(ROWS)]
    found = [frame for frame in map(first_frame_from, times) if frame is not None]
    distinct = list({frame.pts: frame for frame in found}.values())
    rows = list(upscaler.stream((frame.pixels for frame in distinct), size=size))
    strip = np.concatenate(rows, axis=0)
    image = images.read(strip)
    images.write(image, image.frames, target)
    return len(rows)


def first_of(source: FrameSource) -> Frame | None:
    """The first wanted frame of a source, which is closed then."""
    with contextlib.closing(source):
        return next(source.frames(), None)
