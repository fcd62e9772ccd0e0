"""Engines that hand whole windows of a frame to another runtime: gather, run, scatter.

Exactly as if run whole, unless the user accepts windows with a smaller border.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import ops
from fastsr.engines import memory_shortage
from fastsr.engines.excerpt import check_part, sources
from fastsr.engines.memory_shortage import out_of_memory
from fastsr.engines.protocol import Estimate, Pixels, PixelwiseMap, Progress
from fastsr.errors import EngineError
from fastsr.network.activation_memory import held_floats
from fastsr.network.graph import Graph
from fastsr.tiling.frame_part import FramePart, whole
from fastsr.tiling.window_plan import Plan
from fastsr.tiling.windows import USE_OVERLAP, Windows


class WindowedEngine(ABC):
    """Runs window by window; subclasses run one batch."""

    name: str

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        """`tile`, `overlap`: see `Windows`; `memory` bounds, in bytes, what a window is estimated to take.

        Where neither tile nor memory is given, windows are as large as free memory allows.
        """
        self.graph, self.precision = graph, precision
        self.windows = Windows(graph, tile, overlap)
        self._memory, self._tile_given = memory, tile is not None
        # Runtimes hold their own copies of some tensors, in other layouts, and keep blocks for the next operator.
        self._pixel_bytes = 2 * 4 * held_floats(graph)

    @abstractmethod
    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """N x C x h x w float32 in 0..1 to N x C x h*scale x w*scale float32 or float16."""

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`. Raises EngineError, naming the model, when memory runs out or it makes another size."""
        (made,) = self.part_bands(pixels, whole(*pixels.shape[:2]), np.ascontiguousarray, pixels.dtype, progress)
        return made

    def part_bands(
        self,
        frame: Pixels,
        part: FramePart,
        convert: PixelwiseMap,
        dtype: np.dtype[Any],
        progress: Progress | None = None,
    ) -> Iterator[Pixels]:
        """See `PartialEngine.part_bands`; all of it in one band."""
        check_part(part, *frame.shape[:2])
        try:
            yield self._windowed(frame, part, convert, dtype, progress)
        except MemoryError:
            height, width = frame.shape[:2]
            raise EngineError(out_of_memory(self.graph.path, height, width, self._remedy(height, width))) from None

    def _remedy(self, height: int, width: int) -> str:
        return self._smaller_windows(height, width) or "free some, or take a smaller image"

    def _smaller_windows(self, height: int, width: int) -> str:
        """How windows that take less memory can be had; empty where they cannot."""
        windows = self.windows
        if self.graph.fixed_size is not None:
            return ""
        if windows.halo is None:
            return "tile= (256, say) and overlap= (64, say) run it in windows, which differ a little from the whole"
        if max(height, width) <= windows.smallest:
            return USE_OVERLAP if windows.exact and windows.halo else ""
        return f"try a smaller tile (at least {windows.smallest}) or a smaller image" + (
            f", or {USE_OVERLAP}" if windows.exact else ""
        )

    def _plan(self, height: int, width: int) -> tuple[Plan, int]:
        """The windows of a frame, and the bytes that one is estimated to take. Raises EngineError for too many."""
        plan = self.windows.plan(height, width)
        needed = self._needed(plan)
        limit = memory_shortage.bound(self._memory, needed)
        if limit is None or needed <= limit:
            return plan, needed
        fixed = self._tile_given or self.windows.halo is None or self.graph.fixed_size is not None
        side = math.isqrt(int(limit / self._pixel_bytes)) // self.graph.alignment * self.graph.alignment
        if fixed or side < self.windows.smallest:
            remedy = self._remedy(height, width) + (", or give more memory" if self._memory is not None else "")
            raise memory_shortage.too_much(self.graph.path, height, width, needed, self._memory, remedy)
        plan = self.windows.plan(height, width, (side, side))
        return plan, self._needed(plan)

    def _needed(self, plan: Plan) -> int:
        return int(math.prod(plan.window) * self._pixel_bytes)

    def estimate(self, height: int, width: int, part: FramePart | None = None) -> Estimate:
        """See `ForetellingEngine.estimate`."""
        plan, needed = self._plan(height, width)
        plan = plan.covering(part or whole(height, width))
        return Estimate(plan.part[::-1], len(plan), needed, plan.work - 1)

    def _windowed(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Pixels:
        """The windows that a part lies in, of those that the whole frame is run in."""
        scale, channels = self.graph.scale, self.graph.channels
        plan = self._plan(*frame.shape[:2])[0].covering(part)
        read = sources(plan.read, *frame.shape[:2])
        pixels = np.ascontiguousarray(convert(frame[read.slices()]))
        windows = plan.windows()
        # what is wanted of each; rows and columns that only alignment added are none of it
        windows[:, 2:4] = np.clip(windows[:, 2:4], (part.top, part.left), (part.bottom, part.right))
        windows[:, 4:6] = np.clip(windows[:, 4:6], (part.top, part.left), (part.bottom, part.right))
        places = windows[:, :2] - (read.top, read.left)
        windows -= np.array([part.top, part.left] * 3)
        out = np.empty((part.height * scale, part.width * scale, channels), dtype)
        for done, (place, window) in enumerate(zip(places, windows, strict=True)):
            batch = ops.tile_gather(pixels, place[None], plan.window)
            made = self.forward(batch)
            expected = (1, channels, plan.window[0] * scale, plan.window[1] * scale)
            if made.shape != expected:
                raise EngineError(
                    f"{self.graph.path}: made {made.shape} where {expected} was expected; "
                    "export it with convolutions that keep the size and with a constant scale, or have it made so: "
                    f"fastsr import {self.graph.path}"
                )
            ops.tile_scatter(made, window[None] * scale, out)
            if progress is not None:
                progress(done + 1, len(windows))
        return out
