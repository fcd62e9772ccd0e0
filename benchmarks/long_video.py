"""Whether memory stays flat over a long video: `python -m benchmarks.long_video [--minutes 10]`.

A small video of so many minutes is made, 25 frames a second, and upscaled from file to file. Resident memory is read
behind every fiftieth part of it; printed are the most in each tenth, and by how much the last tenth needs more than the
second one, by when everything is allocated. Writes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

import fastsr
from benchmarks.memory import MIB, resident
from fastsr.video.pipeline.progress import Progress

RATE = 25
TENTHS, PARTS = 10, 50


def moving(path: Path, frames: int, width: int, height: int) -> None:
    """Waves that move, no frame like the one before."""
    y, x = np.mgrid[0:height, 0:width]
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            waves = [127 + 120 * np.sin(x / (5 + c) + y / 7 + number * (c + 1) / 9) for c in range(3)]
            made.mux(stream.encode(VideoFrame.from_ndarray(np.stack(waves, axis=2).astype(np.uint8))))
        made.mux(stream.encode(None))


def main() -> None:
    """Make, upscale, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", default="fast-x2")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 54), metavar=("WIDTH", "HEIGHT"))
    a = parser.parse_args()
    frames = round(a.minutes * 60 * RATE)
    upscaler = fastsr.load(a.model, device="cpu")
    most = [0] * TENTHS

    def watch(progress: Progress) -> None:
        if progress.frames % max(1, frames // PARTS) == 0:
            tenth = min(TENTHS - 1, progress.frames * TENTHS // frames)
            most[tenth] = max(most[tenth], resident("VmRSS"))

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "long.mp4"
        moving(source, frames, *a.size)
        begun = time.perf_counter()
        made = fastsr.upscale_video(source, Path(folder) / "large.mp4", model=upscaler, progress=watch)
        seconds = time.perf_counter() - begun
    print(f"{upscaler!r}: {made.frames} frames, {a.minutes:g} minutes, in {seconds:.0f} s")
    print("MiB at most in each tenth: " + " ".join(f"{value / MIB:.1f}" for value in most))
    print(f"the last tenth takes {(most[-1] - most[1]) / MIB:+.1f} MiB over the second")


if __name__ == "__main__":
    main()
