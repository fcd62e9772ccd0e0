"""`fastsr bench`: how fast a video is decoded, upscaled and encoded on this machine, each alone and all at once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.upscaler import Upscaler
from fastsr.video.arguments import checked_file, encoder_config
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.frame import Frame
from fastsr.video.pipeline.stages import Pipeline
from fastsr.video.pipeline.upscale_stage import UpscaleStage
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.stream_info import StreamInfo
from fastsr.video.sources.video_source import VideoSource

_KEPT = 24  # upscaled frames that are held in memory to encode from, in turn


@dataclasses.dataclass(frozen=True)
class StageRates:
    """Frames a second, each stage alone and the pipeline as a whole."""

    source: StreamInfo
    config: EncoderConfig
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
        source, config = self.source, self.config
        rows = [
            f"{source.width}x{source.height} -> {config.size[0]}x{config.size[1]}, {self.upscaler}, "
            f"{config.encoder} {config.options}",
            f"decode   {self.decode:8.1f} frames/s",
            f"upscale  {self.upscale:8.1f} frames/s",
            f"encode   {self.encode:8.1f} frames/s",
            f"together {self.together:8.1f} frames/s",
            f"limited by {self.limit}: the pipeline reaches {self.share:.0%} of that stage's rate alone, "
            f"{self.together / float(source.rate):.2f}x real time",
        ]
        return "\n".join(rows)


def measure(
    path: str, model: Callable[[int, int], Upscaler], frames: int, request: EncoderRequest, scale: float | None = None
) -> StageRates:
    """Rates for the first `frames` of a video, which are repeated where it has fewer. Nothing is written.

    Raises VideoError for what is no video.
    """
    if frames < 1:
        raise VideoError(f"{frames} frames are too few to measure with")
    with contextlib.closing(VideoSource(file_input(checked_file(Path(path))))) as source:
        info = source.info
        upscaler = model(info.width, info.height)
        config = encoder_config(request, "h264", info, upscaler.scale, scale, None)
        begun = time.perf_counter()
        decoded = list(itertools.islice(source.frames(), frames))
        decode = len(decoded) / (time.perf_counter() - begun)
        kept: list[Frame] = []
        upscale = _rate(len(decoded), lambda: _upscale(upscaler, config, decoded, kept))
        encode = _rate(len(decoded), lambda: encode_all(config, repeated(kept, decoded)))
    with contextlib.closing(VideoSource(file_input(Path(path)))) as source:
        together = _rate(len(decoded), lambda: _run_together(source, upscaler, config, len(decoded)))
    return StageRates(info, config, repr(upscaler), decode, upscale, encode, together)


def _rate(frames: int, work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return frames / (time.perf_counter() - begun)


def _upscale(upscaler: Upscaler, config: EncoderConfig, frames: list[Frame], kept: list[Frame]) -> None:
    def keep(frame: Frame) -> None:
        if len(kept) < _KEPT:
            kept.append(frame)

    UpscaleStage(upscaler, config.size)(frames, keep)


def repeated(kept: list[Frame], decoded: list[Frame]) -> Iterable[Frame]:
    """The kept frames, forward and backward in turn, at the times of the decoded ones."""
    there_and_back = itertools.cycle(kept + kept[-2:0:-1])
    return (dataclasses.replace(made, pts=frame.pts) for frame, made in zip(decoded, there_and_back, strict=False))


def encode_all(config: EncoderConfig, frames: Iterable[Frame]) -> None:
    """Encode frames, and keep nothing."""
    to_yuv, encoder = config.converter(), config.open()
    for frame in frames:
        converted = to_yuv(frame.pixels)
        converted.pts, converted.time_base = frame.pts, config.time_base
        encoder.encode(converted)
    encoder.encode(None)


def _run_together(source: VideoSource, upscaler: Upscaler, config: EncoderConfig, frames: int) -> None:
    pipeline: Pipeline[Frame, Frame] = Pipeline(source.name)
    pipeline.run(
        itertools.islice(source.frames(), frames),
        UpscaleStage(upscaler, config.size),
        lambda made: encode_all(config, made),
    )
