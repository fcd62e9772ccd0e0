"""The twenty pictures of docs/compare.html: photographs and portraits set aside before training, and drawn pages.

photo-x4 learned from none of them (training/set-aside.txt); the best step of its run was chosen on the photographs but
the first. Made small and damaged by the real chains of training/measure/damage.py in turn.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training.data.image_folders import find_images
from training.measure.damage import CHAINS

SCALE = 4
SIDE = 400  # of the originals, pixels, where they are as large


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A part of a photograph.

    Attributes:
        pattern: of its file's name.
        word: what the picture is for.
        credit: of CREDITS.
        left: where the part lies, as a share of the room there is.
        top: likewise.

    """

    pattern: str
    word: str
    credit: str
    left: float = 0.5
    top: float = 0.5


CREDITS = {  # title, author, licence; by the copyright files that came with the photographs
    "lee": "lantern by Mr. Lee, CC0 (elementary wallpapers)",
    "phare": "Phare du Petit Minou by William Bout, CC0 (Fedora backgrounds)",
    "indri": "indri by Hans-Jürgen Mager, CC0 (Ubuntu MATE artwork)",
    "kinkaku": "Kinkaku-ji by Elizabeth K. Joseph, CC-BY-3.0 (Xubuntu community wallpapers)",
    "friends": "friends by Aitzol Berasategi, CC-BY-4.0 (Lomiri wallpapers)",
    "bridge": "Bridge, UnionTech Software Technology, CC-BY-4.0 (deepin wallpapers)",
    "portrait": "official portraits of members of the Congress, works of the US government, public domain",
    "drawn": "the pages are drawn by fastsr, Apache-2.0",
}
PHOTOGRAPHS = (
    Photograph("elementary-wallpapers__0477fc7_Mr._Lee__0*", "signs on paper", "lee", 0.0, 0.3),
    Photograph("fedora-backgrounds__phare-du-petit-minou__0*", "masonry at dusk", "phare", 0.3, 0.2),
    Photograph("ubuntu-mate-artwork__hans-jurgen-mager-indri__1*", "leaves", "indri", 1.0, 0.5),
    Photograph("ubuntu-mate-artwork__hans-jurgen-mager-indri__3*", "fur", "indri"),
    Photograph("ubuntu-mate-artwork__hans-jurgen-mager-indri__4*", "an animal's face", "indri", 0.0, 1.0),
    Photograph("xubuntu-community__Kinkaku_Ji_by_Elizabeth_K_Joseph__0*", "a temple", "kinkaku", 0.5, 0.0),
    Photograph("xubuntu-community__Kinkaku_Ji_by_Elizabeth_K_Joseph__2*", "leaves against the sky", "kinkaku", 1, 0),
    Photograph("xubuntu-community__Kinkaku_Ji_by_Elizabeth_K_Joseph__6*", "trees by the water", "kinkaku", 0.5, 0.2),
    Photograph("debian-lomiri-16.04__friends_by_Aitzol_Berasategi__1*", "boards", "friends"),
    Photograph("debian-lomiri-16.04__friends_by_Aitzol_Berasategi__2*", "a dog at a window", "friends", 1.0, 1.0),
    Photograph("deepin-wallpapers__Bridge__2*", "a bridge, sky", "bridge", 0.5, 0.4),
    Photograph("deepin-wallpapers__Bridge__0*", "water", "bridge"),
)
PORTRAITS = 4


@dataclasses.dataclass(frozen=True)
class Picture:
    """One of the twenty: what it is for, its original, and what is enlarged."""

    word: str
    credit: str
    high: Image.Image
    low: Image.Image


