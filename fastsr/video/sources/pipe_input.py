"""Standard input as a source of raw frames: YUV4MPEG2 (y4m), which says what it holds, or rgb24, which does not."""

from __future__ import annotations

import errno
import os
import select
from fractions import Fraction
from typing import BinaryIO

from fastsr.errors import VideoError
from fastsr.video.sources.input_spec import InputSpec

NAME = "standard input"
_POLL_INTERVAL = 0.1  # seconds until a waiting reader looks whether it is still wanted


class PipeReader:
    """A pipe whose reader can be woken up by another thread."""

    def __init__(self, pipe: BinaryIO, ahead: bytes = b"", name: str = NAME) -> None:
        """`ahead` was read from it before."""
        self.name = name
        self._pipe, self._ahead = pipe, ahead  # the pipe is kept, for it would close its descriptor
        self._descriptor = pipe.fileno()
        self.interruption: BaseException | None = None  #: Ctrl-C while it waited, which PyAV prints and forgets
        self._stopped = False

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end and once it was stopped."""
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            return piece
        try:
            while not self._stopped:
                if select.select([self._descriptor], [], [], _POLL_INTERVAL)[0]:
                    return os.read(self._descriptor, size)
        except KeyboardInterrupt as error:
            self.interruption = error
            raise OSError(errno.EINTR, "interrupted") from error
        return b""

    def stop(self) -> None:
        """Let reads end."""
        self._stopped = True


def pipe_input(pipe: BinaryIO, size: tuple[int, int] | None, rate: Fraction, ahead: bytes = b"") -> InputSpec:
    """How to read a pipe: as rgb24 of a size (width, height) at a rate, or without a size as y4m.

    `ahead` was read from it before.
    """
    reader = PipeReader(pipe, ahead)
    if size is None:
        return InputSpec(reader, NAME, "yuv4mpegpipe")
    options = {"pixel_format": "rgb24", "video_size": f"{size[0]}x{size[1]}", "framerate": str(rate)}
    return InputSpec(reader, NAME, "rawvideo", options)


def checked_raw_size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size as it came. Raises VideoError for one without pixels."""
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise VideoError(f"raw size {size} is not a width and a height of at least 1 pixel")
    return size
