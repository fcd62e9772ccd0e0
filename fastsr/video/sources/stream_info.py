"""What is known of a video stream: its size, sample format, colours, time base and metadata."""

from __future__ import annotations

import dataclasses
import struct
from fractions import Fraction

from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fastsr.video.codecs.color_conversion import Colors, colors_of
from fastsr.video.codecs.hdr_metadata import HdrMetadata, hdr_of
from fastsr.video.sources.side_data import side_data
from fastsr.video.sources.time_range import TimeRange

_IDENTITY = struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_FALLBACK_RATE = Fraction(25)  # of streams that do not say theirs; timestamps do not depend on it


@dataclasses.dataclass(frozen=True)
class StreamInfo:
    """What is known of a video stream.

    Attributes:
        width: in pixels, before `rotation`.
        height: in pixels, before `rotation`.
        pix_fmt: FFmpeg's name of how samples are stored.
        colors: what the stream says of its colours.
        time_base: seconds a tick.
        rate: frames a second, on average.
        aspect: of one sample, width to height; None = unknown.
        begin: when the first frame of the whole stream is shown, in ticks.
        rotation: the display matrix, nine 32-bit numbers; None = shown as stored.
        hdr: HDR10's static metadata.
        transparent: whether the first frame shows what lies behind it.
        frames: how many frames are wanted, as far as the file says; None = unknown.

    """

    width: int
    height: int
    pix_fmt: str
    colors: Colors
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None = None
    begin: int = 0
    rotation: bytes | None = None
    hdr: HdrMetadata | None = None
    transparent: bool = False
    frames: int | None = None


def describe_stream(
    container: InputContainer, stream: VideoStream, first: VideoFrame, begin: int, time_range: TimeRange
) -> StreamInfo:
    """The description of a stream whose first frame was decoded and is shown at `begin`."""
    rate = stream.average_rate or stream.guessed_rate or stream.codec_context.framerate or _FALLBACK_RATE
    time_base = stream.time_base or 1 / rate
    carried = side_data(first)
    rotation = carried.get(Type.DISPLAYMATRIX)
    return StreamInfo(
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        colors=colors_of(first),
        time_base=time_base,
        rate=rate,
        aspect=stream.sample_aspect_ratio or None,
        begin=begin,
        rotation=None if rotation == _IDENTITY else rotation,
        hdr=hdr_of(carried),
        transparent=_is_transparent(first),
        frames=_expected_frames(container, stream, rate, time_base, time_range),
    )


def _expected_frames(
    container: InputContainer, stream: VideoStream, rate: Fraction, time_base: Fraction, time_range: TimeRange
) -> int | None:
    if time_range.whole and time_range.fps_limit is None and stream.frames:
        return stream.frames
    seconds = None if not stream.duration else stream.duration * time_base
    if seconds is None and container.duration:
        seconds = Fraction(container.duration, 1_000_000)
    if seconds is None:
        seconds = time_range.end
    return None if seconds is None else time_range.expected_frames(seconds, rate)


def _is_transparent(frame: VideoFrame) -> bool:
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool((frame.to_ndarray(format="rgba")[..., 3] < 255).any())
