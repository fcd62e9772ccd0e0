"""Enlarge the shipped photo, show a part of it beside bicubic, enlarge a clip: `python -m benchmarks.demo [PHOTO]`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image, ImageDraw

import fastsr
from fastsr.network import catalog

PHOTO = Path(__file__).parent / "assets" / "photo.jpg"
CLIP = PHOTO.with_name("screen-480x270.mp4")
PART = (3.0, 4.5)  # of the clip, seconds: the page is scrolled, so that most frames have to be computed
PANEL, GAP = 640, 8  # side of each part of a comparison and what lies between two, pixels


def side_by_side(low: Image.Image, high: Image.Image, left: float, top: float, panel: int = PANEL) -> Image.Image:
    """The same square of both, at the result's own pixels: bicubic on the left, fastsr on the right; see `panels`."""
    factor = f"x{high.width / low.width:g}"
    bicubic = low.resize(high.size, Image.Resampling.BICUBIC)
    return panels({f"bicubic {factor}": bicubic, f"fastsr {factor}": high}, left, top, panel)


def panels(images: dict[str, Image.Image], left: float, top: float, panel: int = PANEL) -> Image.Image:
    """The same square of images of one size, side by side, each with its name.

    `left` and `top` say where the square lies, as shares (0 to 1) of the room there is; `panel` is its side in pixels.
    """
    width, height = next(iter(images.values())).size
    side = min(panel, width, height)
    x, y = round(left * (width - side)), round(top * (height - side))
    canvas = Image.new("RGB", (len(images) * (side + GAP) - GAP, side), "white")
    for i, (name, image) in enumerate(images.items()):
        part = image.crop((x, y, x + side, y + side)).convert("RGB")
        draw = ImageDraw.Draw(part)
        draw.rectangle((0, side - 22, draw.textlength(name) + 12, side), fill="black")
        draw.text((6, side - 17), name, fill="white")
        canvas.paste(part, (i * (side + GAP), 0))
    return canvas


def video(target: Path) -> str:
    """Enlarge a part of the shipped clip into a file; what came of it, for people."""
    begun = time.perf_counter()
    try:
        made = fastsr.upscale_video(CLIP, target, start=PART[0], end=PART[1], preset="ultrafast")
    except fastsr.VideoError as error:  # PyAV is missing
        return f"{CLIP}: left out; {error}"
    seconds = time.perf_counter() - begun
    frames = f"{made.frames} frames, {made.repeated} of them as the one before"
    rate = f"{seconds:.2f} s, {made.frames / seconds:.1f} frames a second"
    return f"{CLIP}: {frames}, {rate}\nresult: {target}"


def main() -> None:
    """Write the results and `side-by-side.png` into a folder; print where they are and how long it took."""
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
    print(video(arguments.output / f"{CLIP.stem}-x{upscaler.scale}.mp4"))


if __name__ == "__main__":
    main()
