"""Where segments of a video begin, by the rule of the encoder, before a frame of it is decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fastsr.video.frame import PlannedFrame, ResumePoint
from fastsr.video.outputs.segmented_encoder import segment_ends


@dataclasses.dataclass(frozen=True)
class PlannedSegment:
    """A segment that is to be made.

    Attributes:
        index: of its first frame, from 0.
        first: that frame.
        exact: the same frame as it was decoded; None = it has not been.

    """

    index: int
    first: PlannedFrame
    exact: ResumePoint | None = None


def planned_segments(frames: Sequence[PlannedFrame], length: int, resume: ResumePoint | None) -> list[PlannedSegment]:
    """The segments of a video of such frames, or those from `resume` on; empty where that is none of them.

    `length`: see `segmented_encoder.SEGMENT`.
    """
    begin = 0
    if resume is not None:
        begin = next((number for number, frame in enumerate(frames) if frame.pts == resume.pts), len(frames))
    shift = 0 if resume is None else resume.index - begin
    segments, start = [], begin
    for number in range(begin, len(frames)):
        if number == begin or segment_ends(number - start, frames[number].key, length):
            start = number
            exact = resume if number == begin else None
            segments.append(PlannedSegment(number + shift, frames[number], exact))
    return segments
