"""Frames made in time: an upscaler with a deadline for the stages, and what became of the frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from fastsr.deadline_stream import Clock, DeadlineStream
from fastsr.engines.protocol import Progress
from fastsr.upscaler import Upscaler, in_time

USUAL_RATES = (1, 240)  # frames a second; streams that say others count something else
_FALLBACK_RATE = 25


@dataclasses.dataclass(frozen=True)
class Pace:
    """How frames were made in time.

    Attributes:
        made_by: how many each model made, by its name, the best first; the last is interpolation. Frames that equal the
            one before are made by none.
        late: how many of them were late nevertheless.
        dropped: how many frames of a source that does not wait were left out before.

    """

    made_by: dict[str, int]
    late: int
    dropped: int

    def __str__(self) -> str:
        parts = [f"{count} by {name}" for name, count in self.made_by.items() if count]
        parts += [f"{self.late} late"] if self.late else []
        parts += [f"{self.dropped} left out"] if self.dropped else []
        return ", ".join(parts) or "no frame"


class TimedUpscaler:
    """A `FrameUpscaler` that makes each frame within a deadline."""

    def __init__(self, upscaler: Upscaler, deadline: float, available: Clock | None = None) -> None:
        """`available`: as for `DeadlineStream`."""
        self.name, self.fingerprint = upscaler.name, f"{upscaler.fingerprint} within {deadline:g} s"
        self._upscaler, self._deadline, self._available = upscaler, deadline, available
        self._stream: DeadlineStream | None = None

    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        progress: Progress | None = None,
    ) -> Iterator[Any]:
        """H x W x 3 pixels to larger ones, lazily and in order."""
        self._stream = in_time(self._upscaler, frames, scale, size, self._deadline, self._available, progress)
        return self._stream

    def pace(self, dropped: int) -> Pace:
        """What became of the frames so far; may be asked from another thread."""
        if self._stream is None:
            return Pace({}, 0, dropped)
        return Pace(dict(self._stream.made_by), self._stream.late, dropped)


def frame_deadline(rate: float) -> float:
    """Seconds that each frame of a stream has: as long as it is shown."""
    return 1 / (rate if USUAL_RATES[0] <= rate <= USUAL_RATES[1] else _FALLBACK_RATE)
