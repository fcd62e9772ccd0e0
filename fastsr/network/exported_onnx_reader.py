"""Models in the types of a precision, as `fastsr export --onnx` writes them, read back as plain float32 models.

Half floats become float32, casts between floats go, and quantized weights become float ones that int8 quantizes to the
same values. So every engine runs them, the native one too, at any precision: "int8" gives the bytes that it gives with
the model they were exported from.
"""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper

from fastsr.network import quantization
from fastsr.network.graph import RANGES, STANDARD

MARK = "precision"  # metadata key that `fastsr export` sets
MARKED = ("fp16", "bf16", "int8", "fp8")
_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_FLOATS = (TensorProto.FLOAT, *_HALVES)


def restored(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """`model` in float32, unless it is that already or holds what cannot be turned; then None, and it runs as it is.

    Q/DQ operators are taken off only where `fastsr export` put them: others' may stand where rounding is meant.
    """
    metadata = {p.key: p.value for p in model.metadata_props}
    ours = metadata.get(MARK) in MARKED
    kinds = {i.type.tensor_type.elem_type for i in model.graph.input} | {t.data_type for t in model.graph.initializer}
    half = not kinds.isdisjoint(_HALVES)
    if not (ours or half) or not _is_plain(model):
        return None
    try:
        made = _Restoring(model, ours).model()
        metadata.pop(MARK, None)
        metadata.update(_ranges(made, metadata))
        onnx.helper.set_model_props(made, metadata)
        onnx.checker.check_model(made, full_check=True)
    except MemoryError:
        raise
    except Exception:  # of the checker, of shape inference, of operators in an order or of a kind that is not ours
        return None
    return made


def _is_plain(model: onnx.ModelProto) -> bool:
    """Whether all that a model does stands in its one list of standard operators."""
    inner = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    return (
        not model.functions
        and not model.graph.sparse_initializer
        and all(node.domain in STANDARD for node in model.graph.node)
        and not any(a.type in inner for node in model.graph.node for a in node.attribute)
    )


def _ranges(model: onnx.ModelProto, metadata: dict[str, str]) -> dict[str, str]:
    """The activation ranges without those of tensors that are gone."""
    if RANGES not in metadata:
        return {}
    graph = model.graph
    tensors = {i.name for i in graph.input} | {name for node in graph.node for name in node.output}
    kept = {name: limits for name, limits in json.loads(metadata[RANGES]).items() if name in tensors}
    return {RANGES: json.dumps(kept)}


class _Restoring:
    """Goes through the operators in their order."""

    def __init__(self, model: onnx.ModelProto, ours: bool) -> None:
        self._made = onnx.ModelProto()
        self._made.CopyFrom(model)
        self._ours = ours
        self._kinds = _element_types(model)
        self._stored = {t.name: _in_float(t) for t in model.graph.initializer}
        self._same: dict[str, str] = {}  # tensor that a cast or Q/DQ made -> the one that takes its place
        self._quantized: dict[str, str] = {}  # what QuantizeLinear made -> what it read
        self._nodes: list[NodeProto] = []

    def model(self) -> onnx.ModelProto:
        graph = self._made.graph
        for node in graph.node:
            node.input[:] = [self._same.get(name, name) for name in node.input]
            if not self._dropped(node):
                self._nodes.append(_retyped(node))
        self._name_output(graph.output[0].name)
        read = {name for node in self._nodes for name in node.input}
        inputs = [i for i in graph.input if i.name not in self._stored]
        for value in (*inputs, *graph.output):
            if value.type.tensor_type.elem_type in _HALVES:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        tensors = [t for name, t in self._stored.items() if name in read]
        for field, values in (("node", self._nodes), ("initializer", tensors), ("input", inputs), ("value_info", [])):
            kept = list(values)  # type: ignore[call-overload]
            graph.ClearField(field)
            getattr(graph, field).extend(kept)
        return self._made

    def _dropped(self, node: NodeProto) -> bool:
        """Whether an operator does nothing in float32; then what it makes has been replaced."""
        if node.op_type == "Cast":
            to = next(a.i for a in node.attribute if a.name == "to")
            if to in _FLOATS and self._kinds.get(node.input[0]) in _FLOATS:
                self._same[node.output[0]] = node.input[0]
                return True
        if node.op_type == "QuantizeLinear" and self._ours:
            self._quantized[node.output[0]] = node.input[0]
            return True
        if node.op_type == "DequantizeLinear" and self._ours:
            if node.input[0] in self._quantized:
                self._same[node.output[0]] = self._quantized[node.input[0]]
            else:
                weights = self._weights(node)
                self._stored[weights.name] = weights
                self._same[node.output[0]] = weights.name
            return True
        return False

    def _weights(self, node: NodeProto) -> TensorProto:
        """A stored quantized tensor, dequantized to float32."""
        quantized, scale, *zero = (numpy_helper.to_array(self._stored[name]) for name in node.input if name)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        if zero and np.asarray(zero[0], np.float32).any():
            raise ValueError("a quantized tensor with a zero point")
        # Under the name that it makes, another export would store its own.
        name = node.output[0].removesuffix("/dequantized")
        if name in self._stored or name in self._kinds.keys() - {*node.output}:
            raise ValueError(f"{name!r} is there already")
        return numpy_helper.from_array(_dequantized(quantized, scale.astype(np.float32), axis), name)

    def _name_output(self, output: str) -> None:
        """Let the model's output keep its name where what made it is gone."""
        made = self._same.get(output)
        if made is None:
            return
        if made not in {name for node in self._nodes for name in node.output}:
            self._nodes.append(onnx.helper.make_node("Identity", [made], [output]))
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [output if name == made else name for name in names]


def _dequantized(
    quantized: npt.NDArray[np.generic], scale: npt.NDArray[np.float32], axis: int
) -> npt.NDArray[np.float32]:
    if quantized.dtype == np.int8 and quantized.ndim == 4 and scale.shape == (len(quantized),) and axis == 0:
        return quantization.dequantized_weights(quantized.astype(np.int8), scale)
    if scale.size not in (1, quantized.shape[axis] if quantized.ndim else 1):
        raise ValueError(f"{scale.size} scales for a quantized tensor of shape {quantized.shape}")
    if scale.ndim:
        scale = scale.reshape([-1 if i == axis else 1 for i in range(quantized.ndim)])
    return np.asarray(quantized.astype(np.float64) * scale, np.float32)


def _in_float(tensor: TensorProto) -> TensorProto:
    if tensor.data_type not in _HALVES:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _retyped(node: NodeProto) -> NodeProto:
    """An operator whose attributes name float32 where they named a half float."""
    for a in node.attribute:
        if a.type == AttributeProto.TENSOR:
            a.t.CopyFrom(_in_float(a.t))
        elif a.name in ("to", "dtype", "output_dtype") and a.i in _HALVES:
            a.i = TensorProto.FLOAT
    return node


def _element_types(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    kinds = {v.name: v.type.tensor_type.elem_type for v in values}
    return kinds | {t.name: t.data_type for t in inferred.initializer}
