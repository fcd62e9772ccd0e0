"""Slices that cut the border of an image off, as Pads of less than nothing: those tell by how much at any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

Array = npt.NDArray[Any]
Keep = Callable[[str, Array], None]  # adds a constant
AXES = 4  # of an image


def with_crops(
    nodes: list[NodeProto], shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, Array], keep: Keep
) -> list[NodeProto]:
    """`nodes` with Pads in place of such Slices, and one in place of two that follow each other."""
    readers = Counter(name for node in nodes for name in node.input)
    cuts: dict[str, tuple[NodeProto, Array]] = {}  # by their result, with what is added before and after each axis
    made = []
    for node in nodes:
        amounts = _amounts(node, shapes.get(node.input[0]) if node.input else None, constants)
        if amounts is None:
            made.append(node)
            continue
        source, before = node.input[0], cuts.get(node.input[0])
        if before is not None and readers[source] == 1:
            made.remove(before[0])
            source, amounts = before[0].input[0], amounts + before[1]
        name = f"{node.output[0]}/cut"
        keep(name, amounts)
        pad = helper.make_node("Pad", [source, name], [node.output[0]])
        cuts[node.output[0]] = pad, amounts
        made.append(pad)
    return made


def _amounts(node: NodeProto, shape: tuple[int, ...] | None, constants: Mapping[str, Array]) -> Array | None:
    """What a Slice adds before and after each axis, which is less than nothing; None for another operator."""
    if node.op_type != "Slice" or len(node.input) < 4 or any(name not in constants for name in node.input[1:]):
        return None
    starts, ends, axes, *steps = (constants[name].tolist() for name in node.input[1:])
    if any(step != 1 for several in steps for step in several) or not axes:
        return None
    amounts = np.zeros(2 * AXES, np.int64)
    for start, end, axis in zip(starts, ends, axes, strict=True):
        axis %= AXES
        if axis < 2 or (shape is not None and len(shape) != AXES):
            return None
        if end >= 0 or start < 0:  # told by the size
            if shape is None:
                return None
            start, end = start % shape[axis] if start < 0 else start, min(end, shape[axis]) - shape[axis]
        amounts[axis], amounts[AXES + axis] = -start, end
    return amounts
