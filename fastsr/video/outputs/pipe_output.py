"""The last stage for pipes: raw frames to standard output, as rgb24 or as YUV4MPEG2 (y4m)."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterable
from typing import BinaryIO

import av
import numpy as np

from fastsr.video.codecs.color_conversion import LIMITED, Colors, RgbToYuv
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.frame import Frame


class Rgb24Writer:
    """Writes height x width x 3 bytes for each frame, and nothing else."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises OSError when nobody reads."""
        for frame in frames:
            pixels = frame.pixels if frame.pixels.dtype == np.uint8 else (frame.pixels >> 8).astype(np.uint8)
            self._pipe.write(np.ascontiguousarray(pixels).data)
            self._pipe.flush()  # whoever reads shall have it whole before the next one is made


class Y4mWriter:
    """Writes a header, then every frame as it would be encoded; timestamps are lost but for the rate."""

    def __init__(self, pipe: BinaryIO, config: EncoderConfig) -> None:
        # y4m has no word for the matrix, so readers take the one that is usual at this size
        colors = Colors(range=config.colors.range or LIMITED)
        self._pipe, self._config = pipe, dataclasses.replace(config, colors=colors)

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises OSError when nobody reads."""
        unseekable = _UnseekablePipe(self._pipe)
        try:
            self._write(frames, unseekable)
        except (av.FFmpegError, OSError):
            if unseekable.failure is not None:
                raise unseekable.failure from None
            raise

    def _write(self, frames: Iterable[Frame], pipe: _UnseekablePipe) -> None:
        config = self._config
        to_yuv = RgbToYuv(config.colors, config.pix_fmt, *config.size)  # C420jpeg: chroma between columns
        options = {"strict": "experimental", "flush_packets": "1"}  # the first for more than 8 bits
        with av.open(pipe, "w", format="yuv4mpegpipe", container_options=options) as container:
            stream = container.add_stream("rawvideo", rate=config.rate)  # type: ignore[call-overload]
            config.configure(stream.codec_context)
            stream.codec_context.options = {}
            stream.codec_context.time_base = 1 / config.rate
            for count, frame in enumerate(frames):
                converted = to_yuv(frame.pixels)
                converted.pts, converted.time_base = count, 1 / config.rate
                container.mux(stream.encode(converted))
                self._pipe.flush()


class _UnseekablePipe:
    """A pipe that PyAV must not try to seek in; keeps what PyAV would only call an error in a callback, or lose."""

    name = "standard output"

    def __init__(self, pipe: BinaryIO) -> None:
        self.failure: BaseException | None = None
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        """Write all of it."""
        try:
            return self._pipe.write(data)
        except OSError as error:
            self.failure = error
            raise
        except BaseException as error:  # Ctrl-C, which PyAV prints and forgets
            self.failure = error
            raise OSError(errno.EINTR, "interrupted") from error
