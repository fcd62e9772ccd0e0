"""A picture on its way through the stages: its pixels and its time."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

from fastsr.engines.protocol import Pixels


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

    def description(self) -> dict[str, str | None]:
        """For JSON."""
        given = {"start": self.start, "end": self.end, "fps_limit": self.fps_limit}
        return {name: None if value is None else str(value) for name, value in given.items()}

    @property
    def whole(self) -> bool:
        """Whether no time is cut off."""
        return self.start is None and self.end is None

    def expected(self, seconds: Fraction, rate: Fraction) -> int:
        """About how many pictures are wanted of a track of so many seconds at so many pictures a second."""
        seconds = (seconds if self.end is None else min(seconds, self.end)) - (self.start or 0)
        return max(0, round(seconds * (min(rate, self.fps_limit) if self.fps_limit else rate)))


class Chooser:
    """Tells which pictures of a track a cut wants; asked once for each, in order."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._slot = -1

    def is_past(self, seconds: Fraction) -> bool:
        """Whether nothing is wanted from here on."""
        return self._cut.end is not None and seconds >= self._cut.end

    def wants(self, seconds: Fraction) -> bool:
        """Whether the picture at `seconds` after the track's begin is wanted."""
        if self.is_past(seconds) or (self._cut.start is not None and seconds < self._cut.start):
            return False
        if self._cut.fps_limit is not None:
            # one picture for each part of 1/limit seconds
            slot = int(seconds * self._cut.fps_limit)
            if slot <= self._slot:
                return False
            self._slot = slot
        return True
