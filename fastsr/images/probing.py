"""The size of an image file, without decoding it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PIL import Image

from fastsr.images import pixel_limit
from fastsr.images.decoding import decoding_errors
from fastsr.images.detection import HEAD_BYTES, TAIL_BYTES, format_of
from fastsr.images.exif import UNREADABLE, parsed
from fastsr.images.opening import load_plugin
from fastsr.images.reading import read

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_DECODED_AS_OPENED = ("JPEG XL", "ICO")


def size_of(path: str | os.PathLike[str], *, allow_huge: bool = False) -> tuple[int, int]:
    """Width and height of an image file as `read` would give it, pixels. Raises ImageError as `read`."""
    name = os.fsdecode(path)
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError):
        return read(path).size  # which says why not
    limit = pixel_limit.lifted() if allow_huge else pixel_limit.strict()
    with decoding_errors(name) as opened, limit, file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        known = format_of(head, name, file.read())
        if known is None or known.name in _DECODED_AS_OPENED:
            return read(path, allow_huge=allow_huge).size
        load_plugin(known, name)
        image = Image.open(file, formats=(known.plugin,))
        opened.append(image)
        width, height = _stored_size(image)
        return (height, width) if _lies_on_its_side(image) else (width, height)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before EXIF's orientation, which some versions of Pillow apply to a TIFF's as they open it."""
    tags: Any = getattr(image, "tag_v2", None)
    return image.size if tags is None else (tags[_WIDTH], tags[_HEIGHT])


def _lies_on_its_side(image: Image.Image) -> bool:
    """Whether EXIF says that the image is to be turned by a quarter; without loading a PNG for it."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None:
        exif = image.info.get("exif")
        if not isinstance(exif, bytes):
            return False
        try:
            tags = parsed(exif)
        except (*UNREADABLE, OSError):  # as `read`, which drops it
            return False
    return tags.get(_ORIENTATION) in (5, 6, 7, 8)
