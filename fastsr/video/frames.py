"""A picture on its way through the stages: its pixels and its time."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from fastsr.engines.base import Pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        index: its place among the pictures that are made, from 0.
        pts: when it is shown, in units of the track's time base.
        duration: how long, in the same units; 0 = unknown.
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
class Mark:
    """Where work goes on: the first frame that is still to be made."""

    index: int
    pts: int
    digest: int


@dataclasses.dataclass(frozen=True)
class Cut:
    """Which part of a track is wanted.

    Attributes:
        start: seconds after the track's begin; pictures before are left out.
        end: seconds after the track's begin; pictures from there on are left out.
        fps_limit: at most so many pictures a second; those that are kept keep their times.

    """

    start: Fraction | None = None
    end: Fraction | None = None
    fps_limit: Fraction | None = None

    @property
    def whole(self) -> bool:
        """Whether no time is cut off."""
        return self.start is None and self.end is None
