"""Tiles of the two sides of a view: the result as it is, and the original enlarged to the same size by bicubic.

Pixel i of level k covers the pixels from i * 2^k to (i + 1) * 2^k of the result, on both sides; so they match at any
zoom. At level 0, tiles have the bytes of the result, and those of `fastsr.upscale(model="bicubic")`: all of them where
the factor is a power of two, elsewhere but for some that are rounded to the level beside it.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastsr.images import resample
from fastsr.images.decoded_image import Rows
from fastsr.images.png import encode_rows
from fastsr.web.viewer.pyramid import TILE, Pixels, Pyramid, pyramid_of

SIDES = ("original", "result")
OVERLAP = 1
"""Pixels that a tile shows of each neighbour; without them the browser's library stretches tiles to close gaps."""
Box = tuple[float, float, float, float]  # left, top, right, bottom

_SUPPORT = 2  # pixels of the source that bicubic reaches to either side, times the factor where it shrinks


@dataclass(frozen=True)
class View:
    """Two images to compare.

    Attributes:
        original: of any size.
        result: what it was enlarged to; its size is the size of the view.

    """

    original: Pyramid
    result: Pyramid

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.result.size

    @property
    def levels(self) -> int:
        """How many levels there are; level 0 has the pixels of the result, every further one half of them."""
        return len(self.result.sizes)

    def tile(self, side: str, level: int, column: int, row: int) -> bytes:
        """One tile as a PNG file: `TILE` pixels wide and high, less at the right and lower edges, and the `OVERLAP`.

        Args:
            side: of `SIDES`.
            level: from 0.
            column: from 0.
            row: from 0.

        Raises:
            IndexError: there is no such tile.
            OSError: the pyramid is gone.

        """
        if not 0 <= level < self.levels:
            raise IndexError(f"level {level} of {self.levels}")
        width, height = self.result.sizes[level]
        left, top = column * TILE, row * TILE
        if not (0 <= left < width and 0 <= top < height):
            raise IndexError(f"tile {column}, {row} of a level of {width} x {height} pixels")
        right, bottom = min(left + TILE + OVERLAP, width), min(top + TILE + OVERLAP, height)
        box = (max(left - OVERLAP, 0), max(top - OVERLAP, 0), right, bottom)
        if side == "result":
            return _png(self.result.window(level, *box), self.result)
        return _png(self._original(level, *box), self.original)

    def _original(self, level: int, left: int, top: int, right: int, bottom: int) -> Pixels:
        """A rectangle of the original, resampled to a level of the view."""
        across, down = ((1 << level) * o / r for o, r in zip(self.original.size, self.size, strict=True))
        # the smallest level of the original that has no fewer pixels than the view's, so that few are read
        halvings = max(0, math.floor(math.log2(min(across, down))))
        source = min(halvings, len(self.original.sizes) - 1)
        width, height = self.original.sizes[source]
        columns = _Span.of(left, right, across / (1 << source), width)
        rows = _Span.of(top, bottom, down / (1 << source), height)
        read = self.original.window(source, columns.first, rows.first, columns.last, rows.last)
        # a level that was rounded up may end beyond the last pixel of the original
        padded = np.pad(read, ((0, rows.beyond), (0, columns.beyond), (0, 0)), "edge")
        box = (columns.begin, rows.begin, columns.end, rows.end)
        size = (right - left, bottom - top)
        exact = level == 0 and padded.shape[2] in (1, 3)
        return _through_floats(padded, size, box) if exact else _resampled(padded, size, box)


@dataclass(frozen=True)
class _Span:
    """What part of the source's axis some pixels are made of.

    Attributes:
        first: pixel of the source to read from.
        last: pixel to read to.
        beyond: how many more pixels are needed behind the last one that there is.
        begin: where the part begins, counted from `first`.
        end: where it ends.

    """

    first: int
    last: int
    beyond: int
    begin: float
    end: float

    @classmethod
    def of(cls, begin: int, end: int, step: float, length: int) -> _Span:
        """Of pixels that are each `step` pixels of a source of this length."""
        reach = math.ceil(_SUPPORT * max(step, 1)) + 1
        first, last = math.floor(begin * step) - reach, math.ceil(end * step) + reach
        first, last = max(first, 0), min(last, length)
        beyond = max(0, math.ceil(end * step) - length)
        return cls(first, last, beyond, begin * step - first, end * step - first)


def _through_floats(pixels: Pixels, size: tuple[int, int], box: Box) -> Pixels:
    """Colours of a part of an image resampled as `fastsr.upscale` does it."""
    from PIL import Image  # takes a while to import

    planes = np.moveaxis(resample.to_float(pixels), 2, 0)
    made = [
        Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BICUBIC, box) for plane in planes
    ]
    return resample.to_dtype(np.stack([np.asarray(plane) for plane in made], axis=2), np.dtype(np.uint8))


def _resampled(pixels: Pixels, size: tuple[int, int], box: Box) -> Pixels:
    """The same in integers, a level or two off in a third of the time; colours count as much as they are opaque."""
    from PIL import Image  # takes a while to import

    given = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    made = np.asarray(given.resize(size, Image.Resampling.BICUBIC, box))
    return made.reshape(size[1], size[0], pixels.shape[2])


def _png(pixels: Pixels, source: Pyramid) -> bytes:
    file = io.BytesIO()
    encode_rows(file, source.metadata, [Rows(pixels.shape, pixels.dtype, iter([pixels]))], None, compress=False)
    return file.getvalue()


def view_of(original: Path, result: Path) -> View:
    """The view of two image files; made for each request, since only headers are read. Raises ImageError."""
    return View(pyramid_of(original), pyramid_of(result))
