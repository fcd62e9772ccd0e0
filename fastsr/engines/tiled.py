"""Engines that hand whole windows of a frame to another runtime: gather, run, scatter, exactly as if run whole."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import ops, tiling
from fastsr.engines.base import Pixels, Progress
from fastsr.errors import EngineError
from fastsr.graph import Graph

# What the widest operator of one window may hold, bytes; a runtime keeps a few such tensors at once.
WINDOW_BYTES = 128 << 20


class Windows:
    """Cuts frames by a graph's receptive radius."""

    def __init__(self, graph: Graph, tile: int | None) -> None:
        """`tile` is the side of a window, halo included, in input pixels; None chooses it by WINDOW_BYTES."""
        self.graph = graph
        self.tile = self._tile(tile)

    @property
    def smallest(self) -> int:
        """The least side that a window may have."""
        radius, alignment = self.graph.radius or 0, self.graph.alignment
        return 2 * -(-radius // alignment) * alignment + alignment

    def _tile(self, asked: int | None) -> tuple[int, int]:
        graph = self.graph
        if graph.fixed_size is not None:
            if any(side % graph.alignment for side in graph.fixed_size):
                raise EngineError(
                    f"{graph.path}: takes {graph.fixed_size[1]}x{graph.fixed_size[0]} pixels, which its operators "
                    f"cannot halve evenly; export it with sides that are multiples of {graph.alignment}"
                )
            return graph.fixed_size
        if graph.radius is None:
            if asked is not None:
                raise EngineError(
                    f"{graph.path}: what its pixels depend on cannot be told from its operators, "
                    "so it cannot run in tiles without seams; leave tile out"
                )
            return (1 << 30, 1 << 30)
        if asked is not None:
            if asked < self.smallest:
                raise EngineError(f"tile {asked} is too small for {graph.name}; use at least {self.smallest}")
            return (asked, asked)
        side = math.isqrt(int(WINDOW_BYTES / (4 * max(graph.cost, 1.0))))
        side = max(side, 4 * self.smallest)
        return (side, side)

    def plan(self, height: int, width: int) -> tiling.Plan:
        """The windows in which a frame of this size is run."""
        a = self.graph.alignment
        rows, columns = -(-height // a) * a, -(-width // a) * a
        if self.graph.fixed_size is not None:
            rows, columns = max(rows, self.tile[0]), max(columns, self.tile[1])
            if self.graph.radius is None and (rows, columns) != self.tile:
                raise EngineError(
                    f"{self.graph.path}: takes only {self.tile[1]}x{self.tile[0]} pixels and cannot run in tiles; "
                    "export it with free height and width"
                )
        return tiling.plan(rows, columns, self.tile, self.graph.radius or 0, a, even=self.graph.fixed_size is None)


class TiledEngine(Windows, ABC):
    """Runs window by window; subclasses run one batch."""

    name: str

    def __init__(self, graph: Graph, precision: str, tile: int | None) -> None:
        """`tile`: see `Windows`."""
        super().__init__(graph, tile)
        self.precision = precision

    @abstractmethod
    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """N x C x h x w float32 in 0..1 to N x C x h*scale x w*scale float32 or float16."""

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`."""
        height, width, channels = pixels.shape
        scale = self.graph.scale
        plan = self.plan(height, width)
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
