"""Cubic resampling of an image that comes in bands, first across and then down; along each to the bits of Pillow's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core

Floats = npt.NDArray[np.float32]

_SUPPORT = 2.0  # of the kernel, samples to either side
_ROWS = 64  # resampled at a time, which bounds the memory


def resampled(
    bands: Iterable[Floats], source: tuple[int, int], size: tuple[int, int], dtype: Any
) -> Iterator[npt.NDArray[Any]]:
    """The rows of an image of `size` (width, height), from above, clamped to 0..1 and rounded to `dtype`.

    `bands` are all rows of the image of size `source`: H x W x C float32. Holds a band and the rows that a sum spans.
    """
    columns = _Axis(source[0], size[0])
    rows = _Axis(source[1], size[1])
    held: Floats | None = None  # resampled along their columns
    first = done = 0  # row of the source that `held` begins with; rows given back
    for band in bands:
        for top in range(0, len(band), _ROWS):
            fresh = columns.along_columns(band[top : top + _ROWS])
            held = fresh if held is None else np.concatenate([held, fresh])
            ready = rows.complete(first + len(held))
            if ready > done:
                yield rows.along_rows(held, first, slice(done, ready), dtype)
                done = ready
                below = first + len(held)
                keep = min(int(rows.starts[done]), below) if done < size[1] else below
                held, first = held[keep - first :], keep
        del band  # before the next one is made


class _Axis:
    """Which samples each resampled one is the sum of, by Pillow's rule: the kernel widens when shrinking."""

    def __init__(self, source: int, size: int) -> None:
        self._same = source == size
        if self._same:
            self.starts, self.weights = np.arange(size), np.ones((size, 1))
            self._ends = self.starts + 1
            return
        step = source / size
        widened = max(step, 1.0)
        support = _SUPPORT * widened
        centers = (np.arange(size) + 0.5) * step
        low = np.maximum((centers - support + 0.5).astype(np.int64), 0)
        high = np.minimum((centers + support + 0.5).astype(np.int64), source)
        taps = int((high - low).max())
        # sums all span as many samples, within the image; those beyond their own have no weight
        self.starts = np.minimum(low, source - taps)
        self.weights = np.zeros((size, taps))
        total = np.zeros(size)
        for tap in range(taps):
            at = self.starts + tap
            mine = np.where((at >= low) & (at < high), _cubic((at - centers + 0.5) * (1 / widened)), 0.0)
            self.weights[:, tap] = mine
            total += mine
        self.weights /= total[:, np.newaxis]
        self._ends = self.starts + taps

    def along_columns(self, rows: Floats) -> Floats:
        if self._same:
            return rows
        out = np.empty((len(rows), len(self.starts), rows.shape[2]), np.float32)
        _core.resample_columns(np.ascontiguousarray(rows), self.starts, self.weights, out)
        return out

    def complete(self, given: int) -> int:
        """How many resampled rows depend on nothing below the first `given` ones."""
        return int(np.searchsorted(self._ends, given, "right"))

    def along_rows(self, rows: Floats, first: int, wanted: slice, dtype: Any) -> npt.NDArray[Any]:
        """The wanted rows, out of those from `first` on."""
        out = np.empty((wanted.stop - wanted.start, *rows.shape[1:]), dtype)
        _core.resample_rows(np.ascontiguousarray(rows), self.starts[wanted] - first, self.weights[wanted], out)
        return out


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The cubic convolution kernel with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
