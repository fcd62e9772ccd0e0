"""What windows with a small border change: `python -m benchmarks.overlap`.

x4plus (`pip install "fastsr[realesrgan]"`) enlarges a photograph whole and in windows whose border (`overlap=`) is far
smaller than its receptive radius; the PSNR and the largest difference between the two are what that costs.
Writes benchmarks/results/overlap.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import fastsr
from benchmarks import machine
from benchmarks.demo import PHOTO

RESULTS = Path(__file__).parent / "results" / "overlap.json"
MODEL = "realesrgan-x4plus"
OVERLAPS = (8, 16, 32, 64)


def photograph(width: int, height: int) -> np.ndarray[Any, Any]:
    """The demo's photograph, reduced to a size."""
    with Image.open(PHOTO) as image:
        return np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


def compared(model: str, width: int, height: int, tile: int) -> dict[str, Any]:
    """The rows of the table: one for each overlap, and how the image was cut."""
    pixels = photograph(width, height)
    whole = fastsr.load(model, "cpu", "fp32").upscale(pixels).astype(np.float64)
    rows = []
    for overlap in OVERLAPS:
        upscaler = fastsr.load(model, "cpu", "fp32", tile=tile, overlap=overlap)
        estimate = upscaler.estimate(width, height)
        assert estimate is not None
        difference = np.abs(upscaler.upscale(pixels) - whole)
        error = float((difference**2).mean())
        row = {
            "overlap": overlap,
            "parts": estimate.parts,
            "twice": round(estimate.twice, 3),
            "psnr": round(10 * math.log10(255**2 / error), 1) if error else None,
            "largest": int(difference.max()),
            "changed": round(float((difference > 1).mean()), 5),
        }
        print(row, flush=True)
        rows.append(row)
    return {"model": model, "size": f"{width}x{height}", "tile": tile, "rows": rows}


def table(content: dict[str, Any]) -> str:
    """Markdown: a row per overlap."""
    lines = [
        "| `overlap` | work done twice | PSNR to the whole, dB | largest difference, levels | more than a level off |",
        "|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        psnr = "the same" if row["psnr"] is None else f"{row['psnr']:.1f}"
        lines.append(
            f"| {row['overlap']} | {row['twice']:.0%} | {psnr} | {row['largest']} | {row['changed']:.3%} of samples |"
        )
    return "\n".join(lines)


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--tile", type=int, default=192)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    width, height = arguments.size
    content = compared(arguments.model, width, height, arguments.tile)
    print(table(content))
    if not arguments.dry:
        RESULTS.write_text(json.dumps({"machine": machine.describe(), **content}, indent=2) + "\n")


if __name__ == "__main__":
    main()
