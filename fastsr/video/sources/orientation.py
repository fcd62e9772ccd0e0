"""Frames turned upright, as their display matrix says, for outputs that have no place for one."""

from __future__ import annotations

import dataclasses
import math
import struct
from fractions import Fraction

import numpy as np

from fastsr.engines.protocol import Pixels

_ONE = 1 << 16  # of the matrix's fixed-point numbers


@dataclasses.dataclass(frozen=True)
class Orientation:
    """Quarter turns and mirrorings: first rows and columns may be transposed, then each may be reversed."""

    transposed: bool
    rows_reversed: bool
    columns_reversed: bool

    def __call__(self, pixels: Pixels) -> Pixels:
        """H x W x C pixels as they are shown, C-contiguous."""
        shown = pixels.transpose(1, 0, 2) if self.transposed else pixels
        rows, columns = (slice(None, None, -1 if back else 1) for back in (self.rows_reversed, self.columns_reversed))
        return np.ascontiguousarray(shown[rows, columns])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as they are shown."""
        return (height, width) if self.transposed else (width, height)

    def aspect(self, aspect: Fraction | None) -> Fraction | None:
        """The shape of a sample as it is shown."""
        return 1 / aspect if self.transposed and aspect is not None else aspect


def orientation_of(matrix: bytes) -> Orientation | None:
    """What a display matrix (nine 32-bit numbers) asks for; None for what quarter turns and mirrorings cannot make."""
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if b == c == 0 and abs(a) == abs(d) == _ONE:
        return Orientation(transposed=False, rows_reversed=d < 0, columns_reversed=a < 0)
    if a == d == 0 and abs(b) == abs(c) == _ONE:
        return Orientation(transposed=True, rows_reversed=b < 0, columns_reversed=c < 0)
    return None


def rotation_degrees(matrix: bytes) -> float:
    """By how much a display matrix turns frames clockwise."""
    a, b, *_ = struct.unpack("=9i", matrix)
    return math.degrees(math.atan2(b, a))
