"""Weights of convolutions stored as half floats, and read back as the float32 ones that they stand for.

Each is stored beside a Cast to float32 that makes the weight under its own name, so that any other runtime reads the
file as well. Here the casts are done while a file is read, and nothing behind the reader knows of them.
"""

from __future__ import annotations

import numpy as np

from fastsr.network import onnx_messages
from fastsr.network.graph import STANDARD
from fastsr.network.onnx_messages import FLOAT, FLOAT16, Message

_SUFFIX = "/half"  # of the stored tensors' names
_RANK = 4  # of convolutions' weights: biases and slopes are small and stay as they are


def rounded(values: np.ndarray) -> np.ndarray:
    """float32 weights as `halved` keeps them, in float32."""
    return values.astype(np.float16).astype(np.float32)


def halved(model: Message) -> None:
    """Store the float32 weights of a ModelProto's convolutions as half floats, where half floats can hold them."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != FLOAT or len(tensor.dims) != _RANK:
            continue
        values = onnx_messages.array(tensor)
        if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
            continue
        casts.append(_cast(tensor.name))
        tensor.Clear()
        _fill(tensor, casts[-1].input[0], values.astype("<f2"), FLOAT16)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def widened(model: Message) -> bool:
    """Put the float32 weights back that `halved` stored in a ModelProto; whether there were any."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == FLOAT16}
    reads = [name for node in graph.node for name in node.input]
    casts = [node for node in graph.node if _is_ours(node) and node.input[0] in stored]
    casts = [node for node in casts if reads.count(node.input[0]) == 1]
    for node in casts:
        tensor = stored[node.input[0]]
        values, shape = onnx_messages.array(tensor), tuple(tensor.dims)
        tensor.Clear()
        _fill(tensor, node.output[0], values.reshape(shape).astype("<f4"), FLOAT)
        graph.node.remove(node)
    return bool(casts)


def _cast(name: str) -> Message:
    node = onnx_messages.messages().NodeProto(
        op_type="Cast", name=f"{name}/cast", input=[name + _SUFFIX], output=[name]
    )
    attribute = node.attribute.add()
    attribute.name, attribute.type, attribute.i = "to", attribute.INT, FLOAT
    return node


def _is_ours(node: Message) -> bool:
    return (
        node.op_type == "Cast"
        and node.domain in STANDARD
        and [(a.name, a.i) for a in node.attribute] == [("to", FLOAT)]
        and list(node.input) == [name + _SUFFIX for name in node.output]
    )


def _fill(tensor: Message, name: str, values: np.ndarray, kind: int) -> None:
    tensor.name, tensor.data_type, tensor.raw_data = name, kind, values.tobytes()
    tensor.dims.extend(values.shape)
