"""Where the time of a video goes: `python -m benchmarks.video_stages CLIP --model MODEL [--preset PRESET ...]`.

Each stage works alone on the same frames; printed are the milliseconds of processor time that a frame takes, of all
threads together, the least of several rounds. Then the frames a second, by the clock, through a pipe that nobody
encodes for (y4m and rgb24 into /dev/null) and from file to file, each with the processor time of a frame. Writes
nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import itertools
import os
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.video.frame import VideoFrame

import fastsr
from benchmarks import machine
from fastsr.upscaler import Upscaler
from fastsr.video.arguments import encoder_config
from fastsr.video.codecs.color_conversion import YuvToRgb, colors_of
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.frame import Frame
from fastsr.video.outputs.pipe_output import Rgb24Writer, Y4mWriter
from fastsr.video.pipeline.stages import Pipeline
from fastsr.video.pipeline.upscale_stage import UpscaleStage
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource

HELD = 24  # frames that are enlarged and kept, forward and backward in turn


@dataclasses.dataclass
class Clip:
    """A video's first frames, as each stage takes them."""

    path: Path
    coded: list[VideoFrame]
    frames: list[Frame]
    large: list[Frame]
    config: EncoderConfig

    @property
    def count(self) -> int:
        return len(self.frames)


def read(path: Path, count: int, upscaler: Upscaler, preset: str) -> Clip:
    """The first `count` frames and, of them, HELD large ones."""
    with av.open(str(path)) as container:
        coded = list(itertools.islice(container.decode(video=0), count))
    with contextlib.closing(VideoSource(file_input(path))) as source:
        frames = list(itertools.islice(source.frames(), count))
        config = encoder_config(EncoderRequest("h264", preset=preset), "h264", source.info, upscaler.scale, None, None)
    held: list[Frame] = []
    UpscaleStage(upscaler, config.size)(frames[:HELD], held.append)
    there_and_back = itertools.cycle(held + held[-2:0:-1])
    large = [dataclasses.replace(f, pixels=next(there_and_back).pixels) for f in frames]
    return Clip(path, coded, frames, large, config)


def stages(clip: Clip, upscaler: Upscaler, presets: list[str]) -> dict[str, Callable[[], object]]:
    """What each stage does to all frames."""
    first = clip.coded[0]
    to_rgb, to_yuv = YuvToRgb(colors_of(first), first.width, first.height), clip.config.converter()
    converted = [to_yuv(frame.pixels) for frame in clip.large[:HELD]]

    def encode(preset: str) -> None:
        config = dataclasses.replace(clip.config, options={**clip.config.options, "preset": preset})
        encoder, cycle = config.open(), itertools.cycle(converted + converted[-2:0:-1])
        for frame in clip.frames:
            large = next(cycle)
            large.pts, large.time_base = frame.pts, config.time_base
            encoder.encode(large)
        encoder.encode(None)

    def decode() -> None:
        with av.open(str(clip.path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for _ in itertools.islice(container.decode(video=0), clip.count):
                pass

    made: dict[str, Callable[[], object]] = {
        "decode": decode,
        "YUV to RGB": lambda: _each(to_rgb, clip.coded),
        "checksum": lambda: _each(lambda frame: zlib.crc32(frame.pixels.data), clip.frames),
        "network": lambda: _each(lambda frame: upscaler.upscale(frame.pixels), clip.frames),
        "RGB to YUV": lambda: _each(lambda frame: to_yuv(frame.pixels), clip.large),
    }
    for preset in presets:
        made[f"x264 {preset}"] = functools.partial(encode, preset)
    made["write y4m, with RGB to YUV"] = lambda: _to_null(lambda pipe: Y4mWriter(pipe, clip.config)(clip.large))
    made["write rgb24"] = lambda: _to_null(lambda pipe: Rgb24Writer(pipe)(clip.large))
    return made


def _each(work: Callable[[Any], object], items: list[Any]) -> None:
    """Results are let go at once, as in the pipeline: their memory is taken again."""
    for item in items:
        work(item)


def _to_null(write: Callable[[BinaryIO], None]) -> None:
    with open(os.devnull, "wb") as pipe:
        write(pipe)


def whole(clip: Clip, upscaler: Upscaler, preset: str, folder: Path) -> dict[str, Callable[[], object]]:
    """All stages at once."""

    def piped(y4m: bool) -> None:
        with contextlib.closing(VideoSource(file_input(clip.path))) as source, open(os.devnull, "wb") as pipe:
            writer = Y4mWriter(pipe, clip.config) if y4m else Rgb24Writer(pipe)
            pipeline: Pipeline[Frame, Frame] = Pipeline(source.name)
            frames = itertools.islice(source.frames(), clip.count)
            pipeline.run(frames, UpscaleStage(upscaler, clip.config.size), writer)

    end = clip.count / float(clip.config.rate)
    return {
        "pipe, y4m": lambda: piped(True),
        "pipe, rgb24": lambda: piped(False),
        f"file to file, x264 {preset}": lambda: fastsr.upscale_video(
            clip.path, folder / "made.mp4", model=upscaler, preset=preset, end=end
        ),
    }


def measured(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds of processor time and by the clock, the least of so many rounds each."""
    cpu, wall = [], []
    for _ in range(rounds):
        begun = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    return min(cpu), min(wall)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="fast-x4")
    parser.add_argument("--precision", default="int8")
    parser.add_argument(
        "--preset", nargs="+", default=["superfast"], help="of x264; the first one makes the whole file"
    )
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages-only", action="store_true", help="leave out the whole")
    parser.add_argument("--whole-only", action="store_true", help="leave out the single stages")
    a = parser.parse_args()
    upscaler = fastsr.load(a.model, device="cpu", precision=a.precision)
    clip = read(a.clip, a.frames, upscaler, a.preset[0])
    said, first = machine.describe(), clip.frames[0].pixels
    print(f"{said['processor']}, {said['isa']}, {said['threads']} threads; {upscaler!r}, {clip.count} frames of")
    print(f"{first.shape[1]}x{first.shape[0]} to {clip.config.size[0]}x{clip.config.size[1]}")
    if not a.whole_only:
        print("\n| stage | ms of processor time a frame |\n|---|---|")
        for name, work in stages(clip, upscaler, a.preset).items():
            print(f"| {name} | {measured(work, a.rounds)[0] / clip.count * 1e3:.2f} |", flush=True)
    if not a.stages_only:
        print("\n| | frames/s | ms of processor time a frame |\n|---|---|---|")
        with tempfile.TemporaryDirectory() as folder:
            for name, work in whole(clip, upscaler, a.preset[0], Path(folder)).items():
                cpu, wall = measured(work, a.rounds)
                print(f"| {name} | {clip.count / wall:.1f} | {cpu / clip.count * 1e3:.2f} |", flush=True)


if __name__ == "__main__":
    main()
