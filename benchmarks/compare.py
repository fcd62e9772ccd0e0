"""A page on which anyone can judge blind: `python -m benchmarks.compare PHOTOGRAPHS PORTRAITS`.

Twenty images: photographs that no run may learn from (training/set-aside.txt), portraits of the set "faces", and pages
that this script draws. Made small and damaged by the real chains (training/measure/damage.py), enlarged by one of our
models and by Real-ESRGAN's x4plus, shown side by side in random order; one key is a vote.
"""

from __future__ import annotations

import argparse
import base64
import fnmatch
import html
import io
import json
import zlib
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import fastsr
from fastsr import files
from training.data.image_folders import find_images
from training.measure.damage import NAMED

TARGET = Path(__file__).parent.parent / "docs" / "compare.html"
TEMPLATE = Path(__file__).parent / "compare_page.html"
SCALE = 4
SIDE = 512  # of the originals, pixels
QUALITY = 92  # of the images on the page, WebP
PHOTOGRAPHS = (  # file-name patterns, with what the image is for
    ("elementary-wallpapers__0477fc7_Mr._Lee__0*", "signs on paper"),
    ("elementary-wallpapers__8770347_Paris_la_Tour_Eiffel__0*", "iron lattice"),
    ("elementary-wallpapers__Barn_Grafitti__0*", "bricks and boards"),
    ("elementary-wallpapers__Disco_Sea_Eye_Ferns__0*", "ferns"),
    ("elementary-wallpapers__Jairo_Alzate__0*", "a bird's skin and eye"),
    ("elementary-wallpapers__Lake_Tahoe_Colors__0*", "water and trees"),
    ("elementary-wallpapers__Musca_domestica__0*", "a fly on a flower"),
    ("elementary-wallpapers__Pawe_Czerwi_ski_Giraffe__0*", "fur"),
    ("elementary-wallpapers__Suluh_Kalba__0*", "bark"),
    ("elementary-wallpapers__The_Coast__0*", "grass"),
    ("elementary-wallpapers__Viktor_Forgacs__0*", "a facade"),
    ("elementary-wallpapers__d815991_Lighthouse__0*", "a lighthouse, sky"),
    ("elementary-wallpapers__f696571_Cold_Evening__0*", "an evening, lights"),
)
PORTRAITS = 4


def drawn(kind: str) -> Image.Image:
    """A page of text, a screenshot of a chart, or a sign: what the photographs do not show."""
    page = Image.new("RGB", (SIDE, SIDE), {"text": "white", "chart": "#f4f6f8", "sign": "#0b4f8a"}[kind])
    draw = ImageDraw.Draw(page)
    if kind == "text":
        words = "In the beginning a picture is only light that fell on silver; detail is what we remember of it."
        size, y = 40, 12
        while y < SIDE - size:
            draw.text((14, y), words[(y * 3) % 60 :], fill="#1a1a1a", font=ImageFont.load_default(size))
            y, size = y + int(size * 1.35), max(14, size - 3)
    elif kind == "chart":
        font = ImageFont.load_default(18)
        values = [0.2, 0.5, 0.35, 0.8, 0.65, 0.95]
        for i, value in enumerate(values):
            left = 60 + 70 * i
            draw.rectangle((left, 420 - 340 * value, left + 44, 420), fill=("#2b7de9", "#e9662b")[i % 2])
            draw.text((left + 4, 428), f"Q{i + 1}", fill="#333333", font=font)
        for i in range(5):
            y = 420 - 85 * i
            draw.line((50, y, 490, y), fill="#9aa4ae", width=1)
            draw.text((12, y - 10), f"{i * 25}", fill="#333333", font=font)
        draw.text((60, 20), "Frames a second by quarter", fill="#111111", font=ImageFont.load_default(26))
    else:
        draw.rounded_rectangle((20, 20, SIDE - 20, SIDE - 20), 30, outline="white", width=8)
        for y, text, size in (
            (60, "HARBOUR", 84),
            (180, "Ferry 12 km", 60),
            (280, "Old town 3.4 km", 46),
            (370, "P 24 h", 70),
        ):
            draw.text((56, y), text, fill="white", font=ImageFont.load_default(size))
    return page


def originals(photographs: list[Path], portraits: list[Path]) -> list[tuple[str, Image.Image]]:
    """Twenty images of at most SIDE x SIDE pixels, a word for each. Raises ValueError for those that are missing."""
    found = find_images(photographs)
    made = []
    for pattern, word in PHOTOGRAPHS:
        matching = [path for path in found if fnmatch.fnmatchcase(path.name, pattern)]
        if not matching:
            raise ValueError(
                f"{pattern}: not under {', '.join(map(str, photographs))}; give the folder of the photographs"
            )
        made.append((word, _read(matching[0])))
    faces = find_images(portraits)[9::10]  # those that no run may learn from
    made += [("a portrait", _read(path)) for path in faces[:: max(1, len(faces) // PORTRAITS)][:PORTRAITS]]
    return made + [(f"drawn: {kind}", drawn(kind)) for kind in ("text", "chart", "sign")]


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    width, height = (min(SIDE, side) // (2 * SCALE) * 2 * SCALE for side in rgb.size)
    left, top = (rgb.width - width) // 2, (rgb.height - height) // 2
    return rgb.crop((left, top, left + width, top + height))


def _embedded(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def page(model: str, rounds: list[dict[str, str]]) -> str:
    """The page: `rounds` have a `word` and the images `low`, `ours` and `theirs`."""
    text = TEMPLATE.read_text()
    return text.replace("@MODEL@", html.escape(model)).replace("@ROUNDS@", json.dumps(rounds).replace("</", "<\\/"))


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("--model", default="photo-x4")
    parser.add_argument(
        "--teacher", default="realesrgan-x4plus", help="whose results stand beside ours: a name or a file"
    )
    parser.add_argument("--strips", type=Path, help="also write bicubic | ours | theirs | original as PNG here")
    parser.add_argument("-o", "--out", type=Path, default=TARGET)
    arguments = parser.parse_args()
    upscaler, teacher = (fastsr.load(name, "cpu", "fp32") for name in (arguments.model, arguments.teacher))
    rounds = []
    for i, (word, high) in enumerate(originals([arguments.photographs], [arguments.portraits])):
        low = high.resize((high.width // SCALE, high.height // SCALE), Image.Resampling.BICUBIC)
        given = NAMED["real"].given(high, low, zlib.crc32(f"{i}/{word}".encode()))
        ours, theirs = upscaler.upscale(given), teacher.upscale(given)
        rounds.append({"word": word, "low": _embedded(given), "ours": _embedded(ours), "theirs": _embedded(theirs)})
        if arguments.strips:
            arguments.strips.mkdir(parents=True, exist_ok=True)
            shown = [given.resize(high.size, Image.Resampling.BICUBIC), ours, theirs, high]
            strip = Image.new("RGB", (high.width * len(shown), high.height))
            for k, image in enumerate(shown):
                strip.paste(image, (k * high.width, 0))
            strip.save(arguments.strips / f"{i:02d}.png")
    with files.replacing(arguments.out) as temporary:
        temporary.write_text(page(upscaler.name, rounds))
    print(f"wrote {arguments.out}: {len(rounds)} images")


if __name__ == "__main__":
    main()
