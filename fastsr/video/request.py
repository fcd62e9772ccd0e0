"""One call of `upscale_video`: which source its input is, and which stages and output its result needs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from fastsr import standard_input
from fastsr.errors import VideoError
from fastsr.output_size import output_size
from fastsr.upscaler import Upscaler
from fastsr.video import preview as previews
from fastsr.video.arguments import check_distinct, checked_file, encoder_config
from fastsr.video.assembly import Assembly, InterruptedCallback
from fastsr.video.codecs.containers import container_of
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.frame import Frame
from fastsr.video.outputs import remux
from fastsr.video.outputs.image_sequence_writer import ImageSequenceWriter
from fastsr.video.outputs.pipe_output import Rgb24Writer, Y4mWriter
from fastsr.video.outputs.segment_store import SegmentStore
from fastsr.video.outputs.segmented_encoder import SegmentedEncoder
from fastsr.video.pipeline.job import EncodeStage, Job, MadeElsewhere
from fastsr.video.pipeline.newest_channel import NewestChannel
from fastsr.video.pipeline.pace import TimedUpscaler, frame_deadline
from fastsr.video.pipeline.progress import ProgressCallback, VideoResult
from fastsr.video.pipeline.stages import CAPACITY, StageTimes
from fastsr.video.pipeline.upscale_stage import FrameUpscaler
from fastsr.video.sources.frame_source import FrameSource
from fastsr.video.sources.image_sequence import ImageSequenceSource
from fastsr.video.sources.input_spec import InputSpec, file_input
from fastsr.video.sources.live_input import any_format, live_input
from fastsr.video.sources.numbered_files import checked_pattern
from fastsr.video.sources.pipe_input import PipeReader, pipe_input
from fastsr.video.sources.stream_info import StreamInfo
from fastsr.video.sources.time_range import TimeRange
from fastsr.video.sources.video_source import VideoSource
from fastsr.video_formats import PIPE, is_image_sequence, is_url, without_password


@dataclasses.dataclass(frozen=True)
class FileContext:
    """What the segments of a file are made from and how, for who makes them elsewhere.

    Attributes:
        given: the input.
        time_range: the part of it that is wanted.
        source: its frames, opened.
        upscaler: enlarges them.
        config: of the encoder.
        segment: about how many frames a segment has.
        progress: called with how far the video is.

    """

    given: Input
    time_range: TimeRange
    source: VideoSource
    upscaler: Upscaler
    config: EncoderConfig
    segment: int
    progress: ProgressCallback | None


SegmentMaker = Callable[[FileContext, SegmentStore], MadeElsewhere]

LIVE_WAITING, LIVE_CAPACITY = 2, 1  # frames of a source that does not wait, before they are enlarged and after


@dataclasses.dataclass(frozen=True)
class Input:
    """An input and how to read it."""

    name: str
    deinterlace: bool
    rate: Fraction
    raw_size: tuple[int, int] | None
    realtime: bool = False  # it may be a source that goes on by itself
    asked_rate: Fraction | None = None  # of a camera; None = nothing was asked for

    @property
    def spec(self) -> InputSpec | None:
        """How to open it again, for what is beside the video stream; None for what has nothing there."""
        if self.name == PIPE or is_image_sequence(self.name) or Path(self.name).is_dir():
            return None
        return file_input(checked_file(Path(self.name)))

    def open(self, time_range: TimeRange, *, upright: bool) -> FrameSource:
        """Its frames, turned as they are shown where they must be `upright`. Raises VideoError."""
        if self.name == PIPE:
            return VideoSource(self._piped(), time_range)
        live = live_input(self.name, self.raw_size, self.asked_rate) if self.realtime else None
        if live is not None:
            return VideoSource(live, time_range, deinterlace=self.deinterlace, upright=upright)
        spec = self.spec
        if spec is None:
            return ImageSequenceSource(self.name, time_range, self.rate)
        return VideoSource(spec, time_range, deinterlace=self.deinterlace, upright=upright)

    def _piped(self) -> InputSpec:
        """How to read standard input: raw frames, or, where no other stream of it is wanted, any format."""
        ahead = standard_input.taken()
        if self.realtime and self.raw_size is None:
            return any_format(PipeReader(sys.stdin.buffer, ahead))
        return pipe_input(sys.stdin.buffer, self.raw_size, self.rate, ahead)


@dataclasses.dataclass(frozen=True)
class UpscaleRequest:
    """One call of `upscale_video`, its arguments checked."""

    given: Input
    output: str
    time_range: TimeRange
    scale: float | None
    size: tuple[int, int] | None
    encoder: EncoderRequest
    raw: bool
    preview: bool
    segment: int
    progress: ProgressCallback | None
    realtime: bool = False
    interrupted: InterruptedCallback | None = None

    def check(self) -> None:
        """Raise VideoError for an output that cannot be made, before the input is opened."""
        if is_url(self.given.name) and not self.realtime:
            shown = without_password(self.given.name)
            raise VideoError(f"{shown}: is an address; add --realtime, and -o - for a player to read from")
        if self.realtime and (self.output != PIPE or self.preview):
            raise VideoError(f"{self.output}: --realtime is for frames that are shown at once; write to a player, -o -")
        checked_pattern(self.output)
        if self._shows_frames_only:
            return
        container_of(Path(self.output))
        if self.given.spec is not None:
            check_distinct(Path(self.given.name), Path(self.output))

    def open_source(self) -> FrameSource:
        """The frames of the input. Raises VideoError."""
        return self._open(self._wanted)

    def check_elsewhere(self) -> None:
        """Raise VideoError for what only one machine can make."""
        if self.preview or self._shows_frames_only or self.given.spec is None:
            raise VideoError(
                f"{without_password(self.given.name)}: a cluster makes videos from file to file, without --preview; "
                "leave --cluster out"
            )

    def make(self, source: FrameSource, model: Upscaler, elsewhere: SegmentMaker | None = None) -> VideoResult:
        """Make the output from an opened source; `elsewhere` makes the segments of a file in another place."""
        upscaler = previews.SideBySide(model) if self.preview else model
        if is_image_sequence(self.output):
            return self._make_images(source, upscaler, model.scale)
        if self._is_strip:
            return self._make_strip(source, upscaler, model.scale)
        default_codec = "h264" if self.output == PIPE else container_of(Path(self.output))[1]
        config = encoder_config(self.encoder, default_codec, source.info, model.scale, self.scale, self.size)
        if self.preview:
            config = dataclasses.replace(config, size=_doubled(config.size))
        if self.output == PIPE:
            pipe = sys.stdout.buffer
            writer = Rgb24Writer(pipe) if self.raw else Y4mWriter(pipe, config)
            if self.realtime:
                return self._write_in_time(source, model, config, writer)
            return self._job(source, upscaler, config.size).run(writer)
        if elsewhere is None:
            return self._make_file(source, upscaler, config)
        assert isinstance(source, VideoSource)
        context = FileContext(self.given, self._wanted, source, model, config, self.segment, self.progress)
        return self._make_file(source, upscaler, config, lambda store: elsewhere(context, store))

    @property
    def _is_strip(self) -> bool:
        output = self.output
        return self.preview and Path(output).suffix.lower() == ".png" and not is_image_sequence(output)

    @property
    def _shows_frames_only(self) -> bool:
        """Whether the output has no place for anything but pixels, not even for how they are turned."""
        return self.output == PIPE or is_image_sequence(self.output) or self._is_strip

    @property
    def _wanted(self) -> TimeRange:
        """The part of the video that is made; a preview clip is short, a strip spreads over all."""
        return previews.shortened(self.time_range) if self.preview and not self._is_strip else self.time_range

    def _open(self, time_range: TimeRange) -> FrameSource:
        return self.given.open(time_range, upright=self._shows_frames_only)

    def _write_in_time(
        self, source: FrameSource, model: Upscaler, config: EncoderConfig, writer: EncodeStage
    ) -> VideoResult:
        """Each frame within the time that it is shown; where a source does not wait, with frames left out."""
        newest: NewestChannel[Frame] | None = NewestChannel(LIVE_WAITING) if source.live else None
        limit = self.time_range.fps_limit
        rate = config.rate if limit is None else min(config.rate, limit)
        timed = TimedUpscaler(model, frame_deadline(float(rate)), None if newest is None else newest.available)
        job = dataclasses.replace(
            self._job(source, timed, config.size), pace=lambda: timed.pace(0 if newest is None else newest.dropped)
        )
        return job.run(writer, CAPACITY if newest is None else LIVE_CAPACITY, newest)

    def _make_file(
        self,
        source: FrameSource,
        upscaler: FrameUpscaler,
        config: EncoderConfig,
        elsewhere: Callable[[SegmentStore], MadeElsewhere] | None = None,
    ) -> VideoResult:
        spec, target = self.given.spec, Path(self.output)
        config.open()  # what it refuses is told before the work, not after it
        remux.check(spec, config, target)
        assembly = Assembly(source, config, spec, target, self._wanted)
        return self._job(source, upscaler, config.size, config.identity()).run_resumable(
            target,
            lambda store: SegmentedEncoder(config, store, self.segment, keep_tail=self.interrupted is not None),
            assembly.finish,
            lambda store: None if self.interrupted is None else assembly.leave_part(store, self.interrupted),
            elsewhere,
        )

    def _make_images(self, source: FrameSource, upscaler: FrameUpscaler, model_scale: int) -> VideoResult:
        size = self._output_size(source.info, model_scale)
        # the folder of the work is named after the pattern
        name = Path(self.output.replace("%", "_"))
        job = self._job(source, upscaler, _doubled(size) if self.preview else size)
        return job.run_resumable(name, lambda store: ImageSequenceWriter(self.output, store), lambda store: 0)

    def _make_strip(self, source: FrameSource, upscaler: FrameUpscaler, model_scale: int) -> VideoResult:
        info, wanted = source.info, self.time_range
        start = wanted.start or Fraction(0)
        end = wanted.end or start + (info.frames or 1) / info.rate

        def first_frame_from(time: Fraction) -> Frame | None:
            return previews.first_of(self._open(TimeRange(time, wanted.end)))

        size = _doubled(self._output_size(info, model_scale))
        rows = previews.write_strip(first_frame_from, (start, end), upscaler, size, Path(self.output))
        return VideoResult(rows, 0, 0, 0, StageTimes(0, 0, 0))

    def _output_size(self, info: StreamInfo, model_scale: int) -> tuple[int, int]:
        return output_size(info.width, info.height, self.scale, self.size, model_scale)

    def _job(
        self, source: FrameSource, upscaler: FrameUpscaler, size: tuple[int, int], encoder: dict[str, Any] | None = None
    ) -> Job:
        settings = {
            "time_range": self._wanted.identity(),
            "deinterlace": self.given.deinterlace,
            "segment": self.segment,
            "encoder": encoder,
            "rate": str(self.given.rate),
        }
        return Job(source, upscaler, size, settings, self.progress)


def _doubled(size: tuple[int, int]) -> tuple[int, int]:
    return 2 * size[0], size[1]
