"""Which windows a frame is cut into for a generator: by its receptive radius, its alignment, and memory."""

from __future__ import annotations

import math

from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.tiling.window_plan import Plan, plan

# What the widest operator of one window may hold, bytes; a runtime keeps a few such tensors at once.
WINDOW_BYTES = 128 << 20

USE_OVERLAP = "overlap= (64, say) takes windows with a smaller border, which differ a little from the whole"


class Windows:
    """Cuts frames by a graph's receptive radius, or by a smaller border that the user accepts."""

    def __init__(self, graph: Graph, tile: int | None, overlap: int | None = None) -> None:
        """`tile` is the side of a window, halo included, in input pixels; None chooses it by WINDOW_BYTES.

        `overlap` is the halo where the receptive radius is larger, or not known. Raises EngineError for a tile that is
        too small.
        """
        self.graph = graph
        self.halo = _halo(graph, overlap)  # None: frames go through whole
        self.exact = self.halo == graph.radius
        self.tile = self._tile(tile)

    @property
    def smallest(self) -> int:
        """The least side that a window may have."""
        halo, alignment = self.halo or 0, self.graph.alignment
        return 2 * -(-halo // alignment) * alignment + alignment

    def _tile(self, asked: int | None) -> tuple[int, int]:
        graph = self.graph
        if asked is not None and self.halo is not None and asked < self.smallest:
            remedy = f"use at least {self.smallest}"
            if self.exact and self.halo:
                remedy += f" (its pixels depend on {self.halo} pixels around each); or {USE_OVERLAP}"
            raise EngineError(f"tile {asked} is too small for {graph.name}; {remedy}")
        if graph.fixed_size is not None:
            if any(side % graph.alignment for side in graph.fixed_size):
                raise EngineError(
                    f"{graph.path}: takes {graph.fixed_size[1]}x{graph.fixed_size[0]} pixels, which its operators "
                    f"cannot halve evenly; export it with sides that are multiples of {graph.alignment}"
                )
            return graph.fixed_size
        if self.halo is None:
            if asked is not None:
                raise EngineError(
                    f"{graph.path}: what its pixels depend on cannot be told from its operators, so it cannot run in "
                    f"tiles without seams; leave tile out, or give overlap= (64, say) as well for tiles that differ "
                    "from the whole"
                )
            return (1 << 30, 1 << 30)
        if asked is not None:
            return (asked, asked)
        side = math.isqrt(int(WINDOW_BYTES / (4 * max(graph.cost, 1.0))))
        side = max(side, 4 * self.smallest)
        return (side, side)

    def plan(self, height: int, width: int, tile: tuple[int, int] | None = None) -> Plan:
        """The windows in which a frame of this size is run, of at most the sides `tile` (default: its own)."""
        a = self.graph.alignment
        rows, columns = -(-height // a) * a, -(-width // a) * a
        if self.graph.fixed_size is not None:
            rows, columns = max(rows, self.tile[0]), max(columns, self.tile[1])
            if self.halo is None and (rows, columns) != self.tile:
                raise EngineError(
                    f"{self.graph.path}: takes only {self.tile[1]}x{self.tile[0]} pixels and cannot run in tiles; "
                    "export it with free height and width, or give overlap= (64, say) for tiles that differ from the "
                    "whole"
                )
        return plan(rows, columns, tile or self.tile, self.halo or 0, a, even=self.graph.fixed_size is None)


def _halo(graph: Graph, overlap: int | None) -> int | None:
    if overlap is None or graph.radius is None:
        return graph.radius if overlap is None else overlap
    return min(overlap, graph.radius)
