"""File formats: their suffixes, and what they can hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastsr.errors import ImageError
from fastsr.images.decoded_image import DecodedImage, Frame

_FORMAT_OF_SUFFIX = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
SUFFIXES: frozenset[str] = frozenset(_FORMAT_OF_SUFFIX)
"""Suffixes of readable images, lower case, with the dot."""

_FORMATS = {name.upper(): name for name in _FORMAT_OF_SUFFIX.values()}
_ALIASES = {"JPG": "JPEG", "TIF": "TIFF", "APNG": "PNG"}
_ANIMATED_FORMATS = ("PNG", "GIF", "WebP", "AVIF")
# JPEG's and AVIF's are what libjpeg and libavif can do, below what their formats allow.
_LARGEST_SIDE = {"JPEG": 65500, "WebP": 16383, "AVIF": 32768, "GIF": 65535}


def output_format(path: str | os.PathLike[str]) -> str:
    """Format by the suffix of a path: PNG, JPEG, WebP, TIFF, AVIF, BMP or GIF; ImageError for an unknown suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMAT_OF_SUFFIX:
        known = " ".join(_FORMAT_OF_SUFFIX)
        raise ImageError(f"{path}: unknown suffix {suffix!r}; use one of {known}")
    return _FORMAT_OF_SUFFIX[suffix]


def named_format(name: str) -> str:
    """Format by its name in any case; ImageError for an unknown one."""
    upper = name.upper().lstrip(".")
    upper = _ALIASES.get(upper, upper)
    if upper not in _FORMATS:
        raise ImageError(f"unknown format {name!r}; use one of {' '.join(_FORMATS.values())}")
    return _FORMATS[upper]


def check_fits(image: DecodedImage, frames: Sequence[Frame], kind: str, target: Path) -> None:
    """ImageError for a format that cannot hold so many frames or so large ones."""
    if len(frames) > 1:
        able: tuple[str, ...] = _ANIMATED_FORMATS if image.animation is not None else ("TIFF",)
        if kind not in able:
            what = "an animation" if image.animation is not None else f"{len(frames)} separate images"
            raise ImageError(f"{target}: {kind} cannot hold {what}; write {' or '.join(able)}")
    limit = _LARGEST_SIDE.get(kind)
    longest = max(max(frame.color.shape[:2]) for frame in frames)
    if limit is not None and longest > limit:
        able = tuple(name for name in ("PNG", "TIFF") if len(frames) == 1 or name in _ANIMATED_FORMATS)
        raise ImageError(
            f"{target}: {kind} holds up to {limit} pixels a side, not {longest}; write {' or '.join(able)}"
        )
