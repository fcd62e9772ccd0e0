"""What `fastsr export --onnx` writes: a model in the types of a precision. exported_onnx_reader.py reads it back."""

from __future__ import annotations

import onnx

from fastsr.network import qdq, strong_typing
from fastsr.network.exported_onnx_reader import MARK
from fastsr.network.graph import Graph


def form(graph: Graph, precision: str) -> onnx.ModelProto:
    """What `fastsr export --onnx` writes: for int8 Q/DQ operators of u8, s8 and s32, which any runtime takes, between
    float32 images; else the strongly typed form of the precision.

    Raises EngineError and ModelError as `qdq.to_qdq` and `strong_typing.strongly_typed` do.
    """
    if precision != "int8":
        return strong_typing.strongly_typed(graph, precision)
    model = qdq.to_qdq(graph)
    onnx.helper.set_model_props(model, {**graph.metadata, MARK: precision})
    return model
