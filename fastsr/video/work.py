"""A source on its way into an output: the three stages, what a killed run left, and how far it is."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import av

from fastsr import files
from fastsr.errors import VideoError
from fastsr.video.enlarging import Enlarging, FrameUpscaler
from fastsr.video.frames import Frame, Mark
from fastsr.video.pipeline import Busy, Pipeline
from fastsr.video.segments import Store
from fastsr.video.source import Track


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a video is.

    Attributes:
        frames: made so far, those of an earlier run included.
        total: to be made; None = unknown.
        shown: seconds of video made by this run.
        elapsed: seconds that this run took so far.

    """

    frames: int
    total: int | None
    shown: float
    elapsed: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of video made in a second: 1 = as fast as it plays."""
        return self.shown / self.elapsed if self.elapsed > 0 else 0.0


@dataclasses.dataclass(frozen=True)
class VideoResult:
    """What was made.

    Attributes:
        frames: pictures of the result, as many as were decoded of the part that was asked for.
        repeated: those of them that equal the one before and were not computed again (in this run).
        resumed: those that an earlier run had made.
        damaged: packets of the input that could not be decoded or copied.
        busy: seconds that the stages worked in this run.

    """

    frames: int
    repeated: int
    resumed: int
    damaged: int
    busy: Busy


class Source(Protocol):
    """Where frames come from."""

    name: str
    track: Track
    damaged: int
    squeezed: int

    def frames(self, mark: Mark | None = None) -> Iterator[Frame]:
        """The wanted frames, from `mark` on where one is given."""
        ...

    def identity(self) -> list[Any] | None:
        """Equal for what is the same as before; None for what cannot be read again."""
        ...

    def check_unchanged(self) -> None:
        """Raise VideoError when what would be read again is another file by now."""
        ...

    def stop(self) -> None:
        """End a wait for frames that another thread is in."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


Follow = Callable[[Progress], None]
Encode = Callable[[Iterable[Frame]], None]


@dataclasses.dataclass(frozen=True)
class Job:
    """What is made of which source, and how.

    Attributes:
        source: gives the frames.
        upscaler: enlarges them.
        size: of the result, width and height.
        settings: all else that the result depends on, for JSON.
        progress: called after every frame; None = nobody asks.

    """

    source: Source
    upscaler: FrameUpscaler
    size: tuple[int, int]
    settings: dict[str, Any]
    progress: Follow | None = None

    def pass_on(self, encode: Encode) -> VideoResult:
        """Make all frames and hand them to `encode`, which keeps nothing for another run."""
        enlarging = Enlarging(self.upscaler, self.size)
        made = 0

        def counted(frames: Iterable[Frame]) -> Iterator[Frame]:
            nonlocal made
            for frame in frames:
                yield frame
                made += 1

        busy = self._run(None, enlarging, lambda frames: encode(counted(frames)))
        return self._result(VideoResult(made, enlarging.repeated, 0, 0, busy))

    def keep(self, target: Path, encode: Callable[[Store], Encode], finish: Callable[[Store], int]) -> VideoResult:
        """Make what an earlier run did not, then the output.

        `encode` gives the last stage for a store. `finish` makes the output of a complete one and returns how many
        packets of the source were too damaged for it.
        """
        identity = self.source.identity()
        description = {"source": identity or [os.getpid(), os.urandom(8).hex()], **self.settings, **self._versions()}
        try:
            store = Store(target, description)
        except OSError as error:
            raise VideoError(files.write_failure(target, error)) from error
        with contextlib.closing(store):
            try:
                result = self._encode(store, encode)
                damaged = finish(store)
            except BaseException:
                if identity is None or (store.packets == 0 and not store.segments):
                    store.remove()
                raise
            store.remove()
        return self._result(dataclasses.replace(result, damaged=damaged))

    def _encode(self, store: Store, encode: Callable[[Store], Encode]) -> VideoResult:
        resumed = store.packets
        enlarging = Enlarging(self.upscaler, self.size)
        busy = Busy(0, 0, 0)
        if not store.complete:
            busy = self._run(store.mark, enlarging, encode(store))
        if not store.complete:
            raise VideoError(f"{self.source.name}: has no picture between start and end; choose other times")
        return VideoResult(store.packets, enlarging.repeated, resumed, 0, busy)

    def _run(self, mark: Mark | None, enlarging: Enlarging, encode: Encode) -> Busy:
        source, progress = self.source, self.progress
        ticks, done = source.track.time_base, mark.index if mark else 0
        begun = time.perf_counter()

        def followed(frames: Iterable[Frame]) -> Iterator[Frame]:
            first: int | None = None
            for count, frame in enumerate(frames, 1):
                yield frame
                first = frame.pts if first is None else first
                if progress is not None:
                    shown = float((frame.pts - first + frame.duration) * ticks)
                    progress(Progress(done + count, source.track.frames, shown, time.perf_counter() - begun))

        pipeline: Pipeline[Frame, Frame] = Pipeline(source.name, source.stop)
        return pipeline.run(source.frames(mark), enlarging, lambda frames: encode(followed(frames)))

    def _result(self, result: VideoResult) -> VideoResult:
        damaged = result.damaged + self.source.damaged
        if damaged:
            warnings.warn(f"{self.source.name}: {damaged} damaged packets were left out", RuntimeWarning, stacklevel=4)
        if self.source.squeezed:
            text = f"{self.source.name}: the times of {self.source.squeezed} pictures go back; they follow at once"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
        return dataclasses.replace(result, damaged=damaged)

    def _versions(self) -> dict[str, Any]:
        return {
            "upscaler": self.upscaler.fingerprint,
            "size": list(self.size),
            "pyav": av.__version__,
            "libraries": {name: list(version) for name, version in av.library_versions.items()},
        }
