"""One source upscaled into one output: the stages run at once, or resumed from what a killed run left."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av

from fastsr import files
from fastsr.errors import VideoError
from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.outputs.segment_store import SegmentStore
from fastsr.video.pipeline.channel import Channel
from fastsr.video.pipeline.pace import Pace
from fastsr.video.pipeline.progress import Progress, ProgressCallback, VideoResult
from fastsr.video.pipeline.stages import CAPACITY, Pipeline, StageTimes
from fastsr.video.pipeline.upscale_stage import FrameUpscaler, UpscaleStage
from fastsr.video.sources.frame_source import FrameSource

EncodeStage = Callable[[Iterable[Frame]], None]


@dataclasses.dataclass(frozen=True)
class MadeElsewhere:
    """What was made of a job without its own stages.

    Attributes:
        repeated: frames that equal the one before.
        damaged: packets that could not be decoded.
        busy: seconds that all stages worked.

    """

    repeated: int
    damaged: int
    busy: StageTimes


@dataclasses.dataclass(frozen=True)
class Job:
    """What is made of which source, and how.

    Attributes:
        source: gives the frames.
        upscaler: upscales them.
        size: of the result, width and height.
        settings: all else that the result depends on, for JSON.
        progress: called after every frame; None = nobody asks.
        pace: tells how frames were made in time; None = they have no deadline.

    """

    source: FrameSource
    upscaler: FrameUpscaler
    size: tuple[int, int]
    settings: dict[str, Any]
    progress: ProgressCallback | None = None
    pace: Callable[[], Pace] | None = None

    def run(self, encode: EncodeStage, capacity: int = CAPACITY, decoded: Channel[Frame] | None = None) -> VideoResult:
        """Make all frames and hand them to `encode`, which keeps nothing for another run.

        `capacity` and `decoded`: of the queues, as for `Pipeline`.
        """
        upscaling = UpscaleStage(self.upscaler, self.size)
        made = 0

        def counted(frames: Iterable[Frame]) -> Iterator[Frame]:
            nonlocal made
            for frame in frames:
                yield frame
                made += 1

        pipeline: Pipeline[Frame, Frame] = Pipeline(self.source.name, self.source.stop, capacity, decoded)
        busy = self._run_stages(pipeline, None, upscaling, lambda frames: encode(counted(frames)))
        pace = None if self.pace is None else self.pace()
        return self._reported(VideoResult(made, upscaling.repeated, 0, 0, busy, pace))

    def run_resumable(
        self,
        target: Path,
        encode: Callable[[SegmentStore], EncodeStage],
        finish: Callable[[SegmentStore], int],
        stopped: Callable[[SegmentStore], None] = lambda store: None,
        elsewhere: Callable[[SegmentStore], MadeElsewhere] | None = None,
    ) -> VideoResult:
        """Make what an earlier run did not, then the output.

        `encode` gives the last stage for a store. `finish` makes the output of a complete one and returns how many
        packets of the source were too damaged for it. `stopped` is called where Ctrl-C ended the work before.
        `elsewhere` fills the store in the place of the stages.
        """
        source_identity = self.source.identity()
        try:
            store = SegmentStore(target, self._identity(source_identity))
        except OSError as error:
            raise VideoError(files.write_failure(target, error)) from error
        with contextlib.closing(store):
            try:
                result = self._completed(store, encode, stopped, elsewhere)
                damaged = result.damaged + finish(store)
            except BaseException:
                if source_identity is None or store.empty:
                    store.remove()
                raise
            store.remove()
        return self._reported(dataclasses.replace(result, damaged=damaged))

    def _completed(
        self,
        store: SegmentStore,
        encode: Callable[[SegmentStore], EncodeStage],
        stopped: Callable[[SegmentStore], None],
        elsewhere: Callable[[SegmentStore], MadeElsewhere] | None,
    ) -> VideoResult:
        try:
            return self._complete(store, encode) if elsewhere is None else self._complete_elsewhere(store, elsewhere)
        except KeyboardInterrupt as error:
            if not isinstance(error.__context__, KeyboardInterrupt):  # else it was pressed again while the stages ended
                stopped(store)
            raise

    def _complete(self, store: SegmentStore, encode: Callable[[SegmentStore], EncodeStage]) -> VideoResult:
        resumed = store.packets
        upscaling = UpscaleStage(self.upscaler, self.size)
        busy = StageTimes(0, 0, 0)
        if not store.complete:
            pipeline: Pipeline[Frame, Frame] = Pipeline(self.source.name, self.source.stop)
            busy = self._run_stages(pipeline, store.resume, upscaling, encode(store))
        if not store.complete:
            raise VideoError(f"{self.source.name}: has no frame between start and end; choose other times")
        return VideoResult(store.packets, upscaling.repeated, resumed, 0, busy)

    def _complete_elsewhere(
        self, store: SegmentStore, elsewhere: Callable[[SegmentStore], MadeElsewhere]
    ) -> VideoResult:
        resumed, made = store.packets, MadeElsewhere(0, 0, StageTimes(0, 0, 0))
        if not store.complete:
            made = elsewhere(store)
        return VideoResult(store.packets, made.repeated, resumed, made.damaged, made.busy)

    def _run_stages(
        self,
        pipeline: Pipeline[Frame, Frame],
        resume: ResumePoint | None,
        upscaling: UpscaleStage,
        encode: EncodeStage,
    ) -> StageTimes:
        source, progress = self.source, self.progress
        ticks, done = source.info.time_base, resume.index if resume else 0
        begun = time.perf_counter()

        def followed(frames: Iterable[Frame]) -> Iterator[Frame]:
            first: int | None = None
            for count, frame in enumerate(frames, 1):
                yield frame
                first = frame.pts if first is None else first
                if progress is not None:
                    shown = float((frame.pts - first + frame.duration) * ticks)
                    pace = None if self.pace is None else self.pace()
                    progress(Progress(done + count, source.info.frames, shown, time.perf_counter() - begun, pace))

        return pipeline.run(source.frames(resume), upscaling, lambda frames: encode(followed(frames)))

    def _reported(self, result: VideoResult) -> VideoResult:
        damaged = result.damaged + self.source.damaged
        if damaged:
            warnings.warn(f"{self.source.name}: {damaged} damaged packets were left out", RuntimeWarning, stacklevel=4)
        if self.source.retimed:
            text = f"{self.source.name}: the timestamps of {self.source.retimed} frames go back; they follow at once"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
        return dataclasses.replace(result, damaged=damaged)

    def _identity(self, source: list[Any] | None) -> dict[str, Any]:
        """All that the packets depend on; a source that cannot be read again equals no other."""
        return {
            "source": source or [os.getpid(), os.urandom(8).hex()],
            **self.settings,
            "upscaler": self.upscaler.fingerprint,
            "size": list(self.size),
            "pyav": av.__version__,
            "libraries": {name: list(version) for name, version in av.library_versions.items()},
        }
