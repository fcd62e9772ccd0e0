"""Three ways to make a whole video on this machine, in real time, fast or as well as can be, and how long each takes.

All are measured on a few frames, each within seconds; `fastsr bench` prints them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fastsr.network import catalog, heaviness
from fastsr.upscaler import Upscaler, ladder
from fastsr.video import benchmark
from fastsr.video.arguments import encoder_config
from fastsr.video.benchmark import StageRates
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.frame import Frame
from fastsr.video.outputs.pipe_output import Y4mWriter
from fastsr.video.pipeline.job import Job
from fastsr.video.pipeline.pace import Pace, TimedUpscaler, frame_deadline
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource

QUICK_PRESET = {"h264": "ultrafast", "hevc": "ultrafast"}  # of codecs whose presets make a great difference
SECONDS = 4.0  # that measuring one thing should take, about
LEAST_FRAMES = 10  # that which models are in time is looked at with
LEAST_ROWS = 64  # of a frame, of which less would be mostly border
IN_TIME = 0.98  # of the source's rate: measured rates are never quite the same


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to make a video.

    Attributes:
        model: what makes its frames; the first that is tried.
        preset: of the encoder, where it is another than was asked for; None = that.
        frame_seconds: that one frame takes.
        pace: which models made the frames that were measured, where each has a deadline; None = they have none.

    """

    model: str
    preset: str | None
    frame_seconds: float
    pace: Pace | None = None


@dataclasses.dataclass(frozen=True)
class Ways:
    """The three ways for one video.

    Attributes:
        rate: of the source, frames a second.
        frames: of the whole video; None = it does not say.
        in_real_time: shown while it is made, in time with whatever model.
        fast: into a file, with the lightest model and the quickest preset.
        best: into a file, with the model that looks best by its card, or that was named.

    """

    rate: float
    frames: int | None
    in_real_time: Way
    fast: Way
    best: Way

    @property
    def keeps_time(self) -> bool:
        """Whether frames can be made as fast as they are shown, by any model of the ladder."""
        return self.in_real_time.frame_seconds * self.rate <= 1 / IN_TIME

    def seconds(self, way: Way) -> float:
        """How long the whole video takes, or one minute of one that does not say how long it is."""
        frames = 60 * self.rate if self.frames is None else self.frames
        if way is self.in_real_time and self.keeps_time:
            return frames / self.rate
        return frames * way.frame_seconds


def measured(
    path: str,
    rates: StageRates,
    upscaler: Upscaler,
    load: Callable[[str], Upscaler] | None,
    frames: int,
    request: EncoderRequest,
    scale: float | None = None,
) -> Ways:
    """The ways for a video whose stages were measured with a model, on up to `frames` of its frames.

    `load` loads the best model by its name; None = `upscaler` was asked for by name and counts as the best. Raises
    VideoError.
    """
    with contextlib.closing(VideoSource(file_input(Path(path)))) as source:
        info = source.info
        pace, shown = _in_time(source, upscaler, rates.config, frames)
    with contextlib.closing(VideoSource(file_input(Path(path)))) as source:
        given = list(itertools.islice(source.frames(), 24))
    light = ladder(upscaler)[-1]
    best = _best(upscaler, load)
    preset = QUICK_PRESET.get(rates.config.codec) if request.preset is None else None
    encode = 1 / rates.encode
    if preset is not None:
        quick = encoder_config(dataclasses.replace(request, preset=preset), "h264", info, upscaler.scale, scale, None)
        encode = _encoding(quick, given, light)

    def upscaling(other: Upscaler) -> float:
        known = 1 / rates.upscale
        return known if other is upscaler else _upscaling(other, given, rates.config, known, _weight(other, upscaler))

    return Ways(
        rate=float(info.rate),
        frames=info.frames,
        in_real_time=Way(upscaler.name, None, shown, pace),
        fast=Way(light.name, preset, _together(rates, upscaling(light), encode)),
        best=Way(best.name, None, _together(rates, upscaling(best), 1 / rates.encode)),
    )


def _best(upscaler: Upscaler, load: Callable[[str], Upscaler] | None) -> Upscaler:
    found = heaviness.best(upscaler.scale)
    return upscaler if load is None or found is None or found.name == upscaler.name else load(found.name)


def _in_time(source: VideoSource, upscaler: Upscaler, config: EncoderConfig, frames: int) -> tuple[Pace, float]:
    """Which models make frames in time, and the seconds that a frame then takes, to a reader that is always ready."""
    timed = TimedUpscaler(upscaler, frame_deadline(float(config.rate)))
    times = [time.perf_counter()]

    def some(made: Iterable[Frame]) -> Iterator[Frame]:
        for frame in itertools.islice(made, frames):
            yield frame
            times.append(time.perf_counter())
            if len(times) > LEAST_FRAMES and times[-1] - times[1] > SECONDS:
                return

    with Path(os.devnull).open("wb") as nowhere:
        writer = Y4mWriter(nowhere, config)
        Job(source, timed, config.size, {}).run(lambda made: writer(some(made)))
    # from the first frame on, which takes what is done only once; of a single one there is nothing else
    steps = times[1:] if len(times) > 2 else times
    return timed.pace(0), (steps[-1] - steps[0]) / (len(steps) - 1)


def _upscaling(upscaler: Upscaler, given: list[Frame], config: EncoderConfig, known: float, weight: float) -> float:
    """Seconds a frame, of a few frames or of the upper rows of one.

    `known`: seconds that a model takes that is `weight` times as light.
    """
    expected, height = known * weight, len(given[0].pixels)
    rows = min(height, max(LEAST_ROWS, round(height * SECONDS / expected)))
    parts = [frame.pixels[:rows] for frame in given[: max(1, int(SECONDS / expected))]]
    size = config.size[0], max(1, round(config.size[1] * rows / height))
    begun = time.perf_counter()
    for _ in upscaler.stream(parts, size=size):
        pass
    return (time.perf_counter() - begun) / len(parts) * height / rows


def _encoding(config: EncoderConfig, given: list[Frame], upscaler: Upscaler) -> float:
    """Seconds a frame."""
    few = given[:8]
    large = list(upscaler.stream([frame.pixels for frame in few], size=config.size))
    made = [dataclasses.replace(frame, pixels=pixels) for frame, pixels in zip(few, large, strict=True)]
    begun = time.perf_counter()
    benchmark.encode_all(config, benchmark.repeated(made, given))
    return (time.perf_counter() - begun) / len(given)


def _together(rates: StageRates, upscale: float, encode: float) -> float:
    """Seconds a frame where other stages take so long, by how well those that were measured overlap.

    They share the cores, so that the whole is not much less than their sum.
    """
    alone = 1 / rates.decode + 1 / rates.upscale + 1 / rates.encode
    overlap = 1 / rates.together / alone
    return max(upscale, encode, overlap * (1 / rates.decode + upscale + encode))


def _weight(upscaler: Upscaler, other: Upscaler) -> float:
    """How many times the arithmetic of another one it is; 1 where that cannot be told."""
    models = catalog.models()
    if upscaler.name not in models or other.name not in models:
        return 1.0
    return heaviness.mflop_per_pixel(models[upscaler.name].path) / heaviness.mflop_per_pixel(models[other.name].path)
