"""A frame cut into equal windows with halos, so that a network run window by window gives what it gives whole.

A window never reaches over the frame's edge: there the network pads as it would for the whole frame. Where a window is
cut out of the frame's inside, its core keeps the network's receptive radius away from the cut.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from fastsr.errors import EngineError
from fastsr.tiling.frame_part import FramePart


@dataclasses.dataclass(frozen=True)
class Span:
    """One axis of a window: the pixels it reads (start, length) and the ones it is trusted for (core)."""

    start: int
    length: int
    core_start: int
    core_end: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """Windows of one size whose cores cover a frame, or a part of one, exactly once."""

    height: int
    width: int
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of every window, pixels."""
        return self.rows[0].length, self.columns[0].length

    @property
    def part(self) -> tuple[int, int]:
        """Height and width of what a window is for, without what others are for, on average."""
        return -(-self.height // len(self.rows)), -(-self.width // len(self.columns))

    @property
    def work(self) -> float:
        """Pixels of all windows, as a multiple of those that they are for."""
        return len(self) * math.prod(self.window) / (self.height * self.width)

    @property
    def read(self) -> FramePart:
        """The part of the frame that all windows together read."""
        return FramePart(
            self.rows[0].start,
            self.rows[-1].start + self.rows[-1].length,
            self.columns[0].start,
            self.columns[-1].start + self.columns[-1].length,
        )

    def covering(self, part: FramePart) -> Plan:
        """Those windows that are trusted for some of a part of the frame, as a plan for that part."""
        rows = tuple(s for s in self.rows if s.core_start < part.bottom and part.top < s.core_end)
        columns = tuple(s for s in self.columns if s.core_start < part.right and part.left < s.core_end)
        return Plan(part.height, part.width, rows, columns)

    def moved(self, up: int, left: int) -> Plan:
        """The same windows of a frame that begins so many pixels later."""
        rows, columns = (
            tuple(Span(s.start - by, s.length, s.core_start - by, s.core_end - by) for s in spans)
            for spans, by in ((self.rows, up), (self.columns, left))
        )
        return Plan(self.height, self.width, rows, columns)

    def parts(self) -> list[tuple[FramePart, FramePart]]:
        """What each window reads, and what it is trusted for; row by row."""
        return [
            (
                FramePart(r.start, r.start + r.length, c.start, c.start + c.length),
                FramePart(r.core_start, r.core_end, c.core_start, c.core_end),
            )
            for r in self.rows
            for c in self.columns
        ]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def windows(self) -> npt.NDArray[np.int64]:
        """N x 6: top, left, core top, core left, core bottom, core right; row by row."""
        return np.array(
            [
                (r.start, c.start, r.core_start, c.core_start, r.core_end, c.core_end)
                for r in self.rows
                for c in self.columns
            ],
            dtype=np.int64,
        )


def plan(height: int, width: int, tile: tuple[int, int], halo: int, alignment: int = 1, even: bool = True) -> Plan:
    """Cut a frame into the fewest windows of at most `tile` (height, width) pixels, halos included.

    Windows start at multiples of `alignment`, of which height and width must be multiples too. With `even`
    the windows shrink as far as their number allows; without it they are exactly `tile`. Raises EngineError when a tile
    is not larger than two halos.
    """
    rows = _cut(height, tile[0], halo, alignment, even)
    return Plan(height, width, rows, _cut(width, tile[1], halo, alignment, even))


def _cut(length: int, tile: int, halo: int, alignment: int, even: bool) -> tuple[Span, ...]:
    if length <= tile:
        return (Span(0, length, 0, length),)
    halo = -(-halo // alignment) * alignment
    tile = tile // alignment * alignment
    if tile < 2 * halo + alignment:
        raise EngineError(
            f"a tile of {tile} pixels is too small for a network that sees {halo} pixels around each one; "
            f"use at least {2 * halo + alignment} (better 4 times as much)"
        )
    # k windows cover 2 (tile - halo) + (k - 2) (tile - 2 halo); the smallest tile that needs no more of them is used.
    count = max(2, -(-(length - 2 * halo) // (tile - 2 * halo)))
    share = -(-(length + 2 * halo * (count - 1)) // count)
    if even:
        tile = min(tile, -(-share // alignment) * alignment)
    spans: list[Span] = []
    core = 0
    while core < length:
        start = max(0, core - halo)
        if start + tile >= length:  # the last window is moved inside the frame
            spans.append(Span(length - tile, tile, core, length))
            break
        end = start + tile - halo
        spans.append(Span(start, tile, core, end))
        core = end
    return tuple(spans)
