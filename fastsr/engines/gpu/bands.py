"""A frame cut into bands, one for each row of windows, so that device memory grows with a frame's width alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from fastsr.tiling.window_plan import Plan


@dataclasses.dataclass(frozen=True, eq=False)
class Band:
    """One row of windows; everything in input pixels, windows relative to the band's first row.

    Of a part of a frame, the row may have fewer windows than the whole frame has `beside` one another.
    """

    start: int
    rows: int
    core_start: int
    core_end: int
    windows: npt.NDArray[np.int64]
    beside: int

    def core(self, scale: int) -> slice:
        """The rows that the band is trusted for, of its enlarged buffer."""
        return slice((self.core_start - self.start) * scale, (self.core_end - self.start) * scale)


def bands_of(plan: Plan, height: int, width: int, beside: int = 0) -> list[Band]:
    """The bands of a frame, from the top to the bottom; rows and columns that only alignment added are dropped.

    `beside`: see `Band`; 0 for as many as there are.
    """
    made = []
    for row in plan.rows:
        core_end = min(row.core_end, height)
        if row.core_start >= core_end:
            continue
        windows = np.array(
            [
                (0, c.start, row.core_start - row.start, c.core_start, core_end - row.start, min(c.core_end, width))
                for c in plan.columns
                if c.core_start < width
            ],
            np.int64,
        )
        rows = min(row.length, height - row.start)
        made.append(Band(row.start, rows, row.core_start, core_end, windows, beside or len(windows)))
    return made
