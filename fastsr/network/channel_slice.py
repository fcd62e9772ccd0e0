"""Slices of channels: the runs that Slice operators with stored bounds take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from fastsr.network.graph import Node


def channel_slice(node: Node, weights: Mapping[str, npt.NDArray[Any]], channels: int) -> tuple[int, int] | None:
    """First channel that a Slice takes of so many, and the one behind the last; None for anything else."""
    bounds = [weights.get(name) for name in node.inputs[1:] if name]
    if node.op != "Slice" or len(bounds) < 3 or "" in node.inputs[:4]:
        return None
    starts, ends, axes, *steps = [None if values is None else values.reshape(-1).tolist() for values in bounds]
    if starts is None or ends is None or axes not in ([1], [-3]) or any(step != [1] for step in steps):
        return None
    if len(starts) != 1 or len(ends) != 1:
        return None
    low, high, _ = slice(int(starts[0]), int(ends[0])).indices(channels)
    return (low, high) if low < high else None
