"""What users ask of a video, checked, and turned into what the stages take."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.output_size import Box, output_size
from fastsr.video.codecs.codec_table import keeps_hdr, options_for_width
from fastsr.video.codecs.encoder import THREADS, EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.codecs.pixel_formats import size_multiples
from fastsr.video.sources.image_sequence import DEFAULT_RATE
from fastsr.video.sources.stream_info import StreamInfo
from fastsr.video.sources.time_range import TimeRange


def checked_file(path: Path) -> Path:
    """A path that leads to a plain file with something in it. Raises VideoError."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{path}: cannot be read ({why}); check the name") from None
    if not path.is_file():
        raise VideoError(f"{path}: is not a plain file; give a video")
    if status.st_size == 0:
        raise VideoError(f"{path}: is empty; give a video")
    return path


def checked_time_range(start: float | None, end: float | None, fps_limit: float | None) -> TimeRange:
    """The part that is wanted. Raises VideoError for times that contain nothing."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not 0 <= value < 1e9:
            raise VideoError(f"{name} {value} is not a number of seconds from the begin of the video")
    if start is not None and end is not None and start >= end:
        raise VideoError(f"start {start:g} is not before end {end:g}")
    if fps_limit is not None and not 0 < fps_limit < 1e6:
        raise VideoError(f"fps limit {fps_limit} is not a number of frames a second")

    def exact(value: float | None) -> Fraction | None:
        return None if value is None else Fraction(str(value))

    return TimeRange(exact(start), exact(end), exact(fps_limit))


def checked_rate(fps: float | None) -> Fraction:
    """Frames a second of a source that does not say it. Raises VideoError."""
    if fps is None:
        return DEFAULT_RATE
    if not 0 < fps < 1e6:
        raise VideoError(f"fps {fps} is not a number of frames a second")
    return Fraction(str(fps)).limit_denominator(1001)


def encoder_config(
    request: EncoderRequest,
    default_codec: str,
    info: StreamInfo,
    model_scale: float,
    scale: float | None,
    size: tuple[int, int] | None,
) -> EncoderConfig:
    """How the upscaled stream is encoded. Raises VideoError for what cannot be held."""
    codec, encoder, pix_fmt, options = request.resolve(default_codec, info.pix_fmt, info.hdr)
    if info.hdr is not None and not keeps_hdr(codec):
        _warn(f"{codec} holds no HDR10 metadata, so that of the display and the brightest light is lost; use hevc")
    if info.transparent:
        _warn(f"the transparency of {info.pix_fmt} is lost")
    before = (info.width, info.height)
    exact = size is not None and not isinstance(size, Box)
    after = fitted(output_size(*before, scale, size, model_scale), pix_fmt, exact=exact)
    aspect = info.aspect
    if aspect is not None and exact:  # else sides were rounded at most, which is no other shape
        aspect *= Fraction(before[0], before[1]) / Fraction(after[0], after[1])
    return EncoderConfig(
        codec=codec,
        encoder=encoder,
        pix_fmt=pix_fmt,
        size=after,
        colors=info.colors.upscaled(before, after),
        aspect=aspect,
        time_base=info.time_base,
        rate=info.rate,
        threads=THREADS,
        options=options_for_width(codec, options, after[0]),
    )


def fitted(size: tuple[int, int], pix_fmt: str, *, exact: bool) -> tuple[int, int]:
    """A size that a pixel format can have. Raises VideoError when an `exact` one cannot."""
    width, height = (-(-side // step) * step for side, step in zip(size, size_multiples(pix_fmt), strict=True))
    if exact and (width, height) != size:
        raise VideoError(f"{pix_fmt} holds no {size[0]}x{size[1]}; ask for {width}x{height}, or for --pix-fmt yuv444p")
    return width, height


def checked_segment(segment: int) -> int:
    """The number as it came. Raises VideoError for one without frames."""
    if segment < 1:
        raise VideoError(f"segment {segment} is not a number of frames")
    return segment


def check_distinct(source: Path, target: Path) -> None:
    """Raise VideoError when a result would replace its source."""
    if target.exists() and target.samefile(source):
        raise VideoError(f"{target}: the result would replace its source; choose another output")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)
