"""EXIF that stays true: without what tells of the source's storage, with the pixel counts of the result."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any, cast

from PIL import Image

from fastsr.images.decoded_image import Frame, Metadata

UNREADABLE = (SyntaxError, ValueError, KeyError, TypeError, struct.error)
"""What Pillow raises on broken EXIF."""

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_RESOLUTION_TAGS = (282, 283, 296)

# Tags that describe how the pixels of the source were stored; they would be wrong for the result.
_STORAGE_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289, 290}
    | {291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 340}
    | {341, 347, 529, 530, 531, 532, 700, 33723, 34377, 34675, *range(512, 522)}
)


def lasting_tags(exif: Image.Exif) -> dict[int, Any]:
    """The tags, groups as dicts, that hold for any copy of the image, however it is stored."""
    tags: dict[int, Any] = {tag: exif[tag] for tag in exif if tag not in _STORAGE_TAGS}
    for group in (_EXIF_IFD, _GPS_IFD):
        if group in tags:
            # an offset into the source file: of no use in the result
            tags[group] = {tag: value for tag, value in exif.get_ifd(group).items() if tag != _INTEROP_IFD}
    return tags


def parsed(exif: bytes) -> Image.Exif:
    """EXIF bytes as tags."""
    tags = Image.Exif()
    tags.load(exif)
    return tags


def exif_of(image: Image.Image) -> bytes | None:
    """EXIF from where Pillow keeps it outside of `info`: in TIFF tags, in PNG text or set in memory."""
    try:
        kept = Image.Exif()
        for tag, value in lasting_tags(image.getexif()).items():
            if tag not in _RESOLUTION_TAGS:
                kept[tag] = value
        return kept.tobytes() if len(kept) else None
    except (*UNREADABLE, OSError):
        return None


def for_size_of(frame: Frame, metadata: Metadata) -> Metadata:
    """The metadata with the pixel counts that its EXIF holds brought up to date."""
    height, width = frame.color.shape[:2]
    return for_size(width, height, metadata)


def for_size(width: int, height: int, metadata: Metadata) -> Metadata:
    """As `for_size_of`, for an image of this size."""
    return replace(metadata, exif=_resized(metadata.exif, width, height)) if metadata.exif else metadata


def _resized(exif: bytes, width: int, height: int) -> bytes:
    try:
        tags = parsed(exif)
        inner = tags.get_ifd(_EXIF_IFD)
        counts = [(tags, 256, width), (tags, 257, height), (inner, 0xA002, width), (inner, 0xA003, height)]
        stale = [count for count in counts if count[1] in count[0]]
        for group, tag, pixels in stale:
            cast("dict[int, int]", group)[tag] = pixels
        return tags.tobytes() if stale else exif
    except UNREADABLE:
        return exif
