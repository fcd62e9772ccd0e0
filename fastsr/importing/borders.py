"""Networks whose convolutions do not pad, as waifu2x's: their input is given a border, so that nothing lacks."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fastsr.errors import ModelError
from fastsr.importing import simplification
from fastsr.network.graph import Graph

_PADDED = "padded"  # what the operators read instead of the input
_AMOUNTS = "padded/amounts"
_BEYOND = 128  # pixels more than the known reach


def missing_border(model: onnx.ModelProto, graph: Graph) -> int:
    """By how many pixels on each side the input must be larger for the output to be the scale times it.

    Raises ModelError where no border does that.
    """
    height, width = graph.fixed_size or size_beyond(graph)
    made = dict(simplification.shapes(simplification.for_one_size(model, height, width))).get(graph.output, ())
    lacking = {graph.scale * side - have for side, have in zip((height, width), made[2:], strict=True)}
    border = min(lacking) / (2 * graph.scale)
    if len(lacking) > 1 or border < 0 or border % 1:
        raise ModelError(f"{graph.path}: makes {made} of {width}x{height} pixels")
    return int(border)


def size_beyond(graph: Graph) -> tuple[int, int]:
    """Height and width that are larger than what one pixel of the output depends on, where that is known."""
    side = graph.alignment * (2 * (graph.radius or 0) + _BEYOND)
    return side, side + graph.alignment


def with_border(model: onnx.ModelProto, border: int) -> onnx.ModelProto:
    """`model` with the outermost pixels of its input repeated as often; of a fixed size, so much less is read."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = [_PADDED if read == name else read for read in node.input]
    graph.node.insert(0, helper.make_node("Pad", [name, _AMOUNTS], [_PADDED], mode="edge"))
    graph.initializer.append(numpy_helper.from_array(np.array([0, 0, border, border] * 2, np.int64), _AMOUNTS))
    for side in graph.input[0].type.tensor_type.shape.dim[2:]:
        if side.HasField("dim_value"):
            side.dim_value -= 2 * border
    graph.ClearField("value_info")
    return made
