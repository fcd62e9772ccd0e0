"""A segment of a video as work: decoded, enlarged and encoded by a worker as one machine does it."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from fastsr.cluster.pinned_model import PinnedModel
from fastsr.cluster.sent_file import ReceivedFile, SentFile, SentFileTask
from fastsr.cluster.shared_storage import UNSEEN, identity
from fastsr.cluster.worker import Host
from fastsr.errors import ClusterError, FastsrError
from fastsr.upscaler import Upscaler
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.outputs.segment_file import SegmentWriter
from fastsr.video.outputs.segmented_encoder import SegmentedEncoder
from fastsr.video.outputs.work_folder import WorkFolder
from fastsr.video.pipeline.stages import Pipeline, StageTimes
from fastsr.video.pipeline.upscale_stage import UpscaleStage
from fastsr.video.request import Input
from fastsr.video.segment_plan import PlannedSegment
from fastsr.video.sources.frame_source import FrameSource
from fastsr.video.sources.time_range import TimeRange
from fastsr.video.sources.video_source import VideoSource

_SEGMENT = "one.segment"


@dataclasses.dataclass(frozen=True)
class EncodedSegment:
    """A segment that was made.

    Attributes:
        content: its file (of `segment_file`).
        first: its first frame; None where another one was found than was planned, of which nothing was made.
        frames: that it holds.
        repeated: those of them that equal the one before.
        damaged: packets that could not be decoded on the way.
        busy: seconds that the stages worked.

    """

    content: bytes
    first: ResumePoint | None
    frames: int
    repeated: int
    damaged: int
    busy: StageTimes


@dataclasses.dataclass(frozen=True)
class VideoJob:
    """What is the same for all segments of a video."""

    given: Input
    shown: str  # the source, as the user named it
    time_range: TimeRange
    identity: tuple[int, int] | None  # of the source, as the driver sees it
    model: PinnedModel
    config: EncoderConfig
    segment: int
    libraries: dict[str, tuple[int, ...]]  # of PyAV, by name


def libraries() -> dict[str, tuple[int, ...]]:
    """The versions of FFmpeg's libraries that PyAV brings here."""
    return {name: tuple(version) for name, version in av.library_versions.items()}


@dataclasses.dataclass(frozen=True)
class SegmentWork:
    """One segment, as it travels to a worker; `blocks`: the source, for a worker that does not see it."""

    job: VideoJob
    planned: PlannedSegment
    blocks: list[Any] | None

    def do(self, host: Host) -> EncodedSegment | str:
        """Make the segment. Raises VideoError, as one machine alone does."""
        job = self.job
        if job.libraries != libraries():
            raise ClusterError("a worker's PyAV has other versions of FFmpeg's libraries; install the same there")
        name = job.given.name
        if self.blocks is not None:
            if name not in host.kept:
                host.kept[name] = ReceivedFile(self.blocks, Path(name).name)
            name = str(host.kept[name].path)
        elif identity(Path(name)) != job.identity:
            return UNSEEN
        given = dataclasses.replace(job.given, name=name)
        try:
            return self._opened(given, host)
        except FastsrError as error:
            raise type(error)(str(error).replace(name, job.shown)) from error.__cause__

    def _opened(self, given: Input, host: Host) -> EncodedSegment:
        job = self.job
        with contextlib.closing(given.open(job.time_range, upright=False)) as source:
            return self._made(source, job.model.kept(host))

    def _made(self, source: FrameSource, upscaler: Upscaler) -> EncodedSegment:
        job, first = self.job, None

        def frames() -> Iterator[Frame]:
            nonlocal first
            for frame in self._frames(source):
                if first is None:
                    first = ResumePoint(frame.index, frame.pts, frame.digest)
                yield frame

        with tempfile.TemporaryDirectory(prefix="fastsr-") as folder, contextlib.closing(_OneSegment(folder)) as store:
            upscaling = UpscaleStage(upscaler, job.config.size)
            encoder = SegmentedEncoder(job.config, store, job.segment)
            pipeline: Pipeline[Frame, Frame] = Pipeline(source.name, source.stop)
            busy = pipeline.run(frames(), upscaling, encoder)
            return EncodedSegment(store.content, first, store.packets, upscaling.repeated, source.damaged, busy)

    def _frames(self, source: FrameSource) -> Iterator[Frame]:
        planned = self.planned
        if planned.exact is not None or planned.index == 0:
            return source.frames(planned.exact)
        assert isinstance(source, VideoSource)
        return source.frames_at(planned.first, planned.index)


class _OneSegment:
    """Takes one segment, into a folder."""

    def __init__(self, folder: str) -> None:
        self.content = b""
        self.packets = 0
        self._folder = WorkFolder(Path(folder))

    @property
    def full(self) -> bool:
        return bool(self.content)

    def writer(self) -> SegmentWriter:
        return SegmentWriter(self._folder, _SEGMENT)

    def add(self, writer: SegmentWriter, following: ResumePoint | None) -> None:
        writer.finish(following)
        self.packets = writer.packets
        with self._folder.read(_SEGMENT) as file:
            self.content = file.read()

    def keep_tail(self, writer: SegmentWriter) -> None:
        raise AssertionError("a worker keeps nothing that is not whole")

    def close(self) -> None:
        self._folder.close()


class SegmentTask(SentFileTask):
    """One segment, as the driver knows it."""

    def __init__(self, job: VideoJob, planned: PlannedSegment, sent: SentFile, unseen: set[str]) -> None:
        """`sent`, `unseen`: see `SentFileTask`."""
        super().__init__(sent, unseen)
        self.planned = planned
        self._job = job

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"{self._job.shown}: the segment from frame {self.planned.index} on"

    def work(self, node: str) -> tuple[SegmentWork, int]:
        """The work for a worker on a node; the source travels by references, which weigh nothing."""
        return SegmentWork(self._job, self.planned, self.blocks(node)), 0
