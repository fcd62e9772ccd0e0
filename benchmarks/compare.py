"""A page on which anyone can judge blind: `python -m benchmarks.compare PHOTOGRAPHS PORTRAITS`.

The twenty pictures of `benchmarks.compare_pictures`, enlarged by one of our models and by Real-ESRGAN's x4plus, stand
side by side in random order; one key is a vote. `--strips FOLDER` also writes bicubic | fast-x4 | ours | theirs |
original of each as PNG, and prints how strong a grid there is in each (`training.learning.validation.grid`: energy at
multiples of 1/4 cycle a pixel over that beside; about 1 for a photograph).
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import fastsr
from benchmarks import compare_pictures
from benchmarks.compare_pictures import SIDE, Picture
from benchmarks.demo import panels
from fastsr import files
from training.learning import validation

TARGET = Path(__file__).parent.parent / "docs" / "compare.html"
TEMPLATE = Path(__file__).parent / "compare_page.html"
FAITHFUL = "fast-x4"  # on strips only
QUALITY = 95  # of the images on the page, WebP


def by_all_ways(
    picture: Picture, ours: Image.Image, theirs: Image.Image, names: tuple[str, str]
) -> dict[str, Image.Image]:
    """What is looked at: the results of all ways by name, the original last."""
    size = picture.high.size
    return {
        "bicubic": picture.low.resize(size, Image.Resampling.BICUBIC),
        FAITHFUL: fastsr.upscale(picture.low, model=FAITHFUL, device="cpu", precision="fp32"),
        names[0]: ours,
        names[1]: theirs,
        f"original: {picture.word}": picture.high,
    }


def grids(images: dict[str, Image.Image]) -> str:
    """How strong a grid there is in each image, as text."""
    made = []
    for name, image in images.items():
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        made.append(f"{name} {validation.grid(pixels):.1f}")
    return ", ".join(made)


def page(model: str, rounds: list[dict[str, str]], credits: list[str]) -> str:
    """The page: `rounds` have a `word` and the images `low`, `ours` and `theirs`; `credits` is HTML."""
    text = TEMPLATE.read_text()
    text = text.replace("@CREDITS@", "; ".join(map(html.escape, credits)))
    return text.replace("@MODEL@", html.escape(model)).replace("@ROUNDS@", json.dumps(rounds).replace("</", "<\\/"))


def _embedded(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--model", default="photo-x4")
    parser.add_argument(
        "--teacher", default="realesrgan-x4plus", help="whose results stand beside ours: a name or a file"
    )
    parser.add_argument("--strips", type=Path, help="a folder; also write a strip of each picture there")
    parser.add_argument("-o", "--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    upscaler, teacher = (fastsr.load(name, "cpu", "fp32") for name in (arguments.model, arguments.teacher))
    rounds: list[dict[str, str]] = []
    credits: dict[str, None] = {}
    for picture in compare_pictures.pictures(arguments.photographs, arguments.portraits):
        ours, theirs = upscaler.upscale(picture.low), teacher.upscale(picture.low)
        images = {"low": picture.low, "ours": ours, "theirs": theirs}
        if arguments.strips:
            arguments.strips.mkdir(parents=True, exist_ok=True)
            ways = by_all_ways(picture, ours, theirs, (upscaler.name, teacher.name))
            panels(ways, 0, 0, panel=SIDE).save(arguments.strips / f"{len(rounds):02d}.png")
            print(f"{len(rounds):02d}: grid: {grids(ways)}", flush=True)
        rounds.append({"word": picture.word} | {name: _embedded(image) for name, image in images.items()})
        credits[picture.credit] = None
    with files.replacing(arguments.out) as temporary:
        temporary.write_text(page(upscaler.name, rounds, list(credits)))
    print(f"wrote {arguments.out}: {len(rounds)} images")


if __name__ == "__main__":
    main()
