"""What visitors choose from: models with a line on each, sizes of results, formats."""

from __future__ import annotations

import re

import fastsr
from fastsr.errors import FastsrError
from fastsr.images import WRITTEN_SUFFIXES
from fastsr.importing import store
from fastsr.network import catalog
from fastsr.output_size import MAX_SIDE, Box, Size

AUTOMATIC = "automatic"
LIKE_SOURCE = "like the source"
FORMATS = (LIKE_SOURCE, "png", "jpg", "webp", "avif", "tif")
WITH_QUALITY = ("jpg", "webp", "avif")
SIZES = ("2x", "3x", "4x", "1920x1080", "3840x2160")

_LINES = {
    "fast-x4": "four times; sharp, invents nothing, quick",
    "fast-x2": "twice; sharp, invents nothing, quick",
    "photo-x4": "four times; also removes noise and JPEG artifacts, draws texture",
    "faces-x4": "four times; for portraits",
    "live-x4": "four times; the quickest, for compressed video",
    "live-x2": "twice; the quickest, for compressed video",
    "srgan-x4": "four times; draws texture that others leave out, slow",
    "srresnet-x4": "four times; the most exact, slow",
}
INTERPOLATIONS = {"bicubic": "interpolation, for comparison", "lanczos": "interpolation, a little sharper"}


def model_lines() -> dict[str, str]:
    """Every model that can be chosen, with one line on it: automatic, shipped, imported, interpolation."""
    (twice, photos), (_, videos) = catalog.DEFAULTS, catalog.VIDEO_DEFAULTS
    lines = {AUTOMATIC: f"{twice} up to twice the size; beyond, photos by {photos}, videos by {videos}"}
    lines |= {name: _LINES.get(name, card.summary) for name, card in fastsr.models().items()}
    for card in store.cards().values():
        lines[card.name] = ", ".join(filter(None, (f"x{card.scale}", card.architecture, f"from {card.source}")))
    return lines | INTERPOLATIONS


def model_choices() -> list[tuple[str, str]]:
    """As a list of (what is shown, value)."""
    return [(f"{name} \N{EN DASH} {line}", name) for name, line in model_lines().items()]


def checked_model(name: str | None) -> str | None:
    """A model's name as `fastsr.load` takes it, None for automatic. Raises FastsrError for a name that is not offered.

    Names alone: `fastsr.load` would take paths of files too.
    """
    if name in (None, "", AUTOMATIC):
        return None
    if name not in model_lines():
        raise FastsrError(f"unknown model {name!r}; there are: {', '.join(model_lines())}")
    return name


def has_realism(name: str | None) -> bool:
    """Whether `realism` can be chosen for a model."""
    card = catalog.models().get(name or "")
    return card is not None and bool(card.fidelity)


def wanted_size(text: str | float | None) -> tuple[float | None, Size | None]:
    """`scale` and `size` for what a visitor wrote: 2x, 1.5, 1920x1080 (a box), 1920x or x1080. Raises FastsrError."""
    written = str(text or "").strip().lower().replace("\N{MULTIPLICATION SIGN}", "x").replace(" ", "")
    factor = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)x?|x(\d{1,3}(?:\.\d{1,6})?)", written)
    value = float(factor[1] or factor[2]) if factor else 0.0
    if factor and 0 < value <= 32:
        return value, None
    sides = re.fullmatch(r"(\d{0,6})x(\d{0,6})", written)
    if sides and (sides[1] or sides[2]):
        width, height = (int(side) if side else MAX_SIDE for side in sides.groups())
        if width and height:
            return None, Box(width, height)
    raise FastsrError(f"size {str(text)!r}; write a factor such as 2x, or pixels such as 1920x1080, 1920x or x1080")


def mark_of(text: str) -> str:
    """What stands behind the name of a file whose result was asked for so: x2, 1920x1080."""
    factor, _ = wanted_size(text)
    return f"x{factor:g}" if factor is not None else str(text).strip().lower().replace(" ", "")


def suffix_for(format: str | None, source_suffix: str) -> str:
    """The suffix of a result. Raises FastsrError for a format that is not offered."""
    if format in (None, "", LIKE_SOURCE):
        return source_suffix.lower() if source_suffix.lower() in WRITTEN_SUFFIXES else ".png"
    if format not in FORMATS:
        raise FastsrError(f"unknown format {format!r}; there are: {', '.join(FORMATS[1:])}")
    return f".{format}"