def pictures(photographs: Path, portraits: Path) -> list[Picture]:
    """The twenty, the same on every machine. Raises ValueError for a photograph that is missing."""
    made = []
    for i, (word, credit, high) in enumerate(originals(photographs, portraits)):
        size = (high.width // SCALE, high.height // SCALE)
        made.append(Picture(word, CREDITS[credit], high, CHAINS[i % len(CHAINS)](high, size, random.Random(i))))
    return made


def originals(photographs: Path, portraits: Path) -> list[tuple[str, str, Image.Image]]:
    """A word, a key of CREDITS and a square image for each. Raises ValueError for a photograph that is missing."""
    made = []
    for wanted in PHOTOGRAPHS:
        path = found(wanted, photographs)
        made.append((wanted.word, wanted.credit, _square(path, wanted.left, wanted.top)))
    faces = find_images([portraits])[9::10]  # those that no run may learn from
    chosen = faces[:: max(1, len(faces) // PORTRAITS)][:PORTRAITS]
    made += [("a portrait", "portrait", _square(path, 0.5, 0.1)) for path in chosen]
    return made + [(f"drawn: {kind}", "drawn", draw()) for kind, draw in DRAWN.items()]


def found(wanted: Photograph, photographs: Path) -> Path:
    """The file of a photograph. Raises ValueError where it is missing."""
    matching = [path for path in find_images([photographs]) if fnmatch.fnmatchcase(path.name, wanted.pattern)]
    if not matching:
        raise ValueError(f"{wanted.pattern}: not under {photographs}; give the folder of the photographs")
    return matching[0]


def _square(path: Path, left: float, top: float) -> Image.Image:
    """A part of an image file; `left` and `top` say where it lies, as shares of the room there is."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    side = min(SIDE, *rgb.size) // (2 * SCALE) * 2 * SCALE
    x, y = round(left * (rgb.width - side)), round(top * (rgb.height - side))
    return rgb.crop((x, y, x + side, y + side))


def _text() -> Image.Image:
    page = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(page)
    words = "In the beginning a picture is only light that fell on silver; detail is what we remember of it."
    size, y = 40, 8
    while y < SIDE - size:
        draw.text((12, y), words[(y * 3) % 50 :], fill="#1a1a1a", font=ImageFont.load_default(size))
        y, size = y + int(size * 1.35), max(20, size - 3)
    return page


def _chart() -> Image.Image:
    page = Image.new("RGB", (SIDE, SIDE), "#f4f6f8")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    draw.text((44, 12), "Frames by quarter", fill="#111111", font=ImageFont.load_default(26))
    for i in range(5):
        y = 350 - 70 * i
        draw.line((44, y, 388, y), fill="#9aa4ae", width=1)
        draw.text((8, y - 10), f"{i * 25}", fill="#333333", font=font)
    for i, value in enumerate((0.2, 0.5, 0.35, 0.8, 0.65, 0.95)):
        left = 52 + 56 * i
        draw.rectangle((left, 350 - 280 * value, left + 36, 350), fill=("#2b7de9", "#e9662b")[i % 2])
        draw.text((left + 4, 358), f"Q{i + 1}", fill="#333333", font=font)
    return page


def _sign() -> Image.Image:
    page = Image.new("RGB", (SIDE, SIDE), "#0b4f8a")
    draw = ImageDraw.Draw(page)
    draw.rounded_rectangle((14, 14, SIDE - 14, SIDE - 14), 26, outline="white", width=7)
    for y, text, size in (
        (44, "HARBOUR", 66),
        (142, "Ferry 12 km", 48),
        (220, "Old town 3.4 km", 36),
        (292, "P 24 h", 56),
    ):
        draw.text((40, y), text, fill="white", font=ImageFont.load_default(size))
    return page


def _screenshot() -> Image.Image:
    """A window with a menu, a list and a terminal."""
    page = Image.new("RGB", (SIDE, SIDE), "#3a6ea5")
    draw = ImageDraw.Draw(page)
    small, usual = ImageFont.load_default(18), ImageFont.load_default(22)
    draw.rounded_rectangle((16, 16, 392, 392), 10, fill="#fafafa", outline="#7a7a7a")
    draw.rounded_rectangle((16, 16, 392, 52), 10, fill="#dcdfe4")
    for x, color in ((30, "#ff5f57"), (52, "#febc2e"), (74, "#28c840")):
        draw.ellipse((x, 26, x + 14, 40), fill=color)
    draw.text((150, 22), "Photographs", fill="#222222", font=usual)
    for i, (name, size) in enumerate((("beach.jpg", "2.4 MB"), ("boat.png", "912 kB"), ("night.heic", "1.1 MB"))):
        y = 62 + 32 * i
        draw.rectangle((24, y, 384, y + 30), fill="#d5e6fb" if i == 1 else "#fafafa")
        draw.text((36, y + 4), name, fill="#222222", font=small)
        draw.text((300, y + 4), size, fill="#666666", font=small)
    draw.rectangle((24, 166, 384, 316), fill="#1e1e2e")
    for i, (line, color) in enumerate(
        (
            ("$ fastsr upscale boat.png", "#e6e6e6"),
            ("boat-x4.png", "#8bd5ca"),
            ("1 made, 0 failed", "#f5a97f"),
            ("$ _", "#e6e6e6"),
        )
    ):
        draw.text((34, 174 + 34 * i), line, fill=color, font=usual)
    draw.rounded_rectangle((270, 334, 376, 374), 8, fill="#2b7de9")
    draw.text((294, 342), "Open", fill="white", font=usual)
    draw.rounded_rectangle((150, 334, 256, 374), 8, outline="#9aa4ae", width=2)
    draw.text((168, 342), "Cancel", fill="#333333", font=usual)
    return page


DRAWN: dict[str, Callable[[], Image.Image]] = {
    "text": _text,
    "chart": _chart,
    "sign": _sign,
    "screenshot": _screenshot,
}
