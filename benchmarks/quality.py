"""PSNR and SSIM of the shipped models beside bicubic: `python -m benchmarks.quality FOLDER...` (Set5, BSD100, ...).

Each folder holds high-resolution images. Writes benchmarks/results/quality.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import fastsr
from benchmarks import machine
from training import evaluate
from training.data import find_images

RESULTS = Path(__file__).parent / "results" / "quality.json"


def measure(folders: list[Path]) -> list[dict[str, Any]]:
    """One row per model and folder: PSNR (dB) and SSIM of the luma, a border of `scale` pixels cut off."""
    rows = []
    scales = sorted({m.scale for m in fastsr.models().values()}, reverse=True)
    models = [("bicubic", scale) for scale in scales] + [(m.name, m.scale) for m in fastsr.models().values()]
    for name, scale in sorted(models, key=lambda m: -m[1]):
        upscaler = fastsr.load(name)
        for folder in folders:
            values = evaluate.score(upscaler, find_images([folder]), scale)
            rows.append(
                {
                    "model": name,
                    "scale": scale,
                    "set": folder.name,
                    "precision": upscaler.precision,
                    "psnr": round(values["psnr"], 2),
                    "ssim": round(values["ssim"], 4),
                }
            )
            print(rows[-1])
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    rows = measure(parser.parse_args().folders)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
