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
    factor: int = 1  # of the pixel shuffle; 1 for none
    residual: str = "none"  # or "nearest", "bilinear", "bicubic"
    gain: float = 1  # of the residual
    repeated: float = 0  # gain of the input as "nearest" enlarges it, where that is added beside the residual


def without_output_head(
    graph: Graph, residuals: tuple[str, ...] = ("nearest", "bilinear"), fold: int = 1
) -> HeadlessGraph:
    """Take off a last DepthToSpace, and an addition of the enlarged input behind it; without one, nothing.

    `residuals`: ways of enlarging that the caller's store knows. `fold`: the side of the blocks that the caller hands
    the body as one pixel.
    """
    return _peeled(graph, residuals, fold) or HeadlessGraph(graph)


def without_weighted_head(
    graph: Graph, residuals: tuple[str, ...], fold: int = 1, shuffled: bool = True
) -> HeadlessGraph:
    """`without_output_head` for a store that adds the input enlarged with a gain, repeated beside it, and where nothing
    is shuffled too.

    `shuffled`: whether a last DepthToSpace may be taken off.
    """
    made = _peeled(graph, residuals, fold, weighted=True) if shuffled else None
    return made or _peeled(graph, residuals, fold, weighted=True, shuffled=False) or HeadlessGraph(graph)


def _peeled(
    graph: Graph, residuals: tuple[str, ...], fold: int, weighted: bool = False, shuffled: bool = True
) -> HeadlessGraph | None:
    """What is left without the head, None where the store cannot do what the head does."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    added: dict[str, float] = {}  # kind -> gain
    taken: list[Node] = []
    name = graph.output
    while (found := _addition(graph, makers, name, residuals)) is not None:
        rest, kind, gain, nodes = found
        beside = not added or (weighted and "nearest" in {kind, *added} and kind not in added and len(added) < 2)
        if not beside or (gain != 1 and not weighted):
            break
        added[kind] = gain
        taken += nodes
        name = rest
    repeated = added.pop("nearest", 0.0) if len(added) > 1 else 0.0
    (residual, gain), *_ = [*added.items(), ("none", 1.0)]
    last, factor = makers.get(name), 1
    if shuffled:
        if last is None or last.op != "DepthToSpace" or last.attributes.get("mode", "DCR") != "CRD":
            return None
        taken.append(last)
        name, factor = last.inputs[0], last.attributes.get("blocksize", 0)
    scale = graph.scale * fold
    # the store has these only where the body is as large as the input
    at_input = residual in ("nearest", "bilinear") or bool(repeated)
    if not taken or scale % factor or (at_input and factor != scale) or factor * graph.channels > MAX_RUN:
        return None
    if residual == "nearest" and gain != 1:
        return None
    read = [name for node in graph.nodes for name in node.inputs]
    inner = {name for node in taken for name in node.outputs} - {graph.output}
    if graph.output in read or any(read.count(name) != 1 for name in inner):
        return None
    return HeadlessGraph(_without(graph, taken, name, factor, scale // factor), factor, residual, gain, repeated)


def _addition(
    graph: Graph, makers: dict[str, Node], name: str, residuals: tuple[str, ...]
) -> tuple[str, str, float, list[Node]] | None:
    """Of an addition of the enlarged input that makes `name`: the other operand, the kind, the gain, and its nodes."""
    last = makers.get(name)
    if last is None or last.op != "Add":
        return None
    for rest, beside in (last.inputs, last.inputs[::-1]):
        nodes, gain, node = [last], 1.0, makers.get(beside)
        if node is not None and node.op == "Mul":
            gains = [graph.weights[other] for other in node.inputs if other in graph.weights]
            tensors = [other for other in node.inputs if other not in graph.weights]
            if len(gains) != 1 or gains[0].size != 1:
                continue
            nodes.append(node)
            gain, node = float(gains[0].reshape(())), makers.get(tensors[0])
        if node is not None and rest in makers and (kind := _residual(graph, node)) in residuals:
            return rest, kind, gain, [*nodes, node]
    return None


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
