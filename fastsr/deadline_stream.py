"""Frames given back in time: each is made by the best of several ways whose predicted time fits into what is left."""

from __future__ import annotations

import collections
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fastsr.errors import FastsrError

RECENT = 5  # times of a rung that its next one is predicted from
REST = 25  # frames after which a rung that was too slow is tried again; doubled each time that it is too slow then too
LONGEST_REST = 800
MOST_BEHIND = 4  # deadlines: more delay is not made up for, because no source keeps that many frames back

Clock = Callable[[], float]


@dataclasses.dataclass(frozen=True)
class Rung:
    """One way to make frames: what it is called, and what makes a frame."""

    name: str
    make: Callable[[Any], Any]


class TimePredictor:
    """Predicts how long a rung takes from how long it took."""

    def __init__(self) -> None:
        self.known = False  #: whether it was used
        self._recent: collections.deque[float] = collections.deque(maxlen=RECENT)
        self._fastest = math.inf
        self._uses = self._unused = 0
        self._rest = REST

    @property
    def seconds(self) -> float:
        """The second longest of the last five times, so that one hiccup counts for nothing.

        The first time counts half, for it contains what is done only once. A rung that has not been used for a while is
        predicted by the fastest it ever was: what slowed it down may be gone.
        """
        if self._uses <= 1:
            return self._fastest / 2 if self.known else 0.0
        if self._resting_is_over:
            return self._fastest
        longest = sorted(self._recent)
        return longest[-2] if len(longest) > 2 else longest[-1]

    def used(self, seconds: float, in_time: bool) -> None:
        """The rung made a frame."""
        if self._uses > 1 and self._resting_is_over:
            self._rest = REST if in_time else min(2 * self._rest, LONGEST_REST)
            if in_time:
                self._recent.clear()
        if self._uses == 1:
            self._recent.clear()
        self.known = True
        self._recent.append(seconds)
        self._fastest = min(self._fastest, seconds)
        self._uses += 1
        self._unused = 0

    def passed_over(self) -> None:
        """Another rung made a frame."""
        self._unused += 1

    @property
    def _resting_is_over(self) -> bool:
        return self._unused >= self._rest


class DeadlineStream(Iterator[Any]):
    """An iterator of results, one for each frame and in order; it counts what made them.

    A frame's time begins when it became available. The best rung that is predicted to be in time makes it; where none
    is, the quickest does. Nothing is taken before it is worked on, so nothing queues up here.
    """

    def __init__(
        self,
        frames: Iterable[Any],
        rungs: Sequence[Rung],
        deadline: float,
        available: Clock | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`rungs`: the best first, the quickest last. `deadline`: seconds from available to made.

        `available` tells when the frame that was taken last became available. Without it, that is when it was taken;
        but where a frame was late, the source is taken to have kept the next one ready meanwhile, so that it has that
        much less time, and the delay is made up for.

        Raises FastsrError for a deadline that is no time.
        """
        if isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not 0 < deadline < math.inf:
            raise FastsrError(f"deadline {deadline!r} is not a number of seconds above 0; for 25 frames a second 0.04")
        self.made_by = dict.fromkeys((rung.name for rung in rungs), 0)
        """How many results each rung made, by its name, the best first."""
        self.late = 0
        """How many results were later than the deadline."""
        self._frames, self._rungs, self._deadline = iter(frames), rungs, deadline
        self._available, self._clock = available, clock
        self._predictors = [TimePredictor() for _ in rungs]
        self._behind = 0.0  # seconds, where nobody says when frames become available

    def __next__(self) -> Any:
        asked = self._clock()
        frame = next(self._frames)
        begun = self._clock()
        if self._available is None:
            self._behind = max(0.0, self._behind - (begun - asked))  # a source that was waited for kept nothing ready
            due = begun - self._behind + self._deadline
        else:
            due = self._available() + self._deadline
        chosen = self._choose(due - begun)
        made = self._rungs[chosen].make(frame)
        done = self._clock()
        in_time = done <= due
        for index, predictor in enumerate(self._predictors):
            if index == chosen:
                predictor.used(done - begun, in_time)
            else:
                predictor.passed_over()
        self.made_by[self._rungs[chosen].name] += 1
        self.late += not in_time
        self._behind = min(max(0.0, done - due), MOST_BEHIND * self._deadline)
        return made

    def _choose(self, left: float) -> int:
        """The rung for a frame that has `left` seconds."""
        if left > 0:
            for index, predictor in enumerate(self._predictors):
                if predictor.seconds <= left:
                    return index
        last = len(self._rungs) - 1
        if not self._predictors[last].known:
            return last
        known = [index for index, predictor in enumerate(self._predictors) if predictor.known]
        return min(known, key=lambda index: self._predictors[index].seconds)
