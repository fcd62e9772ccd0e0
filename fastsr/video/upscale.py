"""`upscale_video`: a video, image sequence or raw frames in, a larger one out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from fastsr import files
from fastsr.engines.protocol import Device, EngineName, Precision
from fastsr.errors import VideoError
from fastsr.loading import load
from fastsr.output_size import default_model, output_size
from fastsr.upscaler import Upscaler
from fastsr.video import preview as previews
from fastsr.video import remux
from fastsr.video.arguments import (
    check_distinct,
    checked_cut,
    checked_file,
    checked_rate,
    checked_segment,
    encoding_for,
)
from fastsr.video.codecs import Wish, container_of
from fastsr.video.encoders import Encoding
from fastsr.video.encoding import SEGMENT, SegmentedEncoder
from fastsr.video.enlarging import FrameUpscaler
from fastsr.video.frames import Cut, Frame
from fastsr.video.memory import shortage_told
from fastsr.video.opening import Opening, opening
from fastsr.video.pictures import Pictures
from fastsr.video.pipeline import Busy
from fastsr.video.raw import RgbWriter, Y4mWriter, checked_raw_size, pipe_opening
from fastsr.video.segments import Store
from fastsr.video.sequence import SequenceSource, SequenceWriter, checked_pattern, is_pattern
from fastsr.video.source import Track, VideoSource
from fastsr.video.work import Follow, Job, Source, VideoResult

PIPE = "-"  # standard input or output

Model = str | os.PathLike[str] | Upscaler | Callable[[int, int], Upscaler] | None


def upscale_video(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: Model = None,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    engine: EngineName = "auto",
    tile: int | None = None,
    realism: float | None = None,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    lossless: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps_limit: float | None = None,
    deinterlace: bool = False,
    fps: float | None = None,
    raw_size: tuple[int, int] | None = None,
    raw: bool = False,
    preview: bool = False,
    segment: int = SEGMENT,
    progress: Follow | None = None,
) -> VideoResult:
    """Enlarge a video: `fastsr.upscale_video("in.mp4", "out.mp4")`.

    From file to file the first picture track is enlarged, all else is copied packet for packet, and times of pictures
    stay as they are. A run that is killed leaves what is done in a hidden folder beside `dst`; the same call goes on
    there, to the same result.

    Args:
        src: a file; numbered images ("frames/%05d.png") or a folder of images; or "-", standard input.
        dst: a file, whose suffix (.mp4 .m4v .mov .mkv .webm) names the container; numbered images; or "-", standard
            output.
        model: a name, an ONNX file, a loaded `Upscaler`, or what gives one for a width and height; by default the
            shipped one that fits `scale` or `size`.
        scale: factor along each axis; four where neither it nor `size` is given.
        size: width and height of the result in pixels, instead of `scale`.
        device: as for `load`, of a model that is named or chosen here, like the next four.
        precision: as for `load`, where it is for `video`: "auto" may be a faster one on some machines.
        engine: as for `load`.
        tile: as for `load`.
        realism: as for `load`.
        codec: "h264", "hevc", "av1", "vp9" or "prores".
        crf: constant quality, as the codec has it; smaller is better.
        preset: speed against size, as the encoder has it.
        pix_fmt: such as "yuv420p10le"; by default subsampling and depth (8 or 10 bits) are the source's.
        lossless: encode without loss.
        start: leave out what is before, in seconds from the first picture.
        end: leave out what is from there on.
        fps_limit: pictures a second at most.
        deinterlace: make whole frames of interlaced ones, which are refused otherwise.
        fps: pictures a second of image sequences and rgb24, 25 if not given.
        raw_size: standard input is rgb24 of this width and height, not y4m.
        raw: standard output is rgb24, not y4m.
        preview: show bicubic | ours, as a clip of 5 seconds (or up to `end`), or, where `dst` is a .png, as a strip of
            moments.
        segment: about how many frames a kill may cost.
        progress: called after every frame with how far the video is, in the calling thread.

    Returns:
        How many frames were made, how many of them equalled the one before or came from an earlier run, how many
        packets were damaged, and how many seconds each stage worked.

    Raises:
        VideoError: the video cannot be read or made; the message names the file, and the stage and frame where there is
            one.
        FastsrError: arguments that cannot be, or a model that cannot be loaded.

    Warns:
        RuntimeWarning: something is damaged in the input, or cannot be kept.

    """
    cut, into = checked_cut(start, end, fps_limit), os.fspath(dst)
    request = _Request(
        _Given(os.fspath(src), deinterlace, checked_rate(fps), checked_raw_size(raw_size)),
        into,
        previews.shortened(cut) if preview and not _is_strip(into) else cut,
        scale,
        size,
        Wish(codec, crf, preset, pix_fmt, lossless),
        raw,
        preview,
        checked_segment(segment),
        progress,
    )
    request.check()
    with shortage_told(request.given.name), contextlib.closing(request.source(request.cut)) as source:
        options = {"device": device, "precision": precision, "engine": engine, "tile": tile, "realism": realism}
        return request.make(source, chosen(model, source.track, scale, size, **options))


def chosen(model: Model, track: Track, scale: float | None, size: tuple[int, int] | None, **options: Any) -> Upscaler:
    """The upscaler that was handed in; or the named model, or the shipped one that fits, loaded with `options`."""
    if isinstance(model, Upscaler):
        return model
    if model is None:
        model = default_model(track.width, track.height, scale, size)
    if callable(model):
        return model(track.width, track.height)
    return load(model, **options, video=True)


@dataclasses.dataclass(frozen=True)
class _Given:
    """An input and how to read it."""

    name: str
    deinterlace: bool
    rate: Fraction
    raw_size: tuple[int, int] | None

    @property
    def opening(self) -> Opening | None:
        """How to open it again, for what is beside the pictures; None for what has nothing there."""
        if self.name == PIPE or is_pattern(self.name) or Path(self.name).is_dir():
            return None
        return opening(checked_file(Path(self.name)))

    def source(self, cut: Cut, *, upright: bool) -> Source:
        """Its frames, turned as they are shown where they must be `upright`. Raises VideoError."""
        if self.name == PIPE:
            return VideoSource(pipe_opening(sys.stdin.buffer, self.raw_size, self.rate), cut)
        given = self.opening
        if given is None:
            return SequenceSource(self.name, cut, self.rate)
        return VideoSource(given, cut, deinterlace=self.deinterlace, upright=upright)


@dataclasses.dataclass(frozen=True)
class _Request:
    """One call of `upscale_video`."""

    given: _Given
    into: str
    cut: Cut
    scale: float | None
    size: tuple[int, int] | None
    wish: Wish
    raw: bool
    preview: bool
    segment: int
    progress: Follow | None

    def check(self) -> None:
        """Raise VideoError for an output that cannot be made, before the input is opened."""
        checked_pattern(self.into)
        if self.into == PIPE or is_pattern(self.into) or (self.preview and _is_strip(self.into)):
            return
        container_of(Path(self.into))
        if self.given.opening is not None:
            check_distinct(Path(self.given.name), Path(self.into))

    def source(self, cut: Cut) -> Source:
        """The input's frames; upright for outputs that cannot say how they are turned. Raises VideoError."""
        upright = self.into == PIPE or is_pattern(self.into) or (self.preview and _is_strip(self.into))
        return self.given.source(cut, upright=upright)

    def make(self, source: Source, loaded: Upscaler) -> VideoResult:
        """Make the output from an opened source."""
        upscaler = previews.SideBySide(loaded) if self.preview else loaded
        if is_pattern(self.into):
            return self._pictures(source, upscaler, loaded.scale)
        if self.preview and _is_strip(self.into):
            return self._strip(source, upscaler, loaded.scale)
        default = "h264" if self.into == PIPE else container_of(Path(self.into))[1]
        encoding = encoding_for(self.wish, default, source.track, loaded.scale, self.scale, self.size)
        if self.preview:
            encoding = dataclasses.replace(encoding, size=_doubled(encoding.size))
        if self.into == PIPE:
            pipe = sys.stdout.buffer
            writer = RgbWriter(pipe) if self.raw else Y4mWriter(pipe, encoding)
            return self._job(source, upscaler, encoding.size).pass_on(writer)
        return self._container(source, upscaler, encoding)

    def _container(self, source: Source, upscaler: FrameUpscaler, encoding: Encoding) -> VideoResult:
        given, target = self.given.opening, Path(self.into)
        encoding.open()  # what it refuses is told before the work, not after it
        remux.check(given, encoding, target)
        return self._job(source, upscaler, encoding.size, encoding.description()).keep(
            target,
            lambda store: SegmentedEncoder(encoding, store, self.segment),
            lambda store: _write(store, source, encoding, given, target, self.cut),
        )

    def _pictures(self, source: Source, upscaler: FrameUpscaler, own: int) -> VideoResult:
        made = self._made(source.track, own)
        # the folder of the work is named after the pattern
        name = Path(self.into.replace("%", "_"))
        job = self._job(source, upscaler, _doubled(made) if self.preview else made)
        return job.keep(name, lambda store: SequenceWriter(self.into, store), lambda store: 0)

    def _strip(self, source: Source, upscaler: FrameUpscaler, own: int) -> VideoResult:
        track, cut = source.track, self.cut
        start = cut.start or Fraction(0)
        end = cut.end or start + (track.frames or 1) / track.rate

        def first_from(time: Fraction) -> Frame | None:
            return previews.first_of(self.source(Cut(time, cut.end)))

        size = _doubled(self._made(track, own))
        rows = previews.write_strip(first_from, (start, end), upscaler, size, Path(self.into))
        return VideoResult(rows, 0, 0, 0, Busy(0, 0, 0))

    def _made(self, track: Track, own: int) -> tuple[int, int]:
        return output_size(track.width, track.height, self.scale, self.size, own)

    def _job(self, source: Source, upscaler: FrameUpscaler, size: tuple[int, int], encoding: Any = None) -> Job:
        settings = {
            "cut": self.cut.description(),
            "deinterlace": self.given.deinterlace,
            "segment": self.segment,
            "encoding": encoding,
            "rate": str(self.given.rate),
        }
        return Job(source, upscaler, size, settings, self.progress)


