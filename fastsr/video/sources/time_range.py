"""The part of a video that is wanted (`start`, `end`, `fps_limit`), and which frames fall into it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction


@dataclasses.dataclass(frozen=True)
class TimeRange:
    """Which part of a stream is wanted.

    Attributes:
        start: seconds after the stream's begin; frames before are left out.
        end: seconds after the stream's begin; frames from there on are left out.
        fps_limit: at most so many frames a second; those that are kept keep their timestamps.

    """

    start: Fraction | None = None
    end: Fraction | None = None
    fps_limit: Fraction | None = None

    def identity(self) -> dict[str, str | None]:
        """Equal for equal ranges, for JSON; the keys are part of the work folder's format."""
        values = {"start": self.start, "end": self.end, "fps_limit": self.fps_limit}
        return {name: None if value is None else str(value) for name, value in values.items()}

    @property
    def whole(self) -> bool:
        """Whether no time is cut off."""
        return self.start is None and self.end is None

    def expected_frames(self, seconds: Fraction, rate: Fraction) -> int:
        """About how many frames are wanted of a stream of so many seconds at so many frames a second."""
        seconds = (seconds if self.end is None else min(seconds, self.end)) - (self.start or 0)
        return max(0, round(seconds * (min(rate, self.fps_limit) if self.fps_limit else rate)))


class FrameSelector:
    """Tells which frames of a stream are in a range; asked once for each, in order."""

    def __init__(self, time_range: TimeRange) -> None:
        self._range = time_range
        self._slot = -1

    def is_past(self, seconds: Fraction) -> bool:
        """Whether nothing is wanted from here on."""
        return self._range.end is not None and seconds >= self._range.end

    def wants(self, seconds: Fraction) -> bool:
        """Whether the frame at `seconds` after the stream's begin is wanted."""
        if self.is_past(seconds) or (self._range.start is not None and seconds < self._range.start):
            return False
        if self._range.fps_limit is not None:
            # one frame for each part of 1/limit seconds
            slot = int(seconds * self._range.fps_limit)
            if slot <= self._slot:
                return False
            self._slot = slot
        return True
