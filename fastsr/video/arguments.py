"""What users ask of a video, checked, and turned into what the stages take."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.output_size import output_size
from fastsr.video.codecs import THREADS, Wish, choose, for_width, grid, keeps_hdr
from fastsr.video.encoders import Encoding
from fastsr.video.frames import Cut
from fastsr.video.sequence import RATE
from fastsr.video.source import Track


def checked_file(path: Path) -> Path:
    """A path that leads to a plain file with something in it. Raises VideoError."""
    try:
        there = path.stat()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{path}: cannot be read ({why}); check the name") from None
    if not path.is_file():
        raise VideoError(f"{path}: is not a plain file; give a video")
    if there.st_size == 0:
        raise VideoError(f"{path}: is empty; give a video")
    return path


def checked_cut(start: float | None, end: float | None, fps_limit: float | None) -> Cut:
    """The part that is wanted. Raises VideoError for times that contain nothing."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not 0 <= value < 1e9:
            raise VideoError(f"{name} {value} is not a number of seconds from the begin of the video")
    if start is not None and end is not None and start >= end:
        raise VideoError(f"start {start:g} is not before end {end:g}")
    if fps_limit is not None and not 0 < fps_limit < 1e6:
        raise VideoError(f"fps limit {fps_limit} is not a number of pictures a second")

    def exact(value: float | None) -> Fraction | None:
        return None if value is None else Fraction(str(value))

    return Cut(exact(start), exact(end), exact(fps_limit))


def checked_rate(fps: float | None) -> Fraction:
    """Pictures a second of a source that does not say it. Raises VideoError."""
    if fps is None:
        return RATE
    if not 0 < fps < 1e6:
        raise VideoError(f"fps {fps} is not a number of pictures a second")
    return Fraction(str(fps)).limit_denominator(1001)


def encoding_for(
    wish: Wish, default: str, track: Track, own: float, scale: float | None, size: tuple[int, int] | None
) -> Encoding:
    """How the enlarged track is encoded; `own` is the model's factor. Raises VideoError for what cannot be held."""
    codec, encoder, pix_fmt, options = choose(wish, default, track.pix_fmt, track.hdr)
    if track.hdr is not None and not keeps_hdr(codec):
        _warn(f"{codec} holds no HDR10 metadata, so that of the display and the brightest light is lost; use hevc")
    if track.transparent:
        _warn(f"the transparency of {track.pix_fmt} is lost")
    before = (track.width, track.height)
    after = fitted(output_size(*before, scale, size, own), pix_fmt, exact=size is not None)
    aspect = track.aspect
    if aspect is not None and size is not None:  # else sides were rounded at most, which is no other shape
        aspect *= Fraction(before[0], before[1]) / Fraction(after[0], after[1])
    colors = track.colors.enlarged(before, after)
    options = for_width(codec, options, after[0])
    return Encoding(codec, encoder, pix_fmt, after, colors, aspect, track.time_base, track.rate, THREADS, options)


def fitted(size: tuple[int, int], pix_fmt: str, *, exact: bool) -> tuple[int, int]:
    """A size that a pixel format can have. Raises VideoError when an `exact` one cannot."""
    steps = grid(pix_fmt)
    made = tuple(-(-side // step) * step for side, step in zip(size, steps, strict=True))
    if exact and made != size:
        raise VideoError(
            f"{pix_fmt} holds no {size[0]}x{size[1]}; ask for {made[0]}x{made[1]}, or for --pix-fmt yuv444p"
        )
    return made[0], made[1]


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
