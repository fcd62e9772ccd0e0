"""Engines that hand whole windows of a frame to another runtime: gather, run, scatter, exactly as if run whole."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import ops, tiling
from fastsr.engines.base import Pixels, Progress
from fastsr.errors import EngineError
from fastsr.graph import Graph

# What the widest operator of one window may hold, bytes; a runtime keeps a few such tensors at once.
WINDOW_BYTES = 128 << 20


def out_of_memory(path: Path, pixels: Pixels, remedy: str) -> str:
    """What to say when memory runs out on H x W x C pixels."""
    return f"{path}: memory ran out on {pixels.shape[1]}x{pixels.shape[0]} pixels; {remedy}"


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
        if asked is not None and graph.radius is not None and asked < self.smallest:
            raise EngineError(f"tile {asked} is too small for {graph.name}; use at least {self.smallest}")
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
        """See `Engine.run`. Raises EngineError, naming the model, when memory runs out or it makes another size."""
        try:
            return self._run(pixels, progress)
        except MemoryError:
            raise EngineError(out_of_memory(self.graph.path, pixels, self._remedy(*pixels.shape[:2]))) from None

    def _remedy(self, height: int, width: int) -> str:
        if self.graph.radius is None or self.graph.fixed_size is not None or max(height, width) <= self.smallest:
            return "free some, or take a smaller picture"
        return f"try a smaller tile (at least {self.smallest}) or a smaller picture"

    def _run(self, pixels: Pixels, progress: Progress | None) -> Pixels:
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
