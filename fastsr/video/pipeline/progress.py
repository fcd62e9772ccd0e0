"""How far a video is, and what was made in the end, as callers of `upscale_video` are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from fastsr.video.pipeline.pace import Pace
from fastsr.video.pipeline.stages import StageTimes


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a video is.

    Attributes:
        frames: made so far, those of an earlier run included.
        total: to be made; None = unknown.
        shown: seconds of video made by this run.
        elapsed: seconds that this run took so far.
        pace: which models have made the frames, where each has a deadline; else None.

    """

    frames: int
    total: int | None
    shown: float
    elapsed: float
    pace: Pace | None = None

    @property
    def real_time_factor(self) -> float:
        """Seconds of video made in a second: 1 = as fast as it plays."""
        return self.shown / self.elapsed if self.elapsed > 0 else 0.0


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What was made.

    Attributes:
        frames: of the result, as many as were decoded of the part that was asked for.
        repeated: those of them that equal the one before and were not computed again (in this run).
        resumed: those that an earlier run had made.
        damaged: packets of the input that could not be decoded or copied.
        busy: seconds that the stages worked in this run.
        pace: which models have made the frames, where each has a deadline; else None.

    """

    frames: int
    repeated: int
    resumed: int
    damaged: int
    busy: StageTimes
    pace: Pace | None = None


ProgressCallback = Callable[[Progress], None]
