"""Engines that hand whole windows of a frame to another runtime: gather, run, scatter, exactly as if run whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import ops
from fastsr.engines.memory_shortage import out_of_memory
from fastsr.engines.protocol import Pixels, Progress
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.tiling.windows import Windows


class WindowedEngine(ABC):
    """Runs window by window; subclasses run one batch."""

    name: str

    def __init__(self, graph: Graph, precision: str, tile: int | None) -> None:
        """`tile`: see `Windows`."""
        self.graph, self.precision = graph, precision
        self.windows = Windows(graph, tile)

    @abstractmethod
    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """N x C x h x w float32 in 0..1 to N x C x h*scale x w*scale float32 or float16."""

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`. Raises EngineError, naming the model, when memory runs out or it makes another size."""
        try:
            return self._run(pixels, progress)
        except MemoryError:
            raise EngineError(out_of_memory(self.graph.path, pixels, self._remedy(*pixels.shape[:2]))) from None

    def _remedy(self, height: int, width: int) -> str:
        if (
            self.graph.radius is None
            or self.graph.fixed_size is not None
            or max(height, width) <= self.windows.smallest
        ):
            return "free some, or take a smaller image"
        return f"try a smaller tile (at least {self.windows.smallest}) or a smaller image"

    def _run(self, pixels: Pixels, progress: Progress | None) -> Pixels:
        height, width, channels = pixels.shape
        scale = self.graph.scale
        plan = self.windows.plan(height, width)
        windows = plan.windows()
        windows[:, 4] = np.minimum(windows[:, 4], height)  # rows and columns that only alignment added are dropped
        windows[:, 5] = np.minimum(windows[:, 5], width)
        windows[:, 2:4] = np.minimum(windows[:, 2:4], windows[:, 4:6])
        out = np.empty((height * scale, width * scale, channels), dtype=pixels.dtype)
        for done, window in enumerate(windows):
            batch = ops.tile_gather(pixels, window[None, :2], plan.window)
            made = self.forward(batch)
            expected = (1, channels, plan.window[0] * scale, plan.window[1] * scale)
            if made.shape != expected:
                raise EngineError(
                    f"{self.graph.path}: made {made.shape} where {expected} was expected; "
                    "export it with convolutions that keep the size and with a constant scale"
                )
            ops.tile_scatter(made, window[None] * scale, out)
            if progress is not None:
                progress(done + 1, len(windows))
        return out
