"""What a part of a frame is made from, taken out of the frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastsr.engines.protocol import Pixels, PixelwiseMap
from fastsr.errors import EngineError
from fastsr.tiling.frame_part import FramePart, whole


def sources(part: FramePart, height: int, width: int) -> FramePart:
    """What `mirrored` reads for a part that may reach beyond a frame of this size, to below and to the right."""
    top, bottom = _source_span(part.top, part.bottom, height)
    left, right = _source_span(part.left, part.right, width)
    return FramePart(top, bottom, left, right)


def _source_span(first: int, end: int, length: int) -> tuple[int, int]:
    if end <= length:
        return first, end
    return min(first, max(0, 2 * (length - 1) - (end - 1))), length


def mirrored(frame: Pixels, part: FramePart, convert: PixelwiseMap) -> tuple[Pixels, tuple[int, int]]:
    """A converted part of a frame, and the row and column that it begins with, which may be before those asked for.

    Beyond the frame pixels are mirrored, as np.pad's "reflect": those at the edge are not repeated.
    """
    read = sources(part, *frame.shape[:2])
    pixels = convert(frame[read.slices()])
    beyond = (0, part.bottom - read.bottom), (0, part.right - read.right), (0, 0)
    if any(after for _, after in beyond):
        pixels = np.pad(pixels, beyond, mode="reflect")
    return np.ascontiguousarray(pixels), (read.top, read.left)


def check_part(part: FramePart, height: int, width: int) -> None:
    """EngineError for what is no part of a frame of this size."""
    if part.within(whole(height, width)) != part or part.height < 1 or part.width < 1:
        raise EngineError(
            f"rows {part.top} to {part.bottom}, columns {part.left} to {part.right} are no part of {width}x{height} "
            "pixels"
        )


def gathered(bands: Iterable[Pixels], rows: int) -> Pixels:
    """Bands as one array of so many rows."""
    made: Pixels | None = None
    top = 0
    for band in bands:
        if len(band) == rows:
            return band
        if made is None:
            made = np.empty((rows, *band.shape[1:]), band.dtype)
        made[top : top + len(band)] = band
        top += len(band)
    assert made is not None
    return made
