"""The segments of a video made by a cluster: planned by the file's packets, and joined only where they fit together.

What a segment's maker finds behind its last frame tells where the next one begins. A planned segment is taken if it
begins with just that frame; else the next one is made from there, as by a run that resumes. So a plan that was wrong
costs time, and the result is that of one machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from fastsr.cluster.image_job import ANY_DEVICE, ClusterChoice
from fastsr.cluster.pinned_model import PinnedModel, pinned
from fastsr.cluster.sameness import is_exact
from fastsr.cluster.sent_file import SentFile
from fastsr.cluster.shared_storage import identity
from fastsr.cluster.worker import Done
from fastsr.errors import ClusterError, FastsrError, VideoError
from fastsr.loading import LoadRequest, load
from fastsr.video.codecs.pixel_formats import is_deep
from fastsr.video.frame import PlannedFrame
from fastsr.video.outputs.segment_store import SegmentStore
from fastsr.video.pipeline.job import MadeElsewhere
from fastsr.video.pipeline.progress import Progress
from fastsr.video.pipeline.stages import StageTimes
from fastsr.video.request import FileContext
from fastsr.video.segment_plan import PlannedSegment, planned_segments
from fastsr.video.segment_work import EncodedSegment, SegmentTask, VideoJob, libraries

_CPUS = 4  # of a worker: its stages decode, enlarge and encode side by side


@dataclasses.dataclass(frozen=True)
class ClusterSegments:
    """Makes the segments of a video by a cluster."""

    choice: ClusterChoice

    def __call__(self, context: FileContext, store: SegmentStore) -> MadeElsewhere:
        """Fill the store. Raises VideoError for a video that cannot be planned, and as one machine does."""
        frames = context.source.planned()
        if not frames:
            raise VideoError(
                f"{context.given.name}: its packets do not say when frames are shown, so machines cannot share it; "
                "leave --cluster out"
            )
        model, content = _pinned(context, self.choice)
        contents = {model.digest: content} if model.digest else {}
        source = Path(context.given.name).absolute()
        given = dataclasses.replace(context.given, name=str(source))
        made_of = given, context.given.name, context.time_range, identity(source)
        job = VideoJob(*made_of, model, context.config, context.segment, libraries())
        run = _Run(context, frames, store, job)
        with segment_pool(self.choice, contents) as pool:
            while not store.complete:
                run.make(pool)
        return run.made


class SegmentPool(Protocol):
    """Has segments made, as `fastsr.cluster.pool` does."""

    def run(self, tasks: Iterable[SegmentTask]) -> Iterator[tuple[SegmentTask, Done, str]]:
        """Each task as it is done, with what came of it and the worker's name."""
        ...


@contextlib.contextmanager
def segment_pool(choice: ClusterChoice, contents: dict[str, bytes]) -> Iterator[SegmentPool]:
    """The workers of a cluster; `contents`: files for those that lack them, by their SHA-256."""
    from fastsr.cluster.connection import Connection
    from fastsr.cluster.pool import Pool, Size

    with Connection(choice.address) as connection:
        made: Pool[SegmentTask] = Pool(
            connection,
            Size(cpus=_CPUS, ahead=0),
            contents,
            video=True,
            any_device=choice.any_device,
            say=choice.say,
        )
        with made:
            yield made


class _Run:
    """One video on its way: what is there, and what was made so far."""

    def __init__(self, context: FileContext, frames: list[PlannedFrame], store: SegmentStore, job: VideoJob) -> None:
        self.made = MadeElsewhere(0, 0, StageTimes(0, 0, 0))
        self._context, self._planned_frames, self._store, self._job = context, frames, store, job
        self._sent, self._unseen = SentFile(Path(job.given.name)), set[str]()
        self._there, self._fresh = store.packets, 0  # frames
        self._begun = time.perf_counter()

    def make(self, pool: SegmentPool) -> None:
        """Have what is missing made, until all is there or a segment turns out to begin elsewhere than planned."""
        store = self._store
        self._there += store.add_ahead()
        tasks = [SegmentTask(self._job, segment, self._sent, self._unseen) for segment in self._missing()]
        coming = {task.planned.first.pts for task in tasks}
        if store.complete:
            return
        for task, done, _ in pool.run(tasks):
            if done.error is not None:
                raise _as_video_error(done.error, task)
            coming.discard(task.planned.first.pts)
            self._take(task, done.value)
            head = store.resume
            if store.complete or (head is not None and head.pts not in coming):
                return

    def _missing(self) -> list[PlannedSegment]:
        """Segments from where the store ends, without those that are kept already."""
        resume, kept = self._store.resume, self._store.ahead_times()
        planned = planned_segments(self._planned_frames, self._context.segment, resume)
        if not planned and resume is not None:  # a frame that the packets did not announce
            planned = [PlannedSegment(resume.index, PlannedFrame(resume.pts, True, None), resume)]
        return planned[:1] + [segment for segment in planned[1:] if segment.first.pts not in kept]

    def _take(self, task: SegmentTask, made: EncodedSegment) -> None:
        """Put a segment into its place, or keep it until those before it are there."""
        store, first = self._store, made.first
        if first is None:  # there was another frame than planned
            return
        head = store.resume
        begins = not store.segments and task.planned.index == 0
        if begins or (head is not None and (head.pts, head.digest) == (first.pts, first.digest)):
            store.add_whole(made.content, 0 if head is None else head.index)
        else:
            store.keep_ahead(first, made.content)
        store.add_ahead()
        busy, more = self.made.busy, made.busy
        busy = StageTimes(busy.decode + more.decode, busy.upscale + more.upscale, busy.encode + more.encode)
        self.made = MadeElsewhere(self.made.repeated + made.repeated, self.made.damaged + made.damaged, busy)
        self._fresh += made.frames
        self._tell()

    def _tell(self) -> None:
        context = self._context
        if context.progress is not None:
            info = context.source.info
            shown = float(self._fresh / info.rate)
            elapsed = time.perf_counter() - self._begun
            # those that an earlier run had kept ahead count once they are in their place
            frames = max(self._store.packets, self._there + self._fresh)
            context.progress(Progress(frames, info.frames, shown, elapsed))


def _pinned(context: FileContext, choice: ClusterChoice) -> tuple[PinnedModel, bytes]:
    """The model as all workers load it. Raises ClusterError where they would make other frames."""
    upscaler, name = context.upscaler, context.given.name
    asked = upscaler.loaded_as
    if not isinstance(asked, LoadRequest):
        raise ClusterError(f"{name}: workers load models themselves; hand in one of fastsr.load, or a name")
    options = asked.options()
    if choice.any_device:
        return pinned(asked.model, options, None)
    if options["precision"] == "auto" and upscaler.precision != "fp32" and is_deep(context.source.info.pix_fmt):
        upscaler = load(asked.model, **{**options, "precision": "fp32"})  # which "auto" takes for deep pixels
    if not is_exact(upscaler):
        made_with = f"{upscaler.engine} at {upscaler.precision}"
        raise ClusterError(f"{upscaler.name}: {made_with} makes other bytes on other processors; {ANY_DEVICE}")
    return pinned(asked.model, options, upscaler)


def _as_video_error(error: BaseException, task: SegmentTask) -> FastsrError:
    if isinstance(error, FastsrError):
        return error
    return VideoError(f"{task.name}: {error or type(error).__name__}")
