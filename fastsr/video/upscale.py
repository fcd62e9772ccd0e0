"""`upscale_video`: a video, image sequence or raw frames in, a larger one out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av

from fastsr import files as whole_files
from fastsr.errors import VideoError
from fastsr.upscaler import Upscaler, default_model, load, output_size
from fastsr.video import remux
from fastsr.video.codecs import Encoding, Wish, choose, container_of, grid, keeps_hdr, threads
from fastsr.video.encoding import SEGMENT, SegmentedEncoder
from fastsr.video.enlarging import Enlarging, FrameUpscaler
from fastsr.video.frames import Cut, Frame, Mark
from fastsr.video.pipeline import Busy, Pipeline
from fastsr.video.segments import Store
from fastsr.video.source import Opening, Track, VideoSource, has_alpha, opening

PIPE = "-"  # standard input or output


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

    def frames(self, mark: Mark | None = None) -> Iterator[Frame]:
        """The wanted frames, from `mark` on where one is given."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def upscale_video(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Upscaler | None = None,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    precision: str = "auto",
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    lossless: bool = False,
    start: float | None = None,
    end: float | None = None,
    fps_limit: float | None = None,
    deinterlace: bool = False,
    segment: int = SEGMENT,
    progress: Callable[[Progress], None] | None = None,
) -> VideoResult:
    """Enlarge a video: `fastsr.upscale_video("in.mp4", "out.mp4")`.

    `src`, `dst`: paths; the suffix of `dst` (.mp4 .m4v .mov .mkv .webm) names the container. The first picture track is
    enlarged, all else is copied packet for packet; times of pictures stay as they are. A run that is killed leaves what
    is done in a hidden folder beside `dst`; the same call goes on there, to the same result.

    `model`: a name, an ONNX file or a loaded `Upscaler`; by default the shipped model for videos that fits `scale` or
    `size` (width, height); four times as wide and high where none of them is given. `codec`: "h264", "hevc", "av1",
    "vp9" or "prores". `crf`, `preset`, `pix_fmt`, `lossless`: as the codec has them; by default subsampling and depth
    (8 or 10 bits) are the source's. `start`, `end`: seconds from the first picture. `fps_limit`: pictures a second at
    most. `deinterlace`: make whole frames of interlaced ones, which are refused otherwise. `segment`: about how many
    frames a kill may cost. `progress`: called after every frame, in the calling thread.

    Raises VideoError, naming the file, and the stage and frame where there is one, and FastsrError for bad arguments.
    Warns (RuntimeWarning) of what is damaged in the input or cannot be kept.
    """
    target = Path(dst)
    _, default = container_of(target)
    cut = checked_cut(start, end, fps_limit)
    given = opening(checked_file(Path(src)))
    if target.exists() and target.samefile(src):
        raise VideoError(f"{target}: the result would replace its source; choose another output")
    with contextlib.closing(VideoSource(given, cut, deinterlace=deinterlace)) as source:
        upscaler = chosen(model, source.track, scale, size, device, precision)
        wish = Wish(codec, crf, preset, pix_fmt, lossless)
        encoding = encoding_for(wish, default, source.track, upscaler, scale, size)
        remux.check(given, encoding, target)  # told before the work, not after it
        work = _FileWork(source, given, upscaler, encoding, target, segment)
        return work.run(cut, progress, deinterlace)


def checked_file(path: Path) -> Path:
    """A path that leads to a plain file. Raises VideoError."""
    try:
        there = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    if not path.is_file():
        raise VideoError(f"{path}: is not a plain file; give a video")
    if there.st_size == 0:
        raise VideoError(f"{path}: is empty; give a video")
    return path


