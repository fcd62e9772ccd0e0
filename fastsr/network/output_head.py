"""A generator without its last steps, for engines whose store does them: pixel shuffle, enlarged input added, clamp.

What is left ends in a convolution at low resolution, so the enlarged image is written once instead of three times.
"""

from __future__ import annotations

import dataclasses

from fastsr.network import onnx_messages
from fastsr.network.graph import Graph, Node
from fastsr.network.resize_kind import resize_kind

MAX_RUN = 64  # neighbouring samples of a row that the store takes from a pixel: factor * channels at most


@dataclasses.dataclass(frozen=True)
class HeadlessGraph:
    """A body and what is done to its output afterwards, as `ops.tile_scatter` names it."""

    body: Graph  # N x C*factor^2 x h*scale/factor x w*scale/factor comes out of it
    factor: int  # of the pixel shuffle; 1 for none
    residual: str  # "none", "nearest", "bilinear" or "bicubic"


def without_output_head(
    graph: Graph, residuals: tuple[str, ...] = ("nearest", "bilinear"), fold: int = 1
) -> HeadlessGraph:
    """Take off a last DepthToSpace, and an addition of the enlarged input behind it; without one, nothing.

    `residuals`: ways of enlarging that the caller's store knows. `fold`: the side of the blocks that the caller hands
    the body as one pixel.
    """
    makers = {name: node for node in graph.nodes for name in node.outputs}
    whole = HeadlessGraph(graph, 1, "none")
    last = makers.get(graph.output)
    if last is None:
        return whole
    residual, taken = "none", [last]
    if last.op == "Add":
        a, b = (makers.get(name) for name in last.inputs)
        both = [(s, e) for s, e in ((a, b), (b, a)) if s is not None and e is not None]
        pairs = [(s, e) for s, e in both if _residual(graph, e) in residuals]
        if not pairs:
            return whole
        shuffle, enlarged = pairs[0]
        residual, taken = _residual(graph, enlarged), [last, enlarged, shuffle]
    shuffle = taken[-1]
    factor = shuffle.attributes.get("blocksize", 0)
    if shuffle.op != "DepthToSpace" or shuffle.attributes.get("mode", "DCR") != "CRD":
        return whole
    scale = graph.scale * fold
    at_input = residual in ("nearest", "bilinear")  # the store has these only where the body is as large as the input
    if scale % factor or (at_input and factor != scale) or factor * graph.channels > MAX_RUN:
        return whole
    read = [name for node in graph.nodes for name in node.inputs]
    inner = {name for node in taken for name in node.outputs} - {graph.output}
    if graph.output in read or any(read.count(name) != 1 for name in inner):
        return whole
    return HeadlessGraph(_without(graph, taken, shuffle.inputs[0], factor, scale // factor), factor, residual)


def _residual(graph: Graph, node: Node) -> str:
    """How `node` enlarges the input by the graph's scale, as the store knows it; empty for anything else."""
    kind, factor = resize_kind(node, graph.weights)
    return kind if factor == graph.scale and node.inputs[0] == graph.input else ""


def _without(graph: Graph, taken: list[Node], output: str, factor: int, scale: int) -> Graph:
    gone = {name for node in taken for name in node.outputs}
    model = onnx_messages.parse(graph.serialized)
    nodes = [n for n in model.graph.node if not gone & set(n.output)]
    read = {name for n in nodes for name in n.input}
    weights = [t for t in model.graph.initializer if t.name in read]
    # Exporters that list weights among the inputs list those of what was taken too.
    stale = {t.name for t in model.graph.initializer} - read
    inputs = [i for i in model.graph.input if i.name not in stale]
    kind = model.graph.output[0].type.tensor_type.elem_type
    made = onnx_messages.image_value(output, kind, graph.channels * factor * factor)
    for field, values in (("node", nodes), ("initializer", weights), ("input", inputs), ("output", [made])):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(values)
    model.graph.ClearField("value_info")
    kept = tuple(n for n in graph.nodes if not gone & set(n.outputs))
    known = {name for n in kept for name in (*n.inputs, *n.outputs)}
    return dataclasses.replace(
        graph,
        nodes=kept,
        weights={name: value for name, value in graph.weights.items() if name in known},
        output=output,
        scale=scale,
        serialized=model.SerializeToString(),
    )