def _write(store: Store, source: Source, encoding: Encoding, given: Opening | None, target: Path, cut: Cut) -> int:
    """Put the file together; returns how many packets of the source were too damaged."""
    source.check_unchanged()
    track = source.track
    times, last = store.times()
    if len(times) != store.packets or len(set(times)) != len(times):
        raise VideoError(f"{target}: {len(set(times))} pictures were kept of {store.packets}; report it")
    pictures = Pictures(encoding, track.rotation, times, last, store.encoded)
    ticks = track.time_base
    first = min(times) * ticks
    span = remux.Span(
        start=None if cut.start is None else first,
        end=None if cut.end is None else track.begin * ticks + cut.end,
        shift=Fraction(0) if cut.start is None else first,
    )
    try:
        with files.replacing(target) as path:
            damaged = remux.write(given, pictures, path, target, span)
            source.check_unchanged()
            return damaged
    except av.FFmpegError as error:
        raise VideoError(f"{target}: cannot be written ({error}); the work so far is kept") from error
    except OSError as error:
        raise VideoError(files.write_failure(target, error)) from error


def _is_strip(into: str) -> bool:
    return Path(into).suffix.lower() == ".png" and not is_pattern(into)


def _doubled(size: tuple[int, int]) -> tuple[int, int]:
    return 2 * size[0], size[1]
