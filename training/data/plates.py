"""Licence plates drawn flat, as they are made: layouts of many countries with registrations by chance."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from training.data import plate_fonts
from training.data.plate_layouts import BLACK, BLUE, Color, Layout

Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclasses.dataclass(frozen=True)
class Plate:
    """A plate seen from the front."""

    image: Image.Image  # RGB, with the holder that is around it
    rows: tuple[tuple[str, Box], ...]  # letters and digits of each row, and where they are, pixels of `image`


def registration(layout: Layout, draws: random.Random) -> str:
    """A pattern of the layout with characters in it; gaps, dashes, seals and row ends stay."""
    pattern = draws.choice(layout.patterns)
    fill = {"@": layout.letters, "#": "0123456789"}
    return "".join(
        draws.choice(layout.codes) if c == "$" else draws.choice(fill[c]) if c in fill else c for c in pattern
    )


def drawn(layout: Layout, font: str, width: int, draws: random.Random) -> Plate:
    """A plate of `layout`, `width` pixels wide with its holder; `font`: a name of `plate_fonts.FONTS`."""
    holder = draws.random() < 0.6
    rim = draws.uniform(4, 12) if holder else 0.0
    lip = draws.uniform(0, 22) if holder else 0.0  # the holder's lower edge, with a dealer's name
    unit = width / (layout.size[0] + 2 * rim)
    size = width, max(8, round((layout.size[1] + 2 * rim + lip) * unit))
    black = draws.randint(12, 60)
    image = Image.new("RGB", size, (black, black, black + 2))
    if lip > 12:
        font_size = lip * 0.65 * unit
        ImageDraw.Draw(image).text(
            (size[0] / 2, size[1] - (lip + rim) * unit / 2),
            draws.choice(("AUTOHAUS MEYER", "Garage du Pont", "www.motors.com", "CITY CARS", "AUTO 2000")),
            (200, 200, 200),
            plate_fonts.small_text(font, font_size),
            "mm",
        )
    face, rows = _face(layout, font, unit, draws)
    corner = round(rim * unit), round(rim * unit)
    radius = draws.uniform(2, 12) * unit
    mask = Image.new("L", face.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, face.width - 1, face.height - 1), radius, 255)
    image.paste(face, corner, mask)
    moved = tuple((text, (b[0] + corner[0], b[1] + corner[1], b[2] + corner[0], b[3] + corner[1])) for text, b in rows)
    return Plate(image, moved)


def _face(layout: Layout, font: str, unit: float, draws: random.Random) -> tuple[Image.Image, list[tuple[str, Box]]]:
    """The plate itself at `unit` pixels a millimetre, and where its rows are."""
    width, height = layout.size
    ink, paper = (_varied(color, draws) for color in draws.choice(layout.colors))
    image = Image.new("RGB", (round(width * unit), round(height * unit)), paper)
    draw = ImageDraw.Draw(image)
    if layout.shades and draws.random() < 0.5 and sum(paper) > 600:
        _fade(image, draws.choice(layout.shades), draws.random() < 0.5)
        draw = ImageDraw.Draw(image)
    top, bottom = 0.0, height
    if layout.strip:
        tall = height * 0.23
        if layout.strip_paper:
            draw.rectangle((0, 0, width * unit, tall * unit), fill=layout.strip_paper)
        words = plate_fonts.small_text(font, tall * 0.68 * unit)
        color = (235, 235, 235) if layout.strip_paper else ink if draws.random() < 0.5 else _varied(BLUE, draws)
        draw.text((width * unit / 2, tall * unit * 0.5), draws.choice(layout.strip), color, words, "mm")
        top = tall
    if layout.foot and (words_below := draws.choice(layout.foot)):
        tall = height * 0.12
        words = plate_fonts.small_text(font, tall * 0.8 * unit)
        draw.text((width * unit / 2, (height - tall * 0.65) * unit), words_below, ink, words, "mm")
        bottom = height - tall
    left, right = _bands(draw, layout, font, unit, draws)
    if layout.border and draws.random() < 0.9:
        line = max(1, round(layout.border * unit))
        draw.rounded_rectangle((0, 0, image.width - 1, image.height - 1), 8 * unit, None, ink, line)
    ends = (left + 6, right - 6)
    rows = _characters(image, layout, font, unit, ends, (top, bottom), ink, draws)
    if draws.random() < 0.5:
        _bolts(image, unit, draws)
    return image, rows


def _bands(
    draw: ImageDraw.ImageDraw, layout: Layout, font: str, unit: float, draws: random.Random
) -> tuple[float, float]:
    """Blue bands at the ends with a country's letters; what they leave of the width, millimetres."""
    width, height = layout.size
    left, right, wide = 0.0, width, min(42.0, height * 0.36)
    for words, at in ((layout.band, 0.0), (layout.right, width - wide)):
        if not words or draws.random() < 0.1:
            continue
        draw.rectangle((at * unit, 0, (at + wide) * unit, height * unit), fill=_varied(BLUE, draws))
        middle = (at + wide / 2) * unit
        written = words.replace("##", f"{draws.randrange(1, 96):02}")
        size = plate_fonts.small_text(font, wide * (0.62 if len(written) < 3 else 0.45) * unit)
        draw.text((middle, height * 0.76 * unit), written, (235, 235, 235), size, "mm")
        for i in range(12):  # the ring of stars
            angle = 2 * np.pi * i / 12
            x, y = middle + wide * 0.3 * unit * np.cos(angle), (height * 0.3 + wide * 0.3 * np.sin(angle)) * unit
            star = wide * 0.05 * unit
            draw.ellipse((x - star, y - star, x + star, y + star), fill=(240, 200, 40))
        left, right = (wide, right) if at == 0 else (left, width - wide)
    return left, right


