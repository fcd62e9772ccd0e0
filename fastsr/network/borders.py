"""Rows and columns that Pad and Slice add around an image, or take away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.network.graph import Node

Weights = Mapping[str, npt.NDArray[Any]]
Added = tuple[int, int, int, int]  # above, left, below, right; negative where taken away

TO_THE_END = 1 << 30  # of a Slice: an end that no side reaches


def added(node: Node, weights: Weights) -> Added | None:
    """What a Pad or Slice adds to every image; None where that is not known, or other axes change too."""
    if node.op == "Pad":
        return _padded(node, weights)
    return _sliced(node, weights) if node.op == "Slice" else None


def kind(node: Node, weights: Weights) -> str:
    """What a Pad adds: "zeros", "edge" or "reflect"; empty for anything else."""
    mode = node.attributes.get("mode", "constant")
    if mode != "constant":
        return mode if mode in ("edge", "reflect") else ""
    value = weights.get(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else 0
    return "zeros" if value is not None and not np.any(value) else ""


def _padded(node: Node, weights: Weights) -> Added | None:
    amounts, axes = weights.get(node.inputs[1]), _axes(node, 3, weights, list(range(4)))
    if axes is None or amounts is None or amounts.shape != (2 * len(axes),):
        return None
    before = dict(zip(axes, map(int, amounts), strict=False))
    after = dict(zip(axes, map(int, amounts[len(axes) :]), strict=True))
    if any(side.get(axis) for side in (before, after) for axis in (0, 1)):
        return None
    return before.get(2, 0), before.get(3, 0), after.get(2, 0), after.get(3, 0)


def _sliced(node: Node, weights: Weights) -> Added | None:
    axes = _axes(node, 3, weights, None)
    limits = [weights.get(name) for name in node.inputs[1:3]]
    steps = weights.get(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] else 1
    if not axes or not set(axes) <= {2, 3} or len(set(axes)) < len(axes) or steps is None or np.any(steps != 1):
        return None
    if any(limit is None or limit.shape != (len(axes),) for limit in limits):
        return None
    cut = [0, 0, 0, 0]
    for axis, start, end in zip(axes, *(limit.tolist() for limit in limits if limit is not None), strict=True):
        if start < 0 or 0 <= end < TO_THE_END or start > TO_THE_END or end < -TO_THE_END:  # of an image of one size
            return None
        cut[axis - 2], cut[axis] = -start, min(end, 0)
    return cut[0], cut[1], cut[2], cut[3]


def _axes(node: Node, index: int, weights: Weights, default: list[int] | None) -> list[int] | None:
    """The axes that an operator names, from 0 to 3; None where they are not stored."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return default
    stored = weights.get(node.inputs[index])
    return None if stored is None or stored.ndim != 1 else [int(axis) % 4 for axis in stored]
