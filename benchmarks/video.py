"""A video from file to file, compared with hand-written loops: `python -m benchmarks.video [CLIP]`.

Measured on the same cores, taking turns round after round: our pipeline; its stages alone (decode, upscale, encode);
and loops as users write them, one frame after the other: PyAV -> PyTorch eager fp32 -> PyAV, and the same with ONNX
Runtime. All encode by x264 with the same options. Without CLIP a video of 480x270 is made. Writes
benchmarks/results/video.json: frames per second (medians), ratios, and our share of the slower of upscale-only and
encode-only; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import VideoFrame

import fastsr
from benchmarks import machine
from benchmarks.cpu_engines import eager, session
from benchmarks.turns import Way
from fastsr import _core
from fastsr.network import catalog, onnx_reader
from fastsr.video.benchmark import measure
from fastsr.video.codecs.encoder_request import EncoderRequest

RESULTS = Path(__file__).parent / "results" / "video.json"
HEIGHT, WIDTH, RATE = 270, 480, 25
CRF = 18
STAGES = ("decode alone", "upscale alone", "encode alone")
OURS, PYTORCH, ONNX = "fastsr", "PyAV + PyTorch eager fp32", "PyAV + ONNX Runtime fp32"


def synthetic(path: Path, frames: int) -> None:
    """A detailed image that moves, with noise, encoded by x264 at 480x270."""
    random = np.random.default_rng(0)
    side = WIDTH + frames * 2
    y, x = np.mgrid[0:HEIGHT, 0:side] / 17
    waves = [
        127 + 70 * np.sin(x * a + np.sin(y * b) * 2) + 30 * np.sign(np.sin(y * a - x * b))
        for a, b in ((1, 2), (3, 1), (2, 5))
    ]
    wide = np.stack(waves, axis=2)
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            part = wide[:, number * 2 : number * 2 + WIDTH] + random.normal(0, 2, (HEIGHT, WIDTH, 1))
            made.mux(stream.encode(VideoFrame.from_ndarray(np.clip(part, 0, 255).astype(np.uint8))))
        made.mux(stream.encode(None))


def looped(way: Way, source: Path, target: Path, frames: int, preset: str) -> int:
    """One frame after the other: decoded, enlarged, encoded; returns how many."""
    options, count = {"crf": str(CRF), "preset": preset}, 0
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        source_stream = given.streams.video[0]
        stream = None
        for frame in itertools.islice(given.decode(source_stream), frames):
            pixels: npt.NDArray[Any] = frame.to_ndarray(format="rgb24")
            large = VideoFrame.from_ndarray(way(pixels))
            count += 1
            if stream is None:
                stream = made.add_stream("libx264", rate=source_stream.average_rate, options=options)
                stream.width, stream.height, stream.pix_fmt = large.width, large.height, "yuv420p"
            large.pts, large.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(large))
        if stream is not None:
            made.mux(stream.encode(None))
    return count


def ways(model: str, source: Path, folder: Path, frames: int, preset: str) -> dict[str, Callable[[], int]]:
    """Name -> what makes the whole file and returns how many frames it has."""
    network = onnx_reader.read(catalog.find(model))
    upscaler = fastsr.load(model, device="cpu")
    end = float(Fraction(frames) / _rate_of(source))
    pytorch, onnx = eager(network, last=True), session(network.serialized, network.input)
    options: dict[str, Any] = {"model": upscaler, "crf": CRF, "preset": preset, "end": end}
    return {
        OURS: lambda: fastsr.upscale_video(source, folder / "ours.mp4", **options).frames,
        PYTORCH: lambda: looped(pytorch, source, folder / "pytorch.mp4", frames, preset),
        ONNX: lambda: looped(onnx, source, folder / "onnx.mp4", frames, preset),
    }


def compare(model: str, source: Path, frames: int, rounds: int, preset: str) -> dict[str, Any]:
    """Frames per second of every way, and what follows from them."""
    upscaler = fastsr.load(model, device="cpu")
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made = ways(model, source, Path(folder), frames, preset)
        # engines and caches are warm from here on
        counts = {name: run() for name, run in made.items()}
        if len(set(counts.values())) > 1:
            raise SystemExit(f"the ways made different numbers of frames: {counts}; nothing was timed")
        frames = counts[OURS]
        for _ in range(rounds):
            alone = measure(str(source), lambda *_: upscaler, frames, EncoderRequest("h264", CRF, preset))
            for name, rate in zip(STAGES, (alone.decode, alone.upscale, alone.encode), strict=True):
                rates.setdefault(name, []).append(rate)
            for name, run in made.items():
                begun = time.perf_counter()
                run()
                rates.setdefault(name, []).append(frames / (time.perf_counter() - begun))
    slower = [min(pair) for pair in zip(rates[STAGES[1]], rates[STAGES[2]], strict=True)]
    return {
        "model": model,
        "engine": repr(upscaler),
        "size": [alone.source.width, alone.source.height, *alone.config.size],
        "encoder": f"x264 {preset} crf {CRF}",
        "frames": frames,
        "frames_per_second": {name: round(statistics.median(values), 2) for name, values in rates.items()},
        # each round's own ratio: what slows one round down slows both
        "times_as_fast_as": {name: _ratio(rates[OURS], rates[name]) for name in (PYTORCH, ONNX)},
        "share_of_slower_stage": _ratio(rates[OURS], slower),
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    width, height, *large = result["size"]
    lines = [
        f"{width}x{height} -> {large[0]}x{large[1]}, `{result['model']}`, {result['encoder']}",
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


def _rate_of(source: Path) -> Fraction:
    with contextlib.closing(av.open(str(source))) as given:
        return given.streams.video[0].average_rate or Fraction(RATE)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--model", default="fast-x4")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preset", default="ultrafast", help="of x264, for all ways")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(_core.thread_count())
    with tempfile.TemporaryDirectory() as folder:
        clip = arguments.clip
        if clip is None:
            clip = Path(folder) / "synthetic.mp4"
            synthetic(clip, arguments.frames)
        result = compare(arguments.model, clip, arguments.frames, arguments.rounds, arguments.preset)
    result["clip"] = "synthetic" if arguments.clip is None else arguments.clip.name
    print(table(result))
    if not arguments.dry:
        content = {"machine": machine.describe(), "rounds": arguments.rounds, "results": [result]}
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