def _characters(
    image: Image.Image,
    layout: Layout,
    font: str,
    unit: float,
    ends: tuple[float, float],
    edges: tuple[float, float],
    ink: Color,
    draws: random.Random,
) -> list[tuple[str, Box]]:
    """Write a registration between `ends` and `edges` (millimetres), embossed."""
    lines = registration(layout, draws).split("|")
    height = edges[1] - edges[0]
    cap = min(layout.cap * draws.uniform(0.92, 1.06), height * 0.86 / len(lines))
    cell, weight = layout.cell * draws.uniform(0.92, 1.05), draws.choice((-3, 0, 0, 0, 3, 6))
    stretch = 0.84 * cell / plate_fonts.text_width(font, "H", cap)
    proportional = draws.random() < 0.35  # else all characters are as far from each other as the widest
    coverage = Image.new("L", image.size)
    seals: list[tuple[float, float]] = []
    rows = []
    for i, line in enumerate(lines):
        steps = [_step(c, cell, layout.gap, cap, font, stretch, proportional) for c in line]
        squeeze = min(1.0, (ends[1] - ends[0]) / sum(steps))
        x = (ends[0] + ends[1] - squeeze * sum(steps)) / 2 + draws.uniform(-0.1, 0.1) * (
            ends[1] - ends[0] - squeeze * sum(steps)
        )
        y = edges[0] + height * (i + 0.5) / len(lines) - cap / 2
        box = (x, y, x + squeeze * sum(steps), y + cap)
        for character, step in zip(line, steps, strict=True):
            wide = squeeze * step
            if character == "*":
                seals.append((x + wide / 2, y))
            elif character == "-":
                _paste_bar(coverage, (x + wide * 0.2, y + cap * 0.44, x + wide * 0.8, y + cap * 0.56), unit)
            elif character != " ":
                shape = plate_fonts.glyph(font, character, weight)
                own = min(squeeze * stretch * cap * shape.width / shape.height, wide * 0.97)
                target = max(1, round(own * unit)), max(1, round(cap * unit))
                at = round((x + (wide - own) / 2) * unit), round(y * unit)
                coverage.paste(shape.resize(target, Image.Resampling.LANCZOS), at)
            x += wide
        read = "".join(c for c in line if c.isalnum())
        rows.append((read, (box[0] * unit, box[1] * unit, box[2] * unit, box[3] * unit)))
    image.paste(ink, (0, 0), coverage)
    _emboss(image, coverage, unit, draws)
    if seals:
        _seals(image, seals, cap, unit, draws)
    return rows


