"""How fast a video is decoded, enlarged and encoded on this machine, each alone and all at once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.upscaler import Upscaler
from fastsr.video.arguments import checked_file, encoding_for
from fastsr.video.codecs import Wish
from fastsr.video.colors import Writer
from fastsr.video.encoders import Encoding
from fastsr.video.enlarging import Enlarging
from fastsr.video.frames import Frame
from fastsr.video.opening import opening
from fastsr.video.pipeline import Pipeline
from fastsr.video.source import Track, VideoSource

_KEPT = 24  # enlarged frames that are held in memory to encode from, in turn


@dataclasses.dataclass(frozen=True)
class Rates:
    """Frames a second, each stage alone and the pipeline as a whole."""

    track: Track
    encoding: Encoding
    upscaler: str
    decode: float
    upscale: float
    encode: float
    together: float

    @property
    def limit(self) -> str:
        """The slowest stage alone."""
        rates = {"decode": self.decode, "upscale": self.upscale, "encode": self.encode}
        return min(rates, key=lambda stage: rates[stage])

    @property
    def share(self) -> float:
        """The pipeline's rate as a share of the slowest stage's."""
        return self.together / min(self.decode, self.upscale, self.encode)

    def table(self) -> str:
        """Lines for people."""
        track, encoding = self.track, self.encoding
        rows = [
            f"{track.width}x{track.height} -> {encoding.size[0]}x{encoding.size[1]}, {self.upscaler}, "
            f"{encoding.encoder} {encoding.options}",
            f"decode   {self.decode:8.1f} frames/s",
            f"upscale  {self.upscale:8.1f} frames/s",
            f"encode   {self.encode:8.1f} frames/s",
            f"together {self.together:8.1f} frames/s",
            f"limited by {self.limit}: the pipeline reaches {self.share:.0%} of that stage's rate alone, "
            f"{self.together / float(track.rate):.2f}x real time",
        ]
        return "\n".join(rows)


def measure(
    path: str, model: Callable[[int, int], Upscaler], frames: int, wish: Wish, scale: float | None = None
) -> Rates:
    """Rates for the first `frames` of a video, which are repeated where it has fewer. Nothing is written.

    Raises VideoError for what is no video.
    """
    if frames < 1:
        raise VideoError(f"{frames} frames are too few to measure with")
    with contextlib.closing(VideoSource(opening(checked_file(Path(path))))) as source:
        track = source.track
        upscaler = model(track.width, track.height)
        encoding = encoding_for(wish, "h264", track, upscaler.scale, scale, None)
        begun = time.perf_counter()
        decoded = list(itertools.islice(source.frames(), frames))
        decode = len(decoded) / (time.perf_counter() - begun)
        kept: list[Frame] = []
        upscale = _rate(len(decoded), lambda: _enlarge(upscaler, encoding, decoded, kept))
        encode = _rate(len(decoded), lambda: _encode(encoding, _times(decoded, kept)))
    with contextlib.closing(VideoSource(opening(Path(path)))) as source:
        together = _rate(len(decoded), lambda: _all(source, upscaler, encoding, len(decoded)))
    return Rates(track, encoding, repr(upscaler), decode, upscale, encode, together)


def _rate(frames: int, work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return frames / (time.perf_counter() - begun)


def _enlarge(upscaler: Upscaler, encoding: Encoding, frames: list[Frame], kept: list[Frame]) -> None:
    def keep(frame: Frame) -> None:
        if len(kept) < _KEPT:
            kept.append(frame)

    Enlarging(upscaler, encoding.size)(frames, keep)


def _times(decoded: list[Frame], kept: list[Frame]) -> Iterable[Frame]:
    """The kept pictures, forward and backward in turn, at the times of the decoded ones."""
    there_and_back = itertools.cycle(kept + kept[-2:0:-1])
    return (dataclasses.replace(made, pts=frame.pts) for frame, made in zip(decoded, there_and_back, strict=False))


def _encode(encoding: Encoding, frames: Iterable[Frame]) -> None:
    colorer, encoder = Writer(encoding.colors, encoding.pix_fmt, *encoding.size), encoding.open()
    for frame in frames:
        picture = colorer.frame(frame.pixels)
        picture.pts, picture.time_base = frame.pts, encoding.time_base
        encoder.encode(picture)
    encoder.encode(None)


def _all(source: VideoSource, upscaler: Upscaler, encoding: Encoding, frames: int) -> None:
    pipeline: Pipeline[Frame, Frame] = Pipeline(source.name)
    pipeline.run(
        itertools.islice(source.frames(), frames),
        Enlarging(upscaler, encoding.size),
        lambda made: _encode(encoding, made),
    )