def checked_cut(start: float | None, end: float | None, fps_limit: float | None) -> Cut:
    """The part that is wanted. Raises VideoError for times that contain nothing."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not 0 <= value < 1e9:
            raise VideoError(f"{name} {value} is not a number of seconds from the begin of the video")
    if start is not None and end is not None and start >= end:
        raise VideoError(f"start {start:g} is not before end {end:g}")
    if fps_limit is not None and not 0 < fps_limit < 1e6:
        raise VideoError(f"fps limit {fps_limit} is not a number of pictures a second")

    def exact(value: float | None) -> Fraction | None:
        return None if value is None else Fraction(str(value))

    return Cut(exact(start), exact(end), exact(fps_limit))


def chosen(
    model: str | os.PathLike[str] | Upscaler | None,
    track: Track,
    scale: float | None,
    size: tuple[int, int] | None,
    device: str,
    precision: str,
) -> Upscaler:
    """The upscaler that was named or handed in, or the shipped one for videos of this size."""
    if isinstance(model, Upscaler):
        return model
    if model is None:
        model = default_model(track.width, track.height, scale, size)
    return load(model, device, precision)


def encoding_for(
    wish: Wish,
    default: str,
    track: Track,
    upscaler: Upscaler,
    scale: float | None,
    size: tuple[int, int] | None,
) -> Encoding:
    """How the enlarged track is encoded. Raises VideoError for what the codec cannot hold."""
    codec, encoder, pix_fmt, options = choose(wish, default, track.pix_fmt, track.hdr)
    if track.hdr is not None and not keeps_hdr(codec):
        _warn(f"{codec} holds no HDR10 metadata, so the display's and the brightest light's are lost; use hevc")
    if has_alpha(track.pix_fmt):
        _warn(f"the transparency of {track.pix_fmt} is lost")
    before = (track.width, track.height)
    after = fitted(output_size(*before, scale, size, upscaler.scale), pix_fmt, exact=size is not None)
    aspect = track.aspect
    if aspect is not None:
        aspect *= Fraction(before[0], before[1]) / Fraction(after[0], after[1])
        if size is None:
            aspect = track.aspect  # a side that was rounded to an even number of pixels changes nothing
    colors = track.colors.enlarged(before, after)
    return Encoding(codec, encoder, pix_fmt, after, colors, aspect, track.time_base, track.rate, threads(), options)


def fitted(size: tuple[int, int], pix_fmt: str, *, exact: bool) -> tuple[int, int]:
    """A size that a pixel format can have. Raises VideoError when an `exact` one cannot."""
    steps = grid(pix_fmt)
    made = tuple(-(-side // step) * step for side, step in zip(size, steps, strict=True))
    if exact and made != size:
        raise VideoError(
            f"{pix_fmt} holds no {size[0]}x{size[1]}; ask for {made[0]}x{made[1]}, or for --pix-fmt yuv444p"
        )
    return made[0], made[1]


class _FileWork:
    """A source on its way into a container."""

    def __init__(
        self,
        source: VideoSource,
        given: Opening,
        upscaler: FrameUpscaler,
        encoding: Encoding,
        target: Path,
        segment: int,
    ) -> None:
        self._source, self._given, self._upscaler = source, given, upscaler
        self._encoding, self._target, self._segment = encoding, target, segment

    def run(self, cut: Cut, progress: Callable[[Progress], None] | None, deinterlace: bool) -> VideoResult:
        """Make what is not yet made, then the file."""
        try:
            store = Store(self._target, self._description(cut, deinterlace))
        except OSError as error:
            raise VideoError(whole_files.write_failure(self._target, error)) from error
        with contextlib.closing(store):
            result = self._encode(store, progress)
            damaged = self._write(store, cut)
            store.remove()
        result = dataclasses.replace(result, damaged=self._source.damaged + damaged)
        if result.damaged:
            _warn(f"{self._source.name}: {result.damaged} damaged packets were left out")
        return result

    def _encode(self, store: Store, progress: Callable[[Progress], None] | None) -> VideoResult:
        resumed = store.packets
        enlarging = Enlarging(self._upscaler, self._encoding.size)
        busy = Busy(0, 0, 0)
        if not store.complete:
            encoder = SegmentedEncoder(self._encoding, store, self._segment)
            busy = run(self._source, store.mark, enlarging, encoder, progress)
        if not store.complete:
            raise VideoError(f"{self._source.name}: has no picture between start and end; choose other times")
        return VideoResult(store.packets, enlarging.repeated, resumed, 0, busy)

    def _write(self, store: Store, cut: Cut) -> int:
        times, last = store.times()
        if len(times) != store.packets or len(set(times)) != len(times):
            raise VideoError(f"{self._target}: {len(set(times))} pictures were kept of {store.packets}; report it")
        track = self._source.track
        pictures = remux.Pictures(self._encoding, track.rotation, times, last, store.encoded)
        span = remux.Span()
        if not cut.whole:
            ticks = track.time_base
            begin = self._source.first_pts() * ticks
            first = min(times) * ticks
            span = remux.Span(
                None if cut.start is None else first,
                None if cut.end is None else begin + cut.end,
                Fraction(0) if cut.start is None else first,
            )
        try:
            with whole_files.replacing(self._target) as path:
                return remux.write(self._given, pictures, path, self._target, span)
        except av.FFmpegError as error:
            raise VideoError(f"{self._target}: cannot be written ({error}); the work so far is kept") from error
        except OSError as error:
            raise VideoError(whole_files.write_failure(self._target, error)) from error

    def _description(self, cut: Cut, deinterlace: bool) -> dict[str, Any]:
        """All that the packets depend on."""
        there = Path(self._source.name).stat()
        return {
            "source": [os.path.realpath(self._source.name), there.st_size, there.st_mtime_ns],
            "cut": repr(cut),
            "deinterlace": deinterlace,
            "upscaler": self._upscaler.fingerprint,
            "encoding": repr(self._encoding),
            "segment": self._segment,
            "pyav": av.__version__,
            "libraries": {name: list(version) for name, version in av.library_versions.items()},
        }


def run(
    source: Source,
    mark: Mark | None,
    enlarging: Enlarging,
    encode: Callable[[Iterable[Frame]], None],
    progress: Callable[[Progress], None] | None,
) -> Busy:
    """Frames of a source, from `mark` on, through all three stages; see `Pipeline.run`."""
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

    pipeline: Pipeline[Frame, Frame] = Pipeline(source.name)
    return pipeline.run(source.frames(mark), enlarging, lambda frames: encode(followed(frames)))


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)
