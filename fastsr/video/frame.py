"""A frame on its way through the stages, one that is expected, and the one that unfinished work resumes from."""

from __future__ import annotations

import dataclasses

from fastsr.engines.protocol import Pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: its place among the frames that are made, from 0.
        pts: presentation timestamp, in units of the stream's time base.
        duration: how long it is shown, in the same units; 0 = unknown.
        key: whether the source can be decoded from here on.
        digest: CRC-32 of the source's pixels.
        pixels: H x W x 3 RGB, uint8 or uint16.

    """

    index: int
    pts: int
    duration: int
    key: bool
    digest: int
    pixels: Pixels


@dataclasses.dataclass(frozen=True)
class ResumePoint:
    """Where unfinished work is resumed: the first frame that is still to be made."""

    index: int
    pts: int
    digest: int


@dataclasses.dataclass(frozen=True)
class PlannedFrame:
    """A frame as the packets of a file announce it.

    Attributes:
        pts: presentation timestamp, in units of the stream's time base.
        key: whether the source can be decoded from here on.
        decode_from: presentation timestamp of the frame from which on it is decoded; None = the first.

    """

    pts: int
    key: bool
    decode_from: int | None
