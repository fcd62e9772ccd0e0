"""An encoder with all of its settings, ready to be opened."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from fastsr.errors import VideoError
from fastsr.video.codecs.codec_table import CODEC_TABLE, FFmpegOptions
from fastsr.video.codecs.color_conversion import Colors, RgbToYuv
from fastsr.video.memory_shortage import SHORTAGE, can_allocate, is_shortage

THREADS = 8  # of every encoder, whatever the machine: x264 and libvpx give other bytes with another number
_SMALLEST_HEVC = 64
_BYTES_PER_PIXEL = 128  # what encoders with their threads take, about


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """An encoder and all of its settings.

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
    options: FFmpegOptions

    def identity(self) -> dict[str, Any]:
        """All that the packets depend on, for JSON; the keys are part of the work folder's format."""
        return {
            "codec": self.codec,
            "encoder": self.encoder,
            "pix_fmt": self.pix_fmt,
            "size": list(self.size),
            "colors": {
                "matrix": self.colors.matrix,
                "range": self.colors.range,
                "primaries": self.colors.primaries,
                "transfer": self.colors.transfer,
            },
            "aspect": None if self.aspect is None else str(self.aspect),
            "time_base": str(self.time_base),
            "rate": str(self.rate),
            "threads": self.threads,
            "options": dict(self.options),
        }

    def converter(self) -> RgbToYuv:
        """What makes the encoder's frames of pixels."""
        return RgbToYuv(self.colors, self.pix_fmt, *self.size, chroma_left=CODEC_TABLE[self.codec].chroma_left)

    def configure(self, context: VideoCodecContext) -> None:
        """Give an encoder that is not yet open all of its settings."""
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
            # libraries do not say which it was
            if is_shortage(error) or not can_allocate(_BYTES_PER_PIXEL * width * height):
                raise VideoError(f"the encoder {self.encoder} for {width}x{height}: {SHORTAGE}") from error
            raise VideoError(
                f"the encoder {self.encoder} takes no {width}x{height} {self.pix_fmt} with {self.options} ({error}); "
                "choose another --codec, --pix-fmt or --size"
            ) from error
        return context
