"""File formats: their names, suffixes and Pillow plugins, and what they can hold. What a file holds: `detection`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastsr.errors import ImageError
from fastsr.images.decoded_image import DecodedImage, Frame


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: as people write it.
        suffixes: lower case, with the dot; the first is the usual one.
        plugin: Pillow's name of it.
        module: the module of Pillow, or of a package, that knows it.
        written: whether it can be written.
        largest_side: pixels; None = no limit that matters. JPEG's and AVIF's are what libjpeg and libavif can do,
            below what their formats allow.
        animated: whether it can hold an animation.
        extra: the extra of fastsr that installs `module`; None = Pillow has it.

    """

    name: str
    suffixes: tuple[str, ...]
    plugin: str
    module: str
    written: bool = True
    largest_side: int | None = None
    animated: bool = False
    extra: str | None = None


FORMATS = (
    Format("PNG", (".png", ".apng"), "PNG", "PIL.PngImagePlugin", animated=True),
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG", "PIL.JpegImagePlugin", largest_side=65500),
    Format("GIF", (".gif",), "GIF", "PIL.GifImagePlugin", largest_side=65535, animated=True),
    Format("WebP", (".webp",), "WEBP", "PIL.WebPImagePlugin", largest_side=16383, animated=True),
    Format("TIFF", (".tif", ".tiff"), "TIFF", "PIL.TiffImagePlugin"),
    Format("AVIF", (".avif", ".avifs"), "AVIF", "PIL.AvifImagePlugin", largest_side=32768, animated=True),
    Format("BMP", (".bmp",), "BMP", "PIL.BmpImagePlugin"),
    Format("JPEG2000", (".jp2", ".jpx", ".jpf"), "JPEG2000", "PIL.Jpeg2KImagePlugin"),
    Format("PPM", (".ppm", ".pgm", ".pnm"), "PPM", "PIL.PpmImagePlugin"),
    Format("TGA", (".tga", ".icb", ".vda", ".vst"), "TGA", "PIL.TgaImagePlugin", largest_side=65535),
    Format("ICO", (".ico",), "ICO", "PIL.IcoImagePlugin", largest_side=256),
    Format("J2K", (".j2k", ".j2c", ".jpc"), "JPEG2000", "PIL.Jpeg2KImagePlugin", written=False),  # without a container
    # what Pillow reads of the PPM family beside PPM and PGM
    Format("PBM", (".pbm",), "PPM", "PIL.PpmImagePlugin", written=False),
    Format("PFM", (".pfm",), "PPM", "PIL.PpmImagePlugin", written=False),
    Format("DDS", (".dds",), "DDS", "PIL.DdsImagePlugin", written=False),
    Format("HEIC", (".heic", ".heif", ".hif"), "HEIF", "pillow_heif", written=False, extra="heif"),
    Format("JPEG XL", (".jxl",), "JXL", "pillow_jxl", written=False, extra="jxl"),
)
"""Every format that is read."""

_BY_NAME = {known.name: known for known in FORMATS}
_BY_SUFFIX = {suffix: known for known in FORMATS for suffix in known.suffixes}
_ALIASES = {"JPG": "JPEG", "TIF": "TIFF", "APNG": "PNG", "JP2": "JPEG2000", "PGM": "PPM", "PNM": "PPM"}
_WRITTEN = {known.name.upper(): known.name for known in FORMATS if known.written}

SUFFIXES: frozenset[str] = frozenset(_BY_SUFFIX)
"""Suffixes of readable images, lower case, with the dot."""

WRITTEN_SUFFIXES: tuple[str, ...] = tuple(suffix for suffix, known in _BY_SUFFIX.items() if known.written)
"""Those of images that can be written too."""

READABLE = ", ".join(_BY_NAME)
"""The names of what is read, for messages."""


def by_name(name: str) -> Format:
    """The format of this name."""
    return _BY_NAME[name]


def output_format(path: str | os.PathLike[str]) -> str:
    """Format by the suffix of a path, such as "PNG"; ImageError for a suffix that is unknown or can only be read."""
    suffix = Path(path).suffix.lower()
    known = _BY_SUFFIX.get(suffix)
    if known is None or not known.written:
        what = f"unknown suffix {suffix!r}" if known is None else f"{known.name} can only be read"
        raise ImageError(f"{path}: {what}; use one of {' '.join(WRITTEN_SUFFIXES)}")
    return known.name


def named_format(name: str) -> str:
    """Format by its name in any case; ImageError for one that is unknown or can only be read."""
    upper = name.upper().lstrip(".")
    upper = _ALIASES.get(upper, upper)
    if upper not in _WRITTEN:
        raise ImageError(f"unknown format {name!r}; use one of {' '.join(_WRITTEN.values())}")
    return _WRITTEN[upper]


def check_fits(image: DecodedImage, frames: Sequence[Frame], kind: str, target: Path) -> None:
    """ImageError for a format that cannot hold so many frames or so large ones, or a suffix that says gray for RGB."""
    animated = [known.name for known in FORMATS if known.animated]
    if len(frames) > 1:
        able = animated if image.animation is not None else ["TIFF"]
        if kind not in able:
            what = "an animation" if image.animation is not None else f"{len(frames)} separate images"
            raise ImageError(f"{target}: {kind} cannot hold {what}; write {' or '.join(able)}")
    limit = by_name(kind).largest_side
    longest = max(max(frame.color.shape[:2]) for frame in frames)
    if limit is not None and longest > limit:
        able = [name for name in ("PNG", "TIFF") if len(frames) == 1 or name in animated]
        raise ImageError(
            f"{target}: {kind} holds up to {limit} pixels a side, not {longest}; write {' or '.join(able)}"
        )
    if target.suffix.lower() == ".pgm" and frames[0].color.shape[2] != 1:
        raise ImageError(f"{target}: PGM holds gray, not colour; write .ppm")
