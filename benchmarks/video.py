"""A video from file to file, compared with hand-written loops: `python -m benchmarks.video [--cases x4 x2 screen]`.

Measured on the same cores, taking turns round after round, each in a process of its own: our pipeline, with and without
the reuse of parts of a frame that have not changed; the same into a pipe, without an encoder; our stages alone (decode,
upscale, encode); and the loops of benchmarks.video_loops: the same weights by PyTorch and by ONNX Runtime,
Real-ESRGAN's network for video by ncnn and by OpenVINO. All encode by x264 with the same options. Slow ways make fewer
frames. Case x4 takes 480x270 to 1920x1080, x2 960x540 to 1920x1080, both of a clip made here or of `--clip`; screen
takes a recording of a screen. Writes benchmarks/results/video.json: frames per second (medians), ratios, and our share
of the slower of upscale-only and encode-only; `--dry` only prints. Ways that are not installed or fail are named and
left out.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

import fastsr
from benchmarks import machine
from benchmarks.demo import CLIP
from benchmarks.reuse import reusing
from benchmarks.turns import Ended, Runner, interleaved
from benchmarks.video_loops import CRF, OURS, PIPED, PYTORCH, WAYS, WITHOUT_REUSE, Job, target
from fastsr.engines.protocol import Precision
from fastsr.network import catalog
from fastsr.video.benchmark import measure
from fastsr.video.codecs.encoder_request import EncoderRequest
from fastsr.video.pipeline.upscale_stage import UpscaleStage
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource

RESULTS = Path(__file__).parent / "results" / "video.json"
RATE = 25
FRAMES, ALL = 100, 1 << 30
STAGES = ("decode alone", "upscale alone", "encode alone")
COMPUTED_AGAIN = "upscale alone, without reuse of parts"


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured together.

    Attributes:
        size: width and height of the clip that is made for it; None for the recording of a screen.
        scale: of the result.
        models: those of them that are shipped.
        ways: names of `video_loops.WAYS`.

    """

    size: tuple[int, int] | None
    scale: int
    models: tuple[str, ...]
    ways: tuple[str, ...]


CASES = {
    "x4": Case((480, 270), 4, ("live-x4", "fast-x4"), tuple(WAYS)),
    "x2": Case((960, 540), 2, ("live-x2", "fast-x2"), tuple(WAYS)),
    "screen": Case(None, 4, ("live-x4", "fast-x4"), (OURS, WITHOUT_REUSE, PIPED, PYTORCH)),
}


def synthetic(path: Path, frames: int, width: int, height: int) -> None:
    """A detailed image that moves, with noise, encoded by x264."""
    random = np.random.default_rng(0)
    side = width + frames * 2
    y, x = np.mgrid[0:height, 0:side] / 17
    waves = [
        127 + 70 * np.sin(x * a + np.sin(y * b) * 2) + 30 * np.sign(np.sin(y * a - x * b))
        for a, b in ((1, 2), (3, 1), (2, 5))
    ]
    wide = np.stack(waves, axis=2)
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            part = wide[:, number * 2 : number * 2 + width] + random.normal(0, 2, (height, width, 1))
            made.mux(stream.encode(VideoFrame.from_ndarray(np.clip(part, 0, 255).astype(np.uint8))))
        made.mux(stream.encode(None))


def compare(
    case: Case, model: str, source: Path, frames: int, rounds: int, preset: str, precision: Precision
) -> dict[str, Any]:
    """Frames per second of every way, and what follows from them."""
    with contextlib.closing(av.open(str(source))) as given:
        stream = given.streams.video[0]
        width, height, rate = stream.width, stream.height, stream.average_rate or Fraction(RATE)
        frames = min(frames, stream.frames or frames)
    upscaler = fastsr.load(model, device="cpu", precision=precision, video=True)
    request = EncoderRequest("h264", CRF, preset)
    stages: dict[str, list[float]] = {name: [] for name in (*STAGES, COMPUTED_AGAIN)}
    with tempfile.TemporaryDirectory() as folder:
        jobs = {
            name: Job(
                str(source), target(name, Path(folder)), model, case.scale, _of(name, frames), rate, preset, precision
            )
            for name in case.ways
        }
        runners, absent = started(jobs)
        if OURS not in runners:
            raise SystemExit("fastsr itself makes nothing of this clip; nothing was timed")

        def measure_stages() -> None:
            alone = measure(str(source), lambda *_: upscaler, frames, request, scale=case.scale)
            for name, value in zip(STAGES, (alone.decode, alone.upscale, alone.encode), strict=True):
                stages[name].append(value)
            with reusing(False):
                stages[COMPUTED_AGAIN].append(upscale_rate(source, upscaler, frames, alone.config.size))

        times = interleaved(runners, rounds, patience=float("inf"), between=measure_stages)
    rates = stages | {name: [jobs[name].frames * 1e3 / value for value in times[name]] for name in times}
    slower = [min(pair) for pair in zip(rates[STAGES[1]], rates[STAGES[2]], strict=True)]
    return {
        "model": model,
        "engine": repr(upscaler),
        "precision": upscaler.precision,
        "size": [width, height, width * case.scale, height * case.scale],
        "encoder": f"x264 {preset} crf {CRF}",
        "frames": frames,
        "frames_per_second": {name: round(statistics.median(values), 2) for name, values in rates.items()},
        # each round's own ratio: what slows one round down slows both
        "times_as_fast_as": {
            COMPUTED_AGAIN: _ratio(rates[STAGES[1]], rates[COMPUTED_AGAIN]),
            **{name: _ratio(rates[OURS], rates[name]) for name in times if name not in (OURS, PIPED)},
        },
        "share_of_slower_stage": _ratio(rates[OURS], slower),
        "absent": absent,
        "clip": source.name,
    }


