"""What a user says about how frames are cut: the side of tiles, the border around them, the memory they may take."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from fastsr.errors import EngineError
from fastsr.network.graph import Graph

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Bounds(NamedTuple):
    """None stands for: what fits."""

    tile: int | None = None
    """Side of a window, border included, in input pixels."""
    overlap: int | None = None
    """Border of windows, where less than the network's receptive radius will do."""
    memory: int | None = None
    """Bytes that a run may take beyond image, result and weights."""

    def changes(self, graph: Graph) -> str:
        """How windows with too small a border change the results, as a short text; empty where they do not."""
        if self.overlap is None or (graph.radius is not None and graph.radius <= self.overlap):
            return ""
        return f"overlap {self.overlap} tile {self.tile} memory {self.memory}"


def checked(tile: Any, overlap: Any = None, memory: Any = None) -> Bounds:
    """Bounds as users give them. Raises EngineError for what is none."""
    if tile is not None and (not _whole(tile) or tile < 1):
        raise EngineError(f"tile {tile!r} is not a number of pixels; use a whole number such as 256")
    if overlap is not None and (not _whole(overlap) or overlap < 0):
        raise EngineError(f"overlap {overlap!r} is not a number of pixels; use a whole number such as 32")
    if memory is not None:
        memory = _bytes(memory)
    return Bounds(None if tile is None else int(tile), None if overlap is None else int(overlap), memory)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _bytes(value: Any) -> int:
    """Bytes of a number of them, or of a text such as "2G" or "512 MiB"."""
    if _whole(value) and value > 0:
        return int(value)
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?\s*", value, re.IGNORECASE)
        number = 0 if found is None else int(float(found[1]) * _UNITS[found[2].upper()])
        if number > 0:
            return number
    raise EngineError(f"memory {value!r} is not an amount of memory; use bytes, or a text such as '512M' or '2G'")


def amount(size: float) -> str:
    """Bytes as a user reads them."""
    for unit, word in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {word}"
    return f"{size / 1024:.0f} KiB"