def _step(character: str, cell: float, gap: float, cap: float, font: str, stretch: float, proportional: bool) -> float:
    """How far the next character is, millimetres."""
    if character in " -":
        return gap
    if character == "*":
        return 34.0
    if proportional:
        return max(0.45 * cell, min(1.15 * cell, stretch * plate_fonts.text_width(font, character, cap) + 0.16 * cell))
    return cell


def _paste_bar(coverage: Image.Image, box: Box, unit: float) -> None:
    ImageDraw.Draw(coverage).rectangle(tuple(side * unit for side in box), fill=255)


def _emboss(image: Image.Image, coverage: Image.Image, unit: float, draws: random.Random) -> None:
    """Light on one side of the raised characters, shadow on the other."""
    strength = draws.choice((0.0, 0.15, 0.3, 0.5))
    offset = max(1, round(1.6 * unit))
    soft = coverage.filter(ImageFilter.GaussianBlur(0.9 * unit))
    lit = ImageChops.offset(soft, 0, -offset)
    shaded = ImageChops.offset(soft, 0, offset)
    relief = (np.asarray(lit, np.float32) - np.asarray(shaded, np.float32))[..., None] * strength
    image.paste(Image.fromarray((np.asarray(image, np.float32) + relief).clip(0, 255).astype(np.uint8)))


def _seals(
    image: Image.Image, places: list[tuple[float, float]], cap: float, unit: float, draws: random.Random
) -> None:
    draw = ImageDraw.Draw(image)
    for x, y in places:
        for share, radius, color in (
            (0.24, 13, draws.choice(((200, 170, 60), (60, 120, 190), (200, 90, 60)))),
            (0.72, 14, (190, 195, 200)),
        ):
            middle, r = ((x) * unit, (y + share * cap) * unit), radius * unit
            draw.ellipse((middle[0] - r, middle[1] - r, middle[0] + r, middle[1] + r), fill=color, outline=BLACK)
            r /= 2
            draw.ellipse((middle[0] - r, middle[1] - r, middle[0] + r, middle[1] + r), fill=(225, 225, 220))


def _bolts(image: Image.Image, unit: float, draws: random.Random) -> None:
    draw = ImageDraw.Draw(image)
    far, radius = draws.uniform(0.08, 0.25), draws.uniform(3.5, 6) * unit
    heights = draws.choice(((0.5,), (0.1,), (0.1, 0.9)))
    gray = draws.choice((30, 120, 190, 235))
    for x in (far, 1 - far):
        for y in heights:
            at = x * image.width, y * image.height
            draw.ellipse(
                (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), (gray, gray, gray), (90, 90, 90)
            )


def _fade(image: Image.Image, color: Color, from_above: bool) -> None:
    ramp = np.linspace(1, 0, image.height)[:, None, None] ** 1.5
    ramp = ramp if from_above else ramp[::-1]
    mixed = np.asarray(image, np.float32) * (1 - ramp) + np.array(color) * ramp
    image.paste(Image.fromarray(mixed.astype(np.uint8)))


def _varied(color: Color, draws: random.Random) -> Color:
    """A print of the color, never twice the same."""
    shift = draws.randint(-12, 12)
    red, green, blue = (max(0, min(255, value + shift + draws.randint(-5, 5))) for value in color)
    return red, green, blue
