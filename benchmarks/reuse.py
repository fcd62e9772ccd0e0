"""What streams save by not computing twice: `python -m benchmarks.reuse VIDEO... [--model fast-x4] [--files]`.

Frames are decoded into memory and go through the upscaling stage, in turn with reuse and without; of each frame the
fastest round counts, by the clock and in processor time. Frames that equal the one before as a whole are left out by
both. `--files` times whole videos, file to file, too. The results are compared byte for byte.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

import fastsr
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.native.reuse import ReusingEngine
from fastsr.engines.protocol import Engine
from fastsr.output_size import output_size
from fastsr.upscaler import Upscaler
from fastsr.video.frame import Frame
from fastsr.video.pipeline.upscale_stage import UpscaleStage
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource

Seconds = npt.NDArray[np.float64]  # by the clock, and of processor time


@contextlib.contextmanager
def reusing(wanted: bool) -> Iterator[list[ReusingEngine]]:
    """Reuse, or none; gives the engines of all streams that begin meanwhile."""
    begun: list[ReusingEngine] = []
    usual, before = NativeEngine.for_stream, NativeEngine.reuses

    def noted(engine: NativeEngine) -> Engine:
        made = usual(engine)
        if isinstance(made, ReusingEngine):
            begun.append(made)
        return made

    NativeEngine.reuses = wanted
    NativeEngine.for_stream = noted  # type: ignore[method-assign, assignment]
    try:
        yield begun
    finally:
        NativeEngine.reuses = before
        NativeEngine.for_stream = usual  # type: ignore[method-assign]


def now() -> Seconds:
    """By the clock, and of the process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def staged(upscaler: Upscaler, frames: list[Frame], size: tuple[int, int], reuse: bool) -> tuple[Seconds, float, str]:
    """Seconds of each frame's upscaling, the share that was computed of all, and a checksum of what was made."""
    computed, digest, taken = 0.0, hashlib.sha256(), []
    with reusing(reuse) as begun:
        last: list[object] = [None]
        start = now()

        def put(frame: Frame) -> None:
            nonlocal computed, start
            taken.append(now() - start)
            if frame.pixels is not last[0]:  # not the frame before, shown again
                computed += begun[-1].computed if begun else 1.0
            last[0] = frame.pixels
            digest.update(np.ascontiguousarray(frame.pixels).data)
            start = now()

        start = now()
        UpscaleStage(upscaler, size)(frames, put)
    return np.array(taken), computed / len(frames), digest.hexdigest()


def measure(path: Path, upscaler: Upscaler, most: int, rounds: int, scale: float | None) -> str:
    """A row of the table."""
    with contextlib.closing(VideoSource(file_input(path))) as source:
        frames = list(itertools.islice(source.frames(), most))
        size = output_size(source.info.width, source.info.height, scale, None, upscaler.scale)
    runs = [[staged(upscaler, frames, size, reuse) for reuse in (True, False)] for _ in range(rounds)]
    if len({digest for run in runs for _, _, digest in run}) != 1:
        raise SystemExit(f"{path}: the results differ")
    # of each frame the round in which it was least disturbed
    with_reuse, without = (np.min([run[way][0] for run in runs], axis=0).mean(axis=0) * 1e3 for way in (0, 1))
    times = [f"{without[i]:.2f} | {with_reuse[i]:.2f} | {without[i] / with_reuse[i]:.2f}" for i in (0, 1)]
    shares = [f"{runs[0][way][1]:.1%}" for way in (1, 0)]
    return " | ".join((f"| {path.name} | {len(frames)}", *times, *shares)) + " |"


def file_to_file(path: Path, upscaler: Upscaler, rounds: int, scale: float | None) -> str:
    """A whole video, without and with reuse."""
    taken: dict[bool, list[Seconds]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for _, reuse in itertools.product(range(rounds), (True, False)):
            target = Path(folder) / f"{reuse}.mp4"
            target.unlink(missing_ok=True)
            start = now()
            with reusing(reuse):
                fastsr.upscale_video(path, target, model=upscaler, scale=scale)
            taken[reuse].append(now() - start)
        if (Path(folder) / "True.mp4").read_bytes() != (Path(folder) / "False.mp4").read_bytes():
            raise SystemExit(f"{path}: the files differ")
    without, with_reuse = (np.min(taken[reuse], axis=0) for reuse in (False, True))
    said = [
        f"{without[i]:.2f} s {what} without, {with_reuse[i]:.2f} s with: {without[i] / with_reuse[i]:.2f}"
        for i, what in enumerate(("by the clock", "of processor time"))
    ]
    return f"{path.name}, file to file: {'; '.join(said)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", default="fast-x4")
    parser.add_argument("--precision", default="int8", choices=["fp32", "bf16", "int8"])
    parser.add_argument("--scale", type=float)
    parser.add_argument("--frames", type=int, default=1000, help="at the most")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--files", action="store_true")
    given = parser.parse_args()
    upscaler = fastsr.load(given.model, device="cpu", precision=given.precision)
    print("| video | frames | ms a frame | with reuse | times | ms of CPU time | with | times | computed | with |")
    print("|---" * 10 + "|")
    for path in given.videos:
        print(measure(path, upscaler, given.frames, given.rounds, given.scale), flush=True)
    for path in given.videos if given.files else []:
        print(file_to_file(path, upscaler, given.rounds, given.scale), flush=True)


if __name__ == "__main__":
    main()
