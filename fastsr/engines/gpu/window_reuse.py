"""Windows of a stream that show what they showed in the frame before: their results are taken over, not computed.

A window's result depends on its input alone, margins included, which is compared to the bit on the host, and on the
shape that the network runs. So where that is the same, the bytes are those that computing it again would make. Frames
of one window are not looked at: whole equal frames are known before they come here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fastsr.engines.gpu.bands import Band
from fastsr.engines.protocol import Pixels

PATIENCE = 4  # frames without a repeated window, one after the other, whose results are still kept
_ROWS = 16  # that are compared at once


class FollowedFrame:
    """A frame of a stream, and what is kept of it for the next one."""

    def __init__(
        self, pixels: Pixels | None, window: tuple[int, int], batch: int, before: FollowedFrame | None
    ) -> None:
        self.repeated = 0  #: windows that were taken over so far
        self._pixels, self._window, self._batch = pixels, window, batch
        self._before = before if before is not None and before._leads_to(self) else None
        self._keeps = False
        self._made: Pixels | None = None
        self._unlike: int = 0 if before is None else before._unlike

    def _leads_to(self, after: FollowedFrame) -> bool:
        a, b = self._pixels, after._pixels
        alike = a is not None and b is not None and (a.shape, a.dtype) == (b.shape, b.dtype)
        return self._keeps and alike and (self._window, self._batch) == (after._window, after._batch)

    def take_over(self, band: Band) -> tuple[npt.NDArray[np.bool_], FollowedFrame | None]:
        """Which windows of a band repeat, and the frame whose result has them."""
        before = self._before
        if before is None:
            return np.zeros(len(band.windows), bool), None
        repeated = np.array([self._repeats(before, band, int(left)) for left in band.windows[:, 1]], bool)
        self.repeated += int(repeated.sum())
        return repeated, before

    def _repeats(self, before: FollowedFrame, band: Band, left: int) -> bool:
        assert self._pixels is not None
        assert before._pixels is not None
        columns = slice(left, left + self._window[1])
        bottom = band.start + band.rows
        for top in range(band.start, bottom, _ROWS):
            rows = slice(top, min(top + _ROWS, bottom))
            old, new = (pixels[rows, columns].view(np.uint8) for pixels in (before._pixels, self._pixels))
            if not np.array_equal(old, new):
                return False
        return True

    def all_begun(self) -> None:
        """Decide whether the next frame may take over of this one, once all of its windows have been looked at."""
        self._unlike = 0 if self.repeated else self._unlike + 1
        self._keeps = self._pixels is not None and self._unlike <= PATIENCE
        self._before = None

    def forget(self) -> None:
        """Take over nothing more, and leave nothing to the next frame: windows have become others."""
        self._before = self._pixels = None
        self._keeps = False

    def keep(self, made: Pixels) -> None:
        """The finished result, of which a copy is kept if the next frame may need it."""
        self._made = made.copy() if self._keeps else None

    def copy_cores(self, target: Pixels, windows: npt.NDArray[np.int64], start: int, scale: int) -> None:
        """Copy what windows of a band, which begins in this row, have made of this frame into another one's result."""
        assert self._made is not None
        for rows, columns in _cores(windows, start, scale):
            target[rows, columns] = self._made[rows, columns]


class WindowReuse:
    """The frames of one stream, in order."""

    def __init__(self) -> None:
        self._last: FollowedFrame | None = None

    def follow(self, frame: Pixels, window: tuple[int, int], windows: int, batch: int) -> FollowedFrame:
        """The next frame, cut into so many windows of this size, `batch` of them run at once; its pixels are copied."""
        made = FollowedFrame(np.array(frame, order="C") if windows > 1 else None, window, batch, self._last)
        self._last = made
        return made


def _cores(windows: npt.NDArray[np.int64], start: int, scale: int) -> Iterator[tuple[slice, slice]]:
    for _, _, top, left, bottom, right in windows.tolist():
        yield slice((start + top) * scale, (start + bottom) * scale), slice(left * scale, right * scale)
