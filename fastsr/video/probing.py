"""What a video file is, before any of it is decoded; and single frames of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av

from fastsr.engines.protocol import Pixels
from fastsr.errors import VideoError
from fastsr.video.arguments import checked_file, checked_rate, checked_time_range
from fastsr.video.request import Input
from fastsr.video.sources.input_spec import file_input, main_video_stream


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What a file says of its video.

    Attributes:
        width: pixels, as stored.
        height: pixels.
        seconds: how long it is; None = the file does not say it.

    """

    width: int
    height: int
    seconds: float | None


def facts_of(path: str | os.PathLike[str]) -> VideoFacts:
    """What a video file says of itself. Raises VideoError for a file that is none."""
    with contextlib.closing(file_input(checked_file(Path(path))).open()) as container:
        stream = main_video_stream(container, os.fspath(path))
        seconds: Fraction | float | None = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = stream.duration * stream.time_base
        elif container.duration is not None:
            seconds = container.duration / av.time_base
        return VideoFacts(stream.width, stream.height, None if seconds is None else float(seconds))


def still_of(path: str | os.PathLike[str], at: float = 0) -> Pixels:
    """One frame of a video file, upright: H x W x 3, uint8 or, of more than 8 bits, uint16.

    Args:
        path: of the file.
        at: seconds from the first frame; the first frame from there on, or the very first where there is none.

    Raises:
        VideoError: the file is no video, or no frame of it can be decoded.

    """
    given = Input(os.fspath(path), deinterlace=True, rate=checked_rate(None), raw_size=None)
    for start in (at, 0.0):
        with contextlib.closing(given.open(checked_time_range(start, None, None), upright=True)) as source:
            frame = next(source.frames(), None)
            if frame is not None:
                return frame.pixels
    raise VideoError(f"{os.fspath(path)}: has no frame that can be shown")
