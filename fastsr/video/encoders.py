"""An encoder and all that it is asked for."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from fastsr.errors import VideoError
from fastsr.video.colors import Colors
from fastsr.video.memory import SHORTAGE, has_room, is_shortage

_SMALLEST_HEVC = 64
_BYTES_A_PIXEL = 128  # what encoders with their threads take, about


@dataclasses.dataclass(frozen=True)
class Encoding:
    """An encoder and all that it is asked for.

    Attributes:
        codec: one of CODECS.
        encoder: FFmpeg's name.
        pix_fmt: FFmpeg's name.
        size: width and height.
        colors: what the stream says of its colours.
        aspect: of one sample; None = unknown.
        time_base: seconds a tick.
        rate: frames a second, on average.
        threads: of the encoder; some give other bytes with another number, so it never follows the machine.
        options: FFmpeg's options of the encoder.

    """

    codec: str
    encoder: str
    pix_fmt: str
    size: tuple[int, int]
    colors: Colors
    aspect: Fraction | None
    time_base: Fraction
    rate: Fraction
    threads: int
    options: dict[str, str]

    def description(self) -> dict[str, Any]:
        """All that the packets depend on, for JSON."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}

    def configure(self, context: VideoCodecContext) -> None:
        """Ask an encoder that is not yet open for all of it."""
        context.width, context.height = self.size
        context.pix_fmt = self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        if self.aspect is not None:
            context.sample_aspect_ratio = self.aspect
        context.color_range, context.colorspace = self.colors.range, self.colors.matrix
        context.color_primaries, context.color_trc = self.colors.primaries, self.colors.transfer
        context.thread_count = self.threads
        context.options = dict(self.options)
        context.flags |= Flags.global_header

    def open(self) -> VideoCodecContext:
        """A new encoder. Raises VideoError."""
        if self.encoder == "libx265" and min(self.size) < _SMALLEST_HEVC:
            # libx265 4.2 writes past the end of its memory there
            raise VideoError(f"hevc needs at least {_SMALLEST_HEVC} pixels a side; choose another --codec or --size")
        context = av.CodecContext.create(self.encoder, "w")
        assert isinstance(context, VideoCodecContext)
        self.configure(context)
        # SVT-AV1 prints to standard error whatever FFmpeg's own log level is
        os.environ.setdefault("SVT_LOG", "1")
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            width, height = self.size
            if is_shortage(error) or not has_room(_BYTES_A_PIXEL * width * height):  # libraries do not say which it was
                raise VideoError(f"the encoder {self.encoder} for {width}x{height}: {SHORTAGE}") from error
            raise VideoError(
                f"the encoder {self.encoder} takes no {width}x{height} {self.pix_fmt} with {self.options} ({error}); "
                "choose another --codec, --pix-fmt or --size"
            ) from error
        return context


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Fraction) else value
