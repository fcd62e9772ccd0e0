"""How large a result is to be: what a scale or a size asks for, and which model makes that by default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastsr.errors import FastsrError
from fastsr.network import catalog
from fastsr.tiling.frame_part import FramePart

MAX_SIDE = 1 << 28  # pixels of a result; Pillow takes hardly more

Size = tuple[int, int]  # width and height
Region = tuple[int, int, int, int]  # left, top, right and bottom of a part of a result, the last two behind it


class Box(NamedTuple):
    """In place of a size: the largest size of the image's own shape that fits into this width and height, pixels.

    A side of MAX_SIDE bounds nothing.
    """

    width: int
    height: int


def output_size(
    width: int, height: int, scale: float | None, size: tuple[int, int] | None, own: float
) -> tuple[int, int]:
    """Width and height that `scale` or `size` ask for; FastsrError for both at once or values that make no image."""
    if scale is not None and size is not None:
        raise FastsrError("scale and size were both given; give one of them")
    if size is not None:
        sides = tuple(size) if isinstance(size, Sequence | np.ndarray) else ()
        if len(sides) != 2 or not all(isinstance(s, (int, float, np.number)) and s >= 1 and s % 1 == 0 for s in sides):
            raise FastsrError(f"size {size!r} is not a width and a height of at least 1 pixel")
        if isinstance(size, Box):
            factor = min(size.width / width, size.height / height)
            return _possible(max(1.0, width * factor), max(1.0, height * factor))
        return _possible(sides[0], sides[1])
    factor = own if scale is None else scale
    if not isinstance(factor, (int, float, np.number)) or not math.isfinite(factor) or factor <= 0:
        raise FastsrError(f"scale {scale!r} must be a number above 0, such as 2 or 1.5")
    return _possible(max(1.0, width * factor), max(1.0, height * factor))


def _possible(width: float, height: float) -> tuple[int, int]:
    if max(width, height) > MAX_SIDE:
        raise FastsrError(f"{width:g}x{height:g} pixels are too many; a side may have up to {MAX_SIDE}")
    return round(width), round(height)


def part_of(region: Sequence[int], size: Size) -> FramePart:
    """A region (left, top, right, bottom) of a result of this size; FastsrError for what is none."""
    sides = tuple(region) if isinstance(region, Sequence | np.ndarray) and not isinstance(region, str) else ()
    if len(sides) != 4 or not all(isinstance(s, (int, float, np.number)) and s % 1 == 0 for s in sides):
        raise FastsrError(f"region {region!r} is not left, top, right and bottom of a box, in whole pixels")
    left, top, right, bottom = (int(side) for side in sides)
    if left >= right or top >= bottom:
        raise FastsrError(f"region {(left, top, right, bottom)} holds no pixels; right and bottom lie behind its last")
    if min(left, top) < 0 or right > size[0] or bottom > size[1]:
        raise FastsrError(
            f"region {(left, top, right, bottom)} reaches beyond the result, which is {size[0]}x{size[1]} pixels"
        )
    return FramePart(top, bottom, left, right)


def size_text(size: tuple[int, int]) -> str:
    """A size as people write it: 1920x1080, and 1920x or x1080 for a box that only one side bounds."""
    return "x".join("" if isinstance(size, Box) and side == MAX_SIDE else str(side) for side in size)


def region_text(region: Region) -> str:
    """A region as people write it: its size, and what is left of it and above, 800x600+1200+400."""
    left, top, right, bottom = region
    return f"{right - left}x{bottom - top}+{left}+{top}"


def default_model(
    width: int, height: int, scale: float | None, size: tuple[int, int] | None, video: bool = False
) -> str:
    """The shipped model for an image of this size when none is named: the one that fits, four times by default.

    `video` says that it is one of many frames.
    """
    wanted = output_size(width, height, scale, size, 4)
    return catalog.default(max(wanted[0] / width, wanted[1] / height), video)
