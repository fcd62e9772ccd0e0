"""Networks whose convolutions do not pad, as waifu2x's: their input is given a border, so that nothing lacks.

Where what lacks is no multiple of the scale, the border is larger and the rest is cut off the output.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fastsr.errors import ModelError
from fastsr.importing import simplification
from fastsr.network.graph import Graph

_PADDED = "padded"  # what the operators read instead of the input
_AMOUNTS = "padded/amounts"
_CUT = "cut"  # what is made of the padded input, before the output is cut out of it
_BEYOND = 128  # pixels more than the known reach


@dataclasses.dataclass(frozen=True)
class Border:
    """Pixels on each side: `added` to the input, `cut` off the output."""

    added: int = 0
    cut: int = 0

    def __bool__(self) -> bool:
        return self != Border()


def missing_border(model: onnx.ModelProto, graph: Graph) -> Border:
    """What makes the output the scale times the input.

    Raises ModelError where no border does that.
    """
    height, width = graph.fixed_size or size_beyond(graph)
    made = dict(simplification.shapes(simplification.for_one_size(model, height, width))).get(graph.output, ())
    lacking = {graph.scale * side - have for side, have in zip((height, width), made[2:], strict=True)}
    if len(lacking) != 1 or min(lacking) % 2:
        raise ModelError(f"{graph.path}: makes {made} of {width}x{height} pixels")
    on_each_side = lacking.pop() // 2
    added = max(0, math.ceil(on_each_side / graph.scale))
    return Border(added, added * graph.scale - on_each_side)


def size_beyond(graph: Graph) -> tuple[int, int]:
    """Height and width that are larger than what one pixel of the output depends on, where that is known."""
    side = graph.alignment * (2 * (graph.radius or 0) + _BEYOND)
    return side, side + graph.alignment


def with_border(model: onnx.ModelProto, border: Border) -> onnx.ModelProto:
    """`model` with the outermost pixels of its input repeated, and its output cut.

    One of a fixed size then reads so much less.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    if border.added:
        _rename_read(graph, graph.input[0].name, _PADDED)
        graph.node.insert(0, helper.make_node("Pad", [graph.input[0].name, _AMOUNTS], [_PADDED], mode="edge"))
        amounts = np.array([0, 0, border.added, border.added] * 2, np.int64)
        graph.initializer.append(numpy_helper.from_array(amounts, _AMOUNTS))
    for side in graph.input[0].type.tensor_type.shape.dim[2:]:
        if side.HasField("dim_value"):
            side.dim_value -= 2 * border.added
    if border.cut:
        output = graph.output[0].name
        _rename_read(graph, output, _CUT)
        for node in graph.node:
            node.output[:] = [_CUT if name == output else name for name in node.output]
        limits = {"first": [border.cut] * 2, "last": [-border.cut] * 2, "axes": [2, 3]}
        for name, values in limits.items():
            graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"{_CUT}/{name}"))
        graph.node.append(helper.make_node("Slice", [_CUT, *(f"{_CUT}/{name}" for name in limits)], [output]))
        for side in graph.output[0].type.tensor_type.shape.dim[2:]:
            side.Clear()
    graph.ClearField("value_info")
    return made


def _rename_read(graph: onnx.GraphProto, name: str, other: str) -> None:
    """Have the operators that read one tensor read another."""
    for node in graph.node:
        node.input[:] = [other if read == name else read for read in node.input]
