"""Resampling of an image that comes in bands, or of a part of one, first across and then down; to the bits of Pillow's.

A sum along an axis is the same whatever is computed beside it, so a part is that of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_ROWS = 64  # resampled at a time, which bounds the memory


def resampled(
    bands: Iterable[Floats],
    source: tuple[int, int],
    size: tuple[int, int],
    dtype: Any,
    rows: range | None = None,
    columns: range | None = None,
) -> Iterator[npt.NDArray[Any]]:
    """The rows of an image of `size` (width, height), from above, clamped to 0..1 and rounded to `dtype`; cubic.

    `bands` are all rows of the image of size `source`: H x W x C float32. Of a part of the result, some `rows` and
    `columns`, they are what those `read`. Holds a band and the rows that a sum spans.
    """
    across = _Axis(source[0], size[0], columns)
    down = _Axis(source[1], size[1], rows)
    count = len(down.starts)
    held: Floats | None = None  # resampled along their columns
    first = done = 0  # row of the source that `held` begins with; rows given back
    for band in bands:
        for top in range(0, len(band), _ROWS):
            fresh = across.along_columns(band[top : top + _ROWS])
            held = fresh if held is None else np.concatenate([held, fresh])
            ready = down.complete(first + len(held))
            if ready > done:
                yield down.along_rows(held, first, slice(done, ready), dtype)
                done = ready
                below = first + len(held)
                keep = min(int(down.starts[done]), below) if done < count else below
                held, first = held[keep - first :], keep
        del band  # before the next one is made


def read(source: int, size: int, wanted: range, method: str = "bicubic") -> range:
    """Which of `source` samples some of the `size` ones are made from that they are resampled to."""
    return _Axis(source, size, wanted, method).read


def part(
    frame: npt.NDArray[Any],
    to_floats: Callable[[npt.NDArray[Any]], Floats],
    size: tuple[int, int],
    rows: range,
    columns: range,
    method: str,
) -> Floats:
    """Some rows and columns of a frame H x W x C that is resampled to `size` (width, height), not clamped.

    `to_floats` makes samples of some rows and columns of the frame; only those that the part depends on are asked for.
    """
    if method == "nearest":
        picked = np.ix_(_nearest(frame.shape[0], size[1], rows), _nearest(frame.shape[1], size[0], columns))
        return to_floats(frame[picked])
    down, across = _Axis(frame.shape[0], size[1], rows, method), _Axis(frame.shape[1], size[0], columns, method)
    samples = to_floats(frame[down.read.start : down.read.stop, across.read.start : across.read.stop])
    # along rows by the kernel for columns, which does not clamp
    return down.along_columns(across.along_columns(samples).swapaxes(0, 1)).swapaxes(0, 1)


def _nearest(source: int, size: int, wanted: range) -> npt.NDArray[np.int32]:
    """Which sample each of the wanted ones is, by Pillow's own rounding."""
    from PIL import Image  # takes a while to import

    places = Image.fromarray(np.arange(source, dtype=np.int32)[np.newaxis])
    return np.asarray(places.resize((size, 1), Image.Resampling.NEAREST))[0, wanted.start : wanted.stop]


class _Axis:
    """Which samples each resampled one is the sum of, by Pillow's rule: the kernel widens when shrinking.

    Of all resampled ones or of a range of them; `starts` are counted from the first of the samples that those `read`.
    """

    def __init__(self, source: int, size: int, wanted: range | None = None, method: str = "bicubic") -> None:
        wanted = range(size) if wanted is None else wanted
        self._same = source == size
        if self._same:
            self.read = wanted
            self.starts, self.weights = np.arange(len(wanted)), np.ones((len(wanted), 1))
            self._ends = self.starts + 1
            return
        kernel, support = _KERNELS[method]
        step = source / size
        widened = max(step, 1.0)
        support *= widened
        centers = (np.arange(wanted.start, wanted.stop) + 0.5) * step
        low = np.maximum((centers - support + 0.5).astype(np.int64), 0)
        high = np.minimum((centers + support + 0.5).astype(np.int64), source)
        taps = int((high - low).max())
        # sums all span as many samples, within the image; those beyond their own have no weight
        starts = np.minimum(low, source - taps)
        self.weights = np.zeros((len(wanted), taps))
        total = np.zeros(len(wanted))
        for tap in range(taps):
            at = starts + tap
            mine = np.where((at >= low) & (at < high), kernel((at - centers + 0.5) * (1 / widened)), 0.0)
            self.weights[:, tap] = mine
            total += mine
        self.weights /= total[:, np.newaxis]
        self.read = range(int(starts.min()), int(starts.max()) + taps)
        self.starts = starts - self.read.start
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


def _triangle(x: Doubles) -> Doubles:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: Doubles) -> Doubles:
    """The cubic convolution kernel with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Doubles) -> Doubles:
    """The sinc function, windowed by its own main lobe, three times as wide."""
    inside = (x >= -3.0) & (x < 3.0)
    return np.array([_sinc(at) * _sinc(at / 3) if near else 0.0 for at, near in zip(x.tolist(), inside, strict=True)])


def _sinc(x: float) -> float:
    x *= math.pi
    return math.sin(x) / x if x else 1.0  # NumPy's sine may differ from the C library's, Pillow's, in the last bit


_KERNELS: dict[str, tuple[Callable[[Doubles], Doubles], float]] = {  # and how far each reaches to either side
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
