"""How large windows and batches may be: as a GPU's free memory allows, and smaller ones once it runs out."""

from __future__ import annotations

import math

from fastsr.engines.gpu.device import Device, Network
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.tiling.window_plan import Plan
from fastsr.tiling.windows import USE_OVERLAP, Windows

FULL = 1 << 18  # input pixels that keep a GPU busy; smaller windows are run several at a time
LARGEST_WINDOW = 2048  # side; larger ones gain nothing
MEMORY_SHARE = 0.6  # of the free device memory, for a batch of windows; the rest is for frames, and for others


class WindowBudget:
    """The size of the windows that a network runs on, and how many go through it together."""

    def __init__(
        self,
        graph: Graph,
        network: Network,
        device: Device,
        tile: int | None,
        overlap: int | None = None,
        memory: int | None = None,
    ) -> None:
        """`tile`: side of a window, halo included, in input pixels; None lets the free memory decide, of which no more
        than `memory` bytes are taken. `overlap`: see `Windows`.

        Raises EngineError for a tile that is too small for the graph or too large for the network.
        """
        self._graph, self._network, self._device, self._memory = graph, network, device, memory
        self._windows = Windows(graph, tile, overlap)
        self.most, *sides = network.limits  # windows at once, at most
        if graph.fixed_size is None and self._windows.halo is not None:
            if tile is None:
                self._windows.tile = (LARGEST_WINDOW, LARGEST_WINDOW)
            elif tile > min(sides):
                raise EngineError(f"tile {tile} is larger than the {sides[1]}x{sides[0]} that the engine was built for")
            self.limit(*sides)
            if tile is None:
                self._fit()

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of a window at most."""
        return self._windows.tile

    def plan(self, height: int, width: int) -> Plan:
        """The windows in which a frame of this size is run."""
        return self._windows.plan(height, width)

    def at_once(self, window: tuple[int, int]) -> int:
        """How many windows of a size go through the network together, if there are so many."""
        return self._graph.fixed_batch or min(self.most, max(1, FULL // math.prod(window)))

    def limit(self, height: int, width: int) -> None:
        """Make windows at most this large."""
        step = self._graph.alignment
        height, width = (min(a, b) // step * step for a, b in zip(self.window, (height, width), strict=True))
        if min(height, width) < self._windows.smallest:
            raise EngineError(
                f"{self._graph.name}: windows of {width}x{height} pixels are too small; "
                f"{self._windows.smallest} are needed"
            )
        self._windows.tile = (height, width)

    def shrink(self, error: Exception) -> None:
        """Go on with one window at a time, then half its side. Raises EngineError when nothing smaller is possible."""
        if self.most > 1:
            self.most = 1
            return
        height, width = (side // 2 for side in self.window)  # buffers grow with the one, the network with both
        possible = self._graph.fixed_size is None and self._windows.halo is not None
        if not possible or min(height, width) < 2 * self._windows.smallest:
            remedy = f"; or {USE_OVERLAP}" if self._windows.exact and self._windows.halo != 0 else ""
            raise EngineError(
                f"{self._graph.name}: the GPU's memory does not hold a window of {self.window[1]}x{self.window[0]} "
                f"pixels, and smaller ones are not possible; free memory or use device='cpu'{remedy} ({error})"
            ) from None
        self.limit(height, width)

    def _fit(self) -> None:
        """Make windows, then batches, as small as the free memory asks by what the network is measured to take."""
        most = int(self._device.free_memory() * MEMORY_SHARE)
        if self._memory is not None:
            most = min(most, self._memory)
        least_batch = self._graph.fixed_batch or 1
        while min(self.window) >= 2 * self._windows.smallest and self._network.need(least_batch, *self.window) > most:
            self.limit(*(side * 3 // 4 for side in self.window))
        while self.most > 1 and self._network.need(self.at_once(self.window), *self.window) > most:
            self.most //= 2