def upscale_rate(source: Path, upscaler: fastsr.Upscaler, frames: int, size: tuple[int, int]) -> float:
    """Frames a second of the upscaling stage alone."""
    with contextlib.closing(VideoSource(file_input(source))) as given:
        decoded = list(itertools.islice(given.frames(), frames))
    begun = time.perf_counter()
    UpscaleStage(upscaler, size)(decoded, lambda _: None)
    return len(decoded) / (time.perf_counter() - begun)


def _of(name: str, frames: int) -> int:
    """How many frames a way makes."""
    return min(frames, WAYS[name].frames or frames)


def started(jobs: dict[str, Job]) -> tuple[dict[str, Runner], list[str]]:
    """The ways that make what they should, warm; and those that do not, with the reason."""
    runners, absent = {}, []
    for name, job in jobs.items():
        missing = WAYS[name].missing()
        if missing:
            absent.append(f"{name} ({', '.join(missing)} not installed)")
            continue
        runner = Runner(WAYS[name].make, job)
        try:
            count = int(runner.output()[0])
        except Ended as error:
            absent.append(f"{name} ({error})")
            continue
        if count != job.frames:
            runner.close()
            absent.append(f"{name} ({count} frames instead of {job.frames})")
            continue
        runners[name] = runner
    for text in absent:
        print(f"left out: {text}")
    return runners, absent


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    width, height, *large = result["size"]
    named = f"`{result['model']}` in {result.get('precision', 'fp32')}"
    made = f"{width}x{height} -> {large[0]}x{large[1]}, {named}, {result['encoder']}"
    lines = [
        f"{made}, {result['frames']} frames of `{result['clip']}`",
        "",
        "| | frames per second | fastsr is faster by |",
        "|---|---|---|",
    ]
    for name, rate in result["frames_per_second"].items():
        ratio = result["times_as_fast_as"].get(name)
        lines.append(f"| {name} | {rate:.1f} | {'' if ratio is None else f'{ratio:.1f}x'} |")
    share = result["share_of_slower_stage"]
    lines += ["", f"fastsr reaches {share:.0%} of the speed of its slower stage (upscale or encode) alone."]
    return "\n".join(lines)


def _ratio(ours: list[float], others: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, others, strict=True)), 3)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--clip", type=Path, help="a video instead of those that are made here")
    parser.add_argument("--models", nargs="+", help="instead of those of each case")
    parser.add_argument("--frames", type=int, help=f"by default {FRAMES}, and all of the recording of a screen")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preset", default="ultrafast", help="of x264, for all ways")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "fp32", "bf16", "int8"), help="of fastsr's ways"
    )
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in ((name, CASES[name]) for name in arguments.cases):
            clip = CLIP if case.size is None else arguments.clip
            frames = arguments.frames or (ALL if case.size is None else FRAMES)
            if clip is None and case.size is not None:
                clip = Path(folder) / f"synthetic-{name}.mp4"
                synthetic(clip, frames, *case.size)
            for model in arguments.models or [model for model in case.models if model in catalog.models()]:
                result = compare(case, model, clip, frames, arguments.rounds, arguments.preset, arguments.precision)
                print(table(result), flush=True)
                results.append(result)
    if not arguments.dry:
        content = {"machine": machine.describe(), "rounds": arguments.rounds, "results": results}
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
