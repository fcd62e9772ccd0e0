"""Quality of the shipped models beside bicubic: `python -m benchmarks.quality FOLDER...` (Set5, BSD100, ...).

Each folder holds high-resolution images. PSNR, SSIM and LR-consistency (see training/measure/evaluate.py); LPIPS too
with `--weights`. Writes benchmarks/results/quality.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import fastsr
from benchmarks import machine
from fastsr.engines.protocol import PRECISIONS, Precision
from training.data.image_folders import find_images
from training.measure import evaluate

RESULTS = Path(__file__).parent / "results" / "quality.json"


def measure(
    folders: list[Path],
    precisions: list[Precision],
    lpips: evaluate.Perceptual | None = None,
    only: list[str] | None = None,
) -> list[dict[str, Any]]:
    """One row per model, precision and folder, with the means that `evaluate.score` gives.

    Where a model falls back to another precision than the one asked for, that row is left out; bicubic has fp32 alone.
    """
    rows = []
    scales = sorted({m.scale for m in fastsr.models().values()}, reverse=True)
    models = [("bicubic", scale) for scale in scales] + [(m.name, m.scale) for m in fastsr.models().values()]
    for name, scale in sorted(models, key=lambda m: -m[1]):
        if only and name not in only:
            continue
        for precision in precisions:
            upscaler = fastsr.load(name, precision=precision)
            if upscaler.precision != precision:
                continue
            for folder in folders:
                values = evaluate.score(upscaler, find_images([folder]), scale, lpips)
                row = {"model": name, "scale": scale, "set": folder.name, "precision": precision}
                rows.append(row | evaluate.rounded(values))
                print(rows[-1])
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS[1:], default=["fp32"])
    parser.add_argument("--weights", type=Path, help="folder with the weights of LPIPS, to measure it too")
    parser.add_argument("--models", nargs="+", help="measure only these; rows of the others stay")
    arguments = parser.parse_args()
    lpips = None if arguments.weights is None else evaluate.perceptual(arguments.weights)
    rows = measure(arguments.folders, arguments.precisions, lpips, arguments.models)
    if arguments.models:
        kept = [r for r in json.loads(RESULTS.read_text())["rows"] if r["model"] not in arguments.models]
        rows = sorted(kept + rows, key=lambda r: -r["scale"])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
