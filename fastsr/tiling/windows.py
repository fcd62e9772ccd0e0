"""Which windows a frame is cut into for a generator: by its receptive radius, its alignment, and memory."""

from __future__ import annotations

import math

from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.tiling.window_plan import Plan, plan

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

    def plan(self, height: int, width: int) -> Plan:
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
        return plan(rows, columns, self.tile, self.graph.radius or 0, a, even=self.graph.fixed_size is None)
