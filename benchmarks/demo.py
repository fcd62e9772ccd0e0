"""Enlarge the shipped photo, and show a part of it beside bicubic: `python -m benchmarks.demo [PHOTO]`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image, ImageDraw

import fastsr
from fastsr.network import catalog

PHOTO = Path(__file__).parent / "assets" / "photo.jpg"
PANEL = 640  # side of each half of the comparison, pixels


def side_by_side(low: Image.Image, high: Image.Image, left: float, top: float, panel: int = PANEL) -> Image.Image:
    """The same square of both, at the result's own pixels: bicubic on the left, fastsr on the right.

    `left` and `top` say where the square lies, as shares (0 to 1) of the room there is; `panel` is its side in pixels.
    """
    scale = high.width / low.width
    side = min(panel, *high.size)
    x, y = round(left * (high.width - side)), round(top * (high.height - side))
    bicubic = low.resize(high.size, Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (2 * side + 8, side), "white")
    for i, (name, image) in enumerate((("bicubic", bicubic), ("fastsr", high))):
        part = image.crop((x, y, x + side, y + side)).convert("RGB")
        draw = ImageDraw.Draw(part)
        label = f"{name} x{scale:g}"
        draw.rectangle((0, side - 22, draw.textlength(label) + 12, side), fill="black")
        draw.text((6, side - 17), label, fill="white")
        canvas.paste(part, (i * (side + 8), 0))
    return canvas


def main() -> None:
    """Write `out/photo-x4.png` and `out/side-by-side.png`; print where they are and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("-o", "--output", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    start = time.perf_counter()
    upscaler = fastsr.load(catalog.default(4))
    loaded = time.perf_counter()
    with Image.open(arguments.photo) as image:
        low = image.convert("RGB")
    high = upscaler.upscale(low)
    done = time.perf_counter()

    arguments.output.mkdir(parents=True, exist_ok=True)
    result = arguments.output / f"{arguments.photo.stem}-x{upscaler.scale}.png"
    comparison = arguments.output / "side-by-side.png"
    high.save(result)
    side_by_side(low, high, 0.35, 0.35).save(comparison)
    print(f"{arguments.photo}: {low.width}x{low.height} -> {high.width}x{high.height} with {upscaler!r}")
    print(f"loading {loaded - start:.2f} s, upscaling {done - loaded:.2f} s")
    print(f"result: {result}\nbicubic beside fastsr: {comparison}")


if __name__ == "__main__":
    main()
