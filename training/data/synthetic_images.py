"""Images drawn by a script, of kinds that are rare in photographs: text and line art, ramps, flat colours.

The same seed draws the same images. Seeds keep those that ranges are calibrated on apart from those that cards are
measured on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

MEASURED, CALIBRATED = 0, 1  # seeds

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
INKS: dict[str, list[tuple[Color, Color]]] = {  # ink and paper
    "black on white": [(BLACK, WHITE)],
    "white on black": [(WHITE, BLACK)],
    "coloured": [((255, 0, 0), WHITE), ((255, 255, 0), (0, 0, 255)), ((40, 110, 60), (225, 215, 190))],
}
PAGE = (448, 320)  # width and height, pixels
SIZES = (48, 36, 26, 18, 13)  # of letters, pixels
TEXT = "The quick brown fox jumps over 13 lazy dogs; Sphinx of black quartz, judge my vow! 0123456789 24.50 %"

GRAYS = (0, 64, 128, 192, 255)
FLATS = 32  # colours

SPANS = (((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ((0.2, 0.2, 0.2), (0.3, 0.3, 0.3)), ((0.9, 0.4, 0.2), (0.1, 0.5, 0.9)))
RAMP = 64  # side of a ramp before it is enlarged, pixels


def pages(seed: int) -> dict[str, list[Image.Image]]:
    """High-resolution pages of text and line art, RGB, by how they are coloured."""
    random = np.random.default_rng(seed)
    return {name: [_page(random, *pair) for pair in pairs] for name, pairs in INKS.items()}


def _page(random: np.random.Generator, ink: Color, paper: Color) -> Image.Image:
    width, height = PAGE
    page = Image.new("RGB", PAGE, paper)
    draw = ImageDraw.Draw(page)
    y = 3
    for size in SIZES:
        line = " ".join(random.permutation(TEXT.split()))
        draw.text((int(random.integers(2, 9)), y), line, fill=ink, font=ImageFont.load_default(size=size))
        y += round(size * 1.3)
    bottom = height - 6
    for i in range(8):  # strokes of all slopes, 1 to 4 pixels wide
        x = 8 + 18 * i
        draw.line((x, y + 4, x + int(random.integers(-6, 40)), bottom), fill=ink, width=1 + i % 4)
    draw.ellipse((190, y + 4, 270, bottom), outline=ink, width=3)
    draw.rectangle((285, y + 4, 350, bottom), outline=ink, width=2)
    for i in range(8):
        draw.line((362, y + 6 + 13 * i, width - 6, y + 6 + 13 * i), fill=ink, width=1 + i // 2)
    return page


def ramps(scale: int) -> list[tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]]:
    """Even ramps of 16-bit RGB from one colour to another: RAMP x RAMP pixels, and the same `scale` times larger."""
    made = []
    for i, (first, last) in enumerate(SPANS):
        pair = []
        for side in (RAMP, RAMP * scale):
            along = ((np.arange(side) + 0.5) / side)[None, :, None]
            ramp = np.broadcast_to((1 - along) * np.array(first) + along * np.array(last), (side, side, 3))
            turned = ramp if i % 2 == 0 else ramp.transpose(1, 0, 2)
            pair.append(np.ascontiguousarray(np.rint(turned * 65535).astype(np.uint16)))
        made.append((pair[0], pair[1]))
    return made


def flats(seed: int) -> list[Color]:
    """8-bit colours: grays, the corners of the RGB cube, and others by chance."""
    corners = [(255 * (i & 1), 255 * (i >> 1 & 1), 255 * (i >> 2)) for i in range(1, 7)]
    fixed = [*((v, v, v) for v in GRAYS), *corners]
    chance = np.random.default_rng(seed).integers(0, 256, (FLATS - len(fixed), 3))
    return [*fixed, *((int(r), int(g), int(b)) for r, g, b in chance)]
