"""Frames of a stream: what depends on nothing that has changed since the frame before is not computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from fastsr.engines.protocol import BandedEngine, Pixels, Progress
from fastsr.errors import EngineError
from fastsr.images import resample

Part = Sequence[int]  # of a frame: its first row, the one behind its last, and its columns likewise
KEPT_BYTES = 128 << 20  # of a result; larger ones are not kept for the next frame
PATIENCE = 4  # frames with little in common, one after the other, whose results are still kept
ALIKE = 2  # frames with much in common, one after the other, until the network's tensors are kept as well


class PartsEngine(BandedEngine, Protocol):
    """An engine that makes any parts of a frame, and knows which of them to make again."""

    scale: int

    def filled(self, pixels: Pixels) -> Pixels:
        """The frame with sides that all else here takes."""
        ...

    def make(self, filled: Pixels, progress: Progress | None = None) -> Pixels:
        """The enlargement of all of it."""
        ...

    def make_parts(
        self,
        filled: Pixels,
        parts: Sequence[Part],
        out: Pixels,
        begin: tuple[int, int] = (0, 0),
        progress: Progress | None = None,
    ) -> None:
        """Store the enlargement of parts into `out`, which begins with that of a pixel in this row and column."""
        ...

    def changed_parts(self, before: Pixels, after: Pixels) -> Sequence[Part] | None:
        """Parts whose enlargement may differ from that of the frame before; None where it is nearly all."""
        ...

    def keep(self, filled: Pixels) -> Any | None:
        """Room for all tensors of frames of this size, kept from one to the next; None where it would be too much."""
        ...

    def make_changes(
        self, tensors: Any, before: Pixels | None, filled: Pixels, out: Pixels, progress: Progress | None = None
    ) -> float:
        """Make `out` the enlargement of a frame, where it and the tensors are those of the frame before; all of it
        where there is none. Returns the share of the work that was done.
        """
        ...

    def out_of_memory(self, height: int, width: int) -> EngineError:
        """What to raise where there was not enough for a frame."""
        ...


class ReusingEngine:
    """A native engine for the frames of one stream, in order: `run` makes the bytes that the engine's own would make.

    It keeps a result to itself and hands out copies, for whoever gets one may change it. Changed parts are made from
    the frame; after a few frames that have much in common, the network's tensors are kept too, and each layer makes
    only what depends on a change. Where frames differ all over (a moving camera), both are given up after a few: all
    that they cost more is being compared.
    """

    def __init__(self, engine: PartsEngine) -> None:
        self.name, self.precision = engine.name, engine.precision
        self.computed = 1.0  #: share of the last frame that was computed: of its pixels, or of the network's work
        self._engine = engine
        self._before: Pixels | None = None  # the last frame, its sides whole blocks,
        self._kept: Pixels | None = None  # what was made of it,
        self._tensors: Any | None = None  # and those of the network for it
        self._alike = self._unlike = 0  # frames that had much, or little, in common with the one before, up to the last

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`."""
        try:
            made = self._made(pixels, progress)
            scale = self._engine.scale
            shown = made[: pixels.shape[0] * scale, : pixels.shape[1] * scale]
            return shown.copy() if made is self._kept else np.ascontiguousarray(shown)
        except MemoryError:
            raise self._engine.out_of_memory(*pixels.shape[:2]) from None

    def bands(self, pixels: Pixels, dtype: np.dtype[Any], progress: Progress | None = None) -> Iterator[Pixels]:
        """See `BandedEngine.bands`. A result that is small enough to be kept comes as one band, to be read until the
        next frame is run.
        """
        height, width, channels = pixels.shape
        scale = self._engine.scale
        if height * width * scale**2 * channels * dtype.itemsize > KEPT_BYTES:
            yield from self._engine.bands(pixels, dtype, progress)
            return
        try:
            made = self._made(resample.to_float(pixels) if dtype != pixels.dtype else pixels, progress)
            band = np.ascontiguousarray(made[: height * scale, : width * scale])
        except MemoryError:
            raise self._engine.out_of_memory(*pixels.shape[:2]) from None
        yield band

    def _made(self, pixels: Pixels, progress: Progress | None) -> Pixels:
        """The result, of whole blocks; `_kept`, or nobody else's."""
        frame = self._engine.filled(pixels)
        # what a run that is ended leaves behind is of no use
        before, kept, tensors = self._before, self._kept, self._tensors
        self._before = self._kept = self._tensors = None
        if before is not None and (before.shape, before.dtype) != (frame.shape, frame.dtype):
            before = None
        if before is None or kept is None:
            tensors = None
        if tensors is None:
            made = self._made_from_pixels(before, frame, kept, progress)
        else:
            assert kept is not None
            self.computed = self._engine.make_changes(tensors, before, frame, kept, progress)
            self._count(self.computed < 1)
            made = kept
            if self._unlike <= PATIENCE:
                self._kept, self._tensors = kept, tensors
        self._before = frame.copy() if np.may_share_memory(frame, pixels) else frame
        return made

    def _made_from_pixels(
        self, before: Pixels | None, frame: Pixels, kept: Pixels | None, progress: Progress | None
    ) -> Pixels:
        """The result where no tensors are kept so far."""
        parts = None if before is None else self._engine.changed_parts(before, frame)
        self._count(parts is not None)
        if parts is None or kept is None:
            made = self._engine.make(frame, progress)
            self._kept = made if self._unlike <= PATIENCE and made.nbytes <= KEPT_BYTES else None
            self.computed = 1.0
            return made
        tensors = self._engine.keep(frame) if parts and self._alike == ALIKE else None
        if tensors is None:
            self._engine.make_parts(frame, parts, kept, progress=progress)
            computed = sum((bottom - top) * (right - left) for top, bottom, left, right in parts)
            self.computed = computed / (frame.shape[0] * frame.shape[1])
        else:
            self.computed = self._engine.make_changes(tensors, None, frame, kept, progress)
        self._kept, self._tensors = kept, tensors
        return kept

    def _count(self, alike: bool) -> None:
        self._alike, self._unlike = (self._alike + 1, 0) if alike else (0, self._unlike + 1)
