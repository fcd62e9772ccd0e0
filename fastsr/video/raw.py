"""Raw frames through pipes: YUV4MPEG2 (y4m), which says what it holds, or bare RGB (rgb24), which does not."""

from __future__ import annotations

import dataclasses
import os
import select
from collections.abc import Iterable
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np

from fastsr.errors import VideoError
from fastsr.video.colors import LIMITED, Colors, Writer
from fastsr.video.encoders import Encoding
from fastsr.video.frames import Frame
from fastsr.video.opening import Opening

NAME = "standard input"
_PATIENCE = 0.1  # seconds until a waiting reader looks whether it is still wanted


class PipeReader:
    """A pipe whose reader can be woken up by another thread."""

    def __init__(self, pipe: BinaryIO) -> None:
        self.name = NAME
        self._descriptor = pipe.fileno()
        self._stopped = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end and once it was stopped."""
        while not self._stopped:
            if select.select([self._descriptor], [], [], _PATIENCE)[0]:
                return os.read(self._descriptor, size)
        return b""

    def stop(self) -> None:
        """Let reads end."""
        self._stopped = True


def pipe_opening(pipe: BinaryIO, size: tuple[int, int] | None, rate: Fraction) -> Opening:
    """How to read a pipe: as rgb24 of a size (width, height) at a rate, or without a size as y4m."""
    reader = PipeReader(pipe)
    if size is None:
        return Opening(reader, NAME, "yuv4mpegpipe")
    options = {"pixel_format": "rgb24", "video_size": f"{size[0]}x{size[1]}", "framerate": str(rate)}
    return Opening(reader, NAME, "rawvideo", options)


class RgbWriter:
    """The last stage for bare frames: height x width x 3 bytes each."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises OSError when nobody reads."""
        for frame in frames:
            pixels = frame.pixels if frame.pixels.dtype == np.uint8 else (frame.pixels >> 8).astype(np.uint8)
            self._pipe.write(np.ascontiguousarray(pixels).data)
        self._pipe.flush()


class Y4mWriter:
    """The last stage for y4m: a header, then every frame as it would be encoded; times are lost but for the rate."""

    def __init__(self, pipe: BinaryIO, encoding: Encoding) -> None:
        # y4m has no word for the matrix, so readers take the one that is usual at this size
        colors = Colors(range=encoding.colors.range or LIMITED)
        self._pipe, self._encoding = pipe, dataclasses.replace(encoding, colors=colors)

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises OSError when nobody reads."""
        forward = _Forward(self._pipe)
        try:
            self._write(frames, forward)
        except av.FFmpegError:
            if forward.failure is not None:
                raise forward.failure from None
            raise
        self._pipe.flush()

    def _write(self, frames: Iterable[Frame], forward: _Forward) -> None:
        encoding = self._encoding
        colorer = Writer(encoding.colors, encoding.pix_fmt, *encoding.size)
        options = {"strict": "experimental"}  # for more than 8 bits
        with av.open(forward, "w", format="yuv4mpegpipe", container_options=options) as made:
            stream = made.add_stream("rawvideo", rate=encoding.rate)  # type: ignore[call-overload]
            encoding.configure(stream.codec_context)
            stream.codec_context.options = {}
            stream.codec_context.time_base = 1 / encoding.rate
            for count, frame in enumerate(frames):
                picture = colorer.frame(frame.pixels)
                picture.pts, picture.time_base = count, 1 / encoding.rate
                made.mux(stream.encode(picture))


class _Forward:
    """A pipe that PyAV must not try to seek in; keeps what PyAV would only call an error in a callback."""

    name = "standard output"

    def __init__(self, pipe: BinaryIO) -> None:
        self.failure: OSError | None = None
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        """Write all of it."""
        try:
            return self._pipe.write(data)
        except OSError as error:
            self.failure = error
            raise


def checked_raw_size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size as it came. Raises VideoError for one without pixels."""
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise VideoError(f"raw size {size} is not a width and a height of at least 1 pixel")
    return size
