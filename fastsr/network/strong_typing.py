"""The typed form of a generator: an ONNX model whose every tensor has the element type it is computed in.

Strongly typed runtimes (TensorRT) take no precision as an option; they read it off the model. Images come in and go
out as fp16, except for fp32: half the bytes at 11 bits, finer than 8-bit pixels need. Within:

| precision | convolutions and what leads to them | what follows the last convolution |
|---|---|---|
| fp32 | the file as it is | |
| fp16 | fp16 | fp16 |
| bf16 | bf16 | fp16, for one step of bf16 near white is a whole 8-bit step |
| int8 | s8 x s8 (Q/DQ) where the input has a range, else fp16; sums, biases and activations fp16 | fp16 |
| fp8 | E4M3 x E4M3 (Q/DQ), likewise | fp16 |

A convolution that reads the image itself stays fp16 in int8 and fp8: of fast-x2 on a photo, s8 pixels cost 0.01 dB
more and E4M3 pixels 0.2 dB. Transposed convolutions of bf16 run in fp32, for TensorRT has none in bf16.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from fastsr.errors import EngineError, ModelError
from fastsr.network import qdq, quantization
from fastsr.network.graph import Graph

PRECISIONS = ("fp32", "fp16", "bf16", "int8", "fp8")
REVISION = 2  # raised when the form of any precision changes, so that engines built from the old one are not used
E4M3_MAX = 448.0  # the largest number of the fp8 format

# The type of convolutions, the opset that has its operators in that type (0: the file's own).
_BODY = {
    "fp32": (TensorProto.FLOAT, 0),
    "fp16": (TensorProto.FLOAT16, 0),
    "bf16": (TensorProto.BFLOAT16, 22),
    "int8": (TensorProto.FLOAT16, 19),
    "fp8": (TensorProto.FLOAT16, 19),
}
_SUFFIX = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
_HEAVY = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
_FLOAT_SLOTS = frozenset((("Resize", 1), ("Resize", 2), ("Upsample", 1)))  # operands that are float32 by definition
_SMALLEST_SCALE = 2.0**-20  # fp16 holds it with four bits; below, a scale would soon be 0
_LARGEST_SCALE = 65504.0


def io_dtype(precision: str) -> np.dtype[Any]:
    """The element type of images going into and out of the typed form: float32 for "fp32", else float16."""
    return np.dtype(np.float32 if precision == "fp32" else np.float16)


def strongly_typed(graph: Graph, precision: str) -> onnx.ModelProto:
    """`graph` with every tensor in the type that `precision` computes it in.

    Raises EngineError for an unknown precision, or for int8 and fp8 without ranges, saying how to get them; ModelError,
    naming the file, where the graph is not float32, has operators with graphs inside, or weights that fp16 cannot hold.
    """
    if precision not in PRECISIONS:
        raise EngineError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    model = onnx.load_model_from_string(graph.serialized)
    if graph.dtype == io_dtype(precision) and precision in ("fp32", "fp16"):
        return model if precision == "fp32" else _marked(model, precision)
    if graph.dtype != np.float32:
        raise ModelError(f"{graph.path}: is a {graph.dtype} model, which has no {precision} form; export it as float32")
    body, opset = _BODY[precision]
    model = _converted(graph, model, opset)
    if precision in ("int8", "fp8"):
        form = SymmetricForm(graph) if precision == "int8" else Float8Form(graph)
        # 127 steps from black to white would be coarser than the pixels; the head is a small part of the work.
        model = qdq.rewritten(model, graph, form, exact=frozenset((graph.input,)))
    return _marked(_Typing(graph, model, precision, body).model(), precision)


def _marked(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | {"precision": precision})
    return model


def _converted(graph: Graph, model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if graph.opset >= opset:
        return model
    try:
        converted = version_converter.convert_version(model, opset)
    except Exception as error:  # RuntimeError or its own, by version
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{graph.path}: cannot be brought to opset {opset}: {reason}; export it at {opset}") from None
    converted.ir_version = max(model.ir_version, helper.find_min_ir_version_for(list(converted.opset_import)))
    return converted


def half_scale(scale: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The nearest numbers not below `scale` that fp16 holds, as float32; never 0."""
    wanted = np.clip(np.asarray(scale, np.float64), _SMALLEST_SCALE, _LARGEST_SCALE)
    near = wanted.astype(np.float16)
    with np.errstate(over="ignore"):  # above the largest, which is not used
        above = np.nextafter(near, np.float16(np.inf))
    return np.where(near < wanted, above, near).astype(np.float32)


class SymmetricForm(qdq.Form):
    """s8 activations and kernels around 0 (-127..127), in steps that fp16 holds; biases stay float.

    TensorRT's parser takes neither zero points nor integer biases.
    """

    def activation_parameters(self, low: float, high: float) -> tuple[np.float32, onnx.TensorProto]:
        """See `Form.activation_parameters`."""
        scale = half_scale(max(-low, high) / 127)
        return np.float32(scale), numpy_helper.from_array(np.zeros((), np.int8))

    def operands(
        self, node: onnx.NodeProto, kernel: quantization.Kernel, bias: npt.NDArray[np.float32] | None
    ) -> list[str]:
        """See `Form.operands`."""
        _, x = self.activation(node.input[0])
        scale = half_scale(_largest(kernel) / 127)
        quantized = numpy_helper.from_array(quantization.quantized_weights(kernel, scale))
        return [x, self.weight(f"{node.output[0]}/kernel", quantized, scale), *node.input[2:]]


class Float8Form(qdq.Form):
    """E4M3 activations and kernels, in steps that fp16 holds; biases stay float."""

    def activation_parameters(self, low: float, high: float) -> tuple[np.float32, onnx.TensorProto]:
        """See `Form.activation_parameters`."""
        zero = helper.make_tensor("", TensorProto.FLOAT8E4M3FN, (), [0.0])
        return np.float32(half_scale(max(-low, high) / E4M3_MAX)), zero

    def operands(
        self, node: onnx.NodeProto, kernel: quantization.Kernel, bias: npt.NDArray[np.float32] | None
    ) -> list[str]:
        """See `Form.operands`."""
        _, x = self.activation(node.input[0])
        scale = half_scale(_largest(kernel) / E4M3_MAX)
        values = np.clip(kernel / scale[:, None, None, None], -E4M3_MAX, E4M3_MAX)
        quantized = helper.make_tensor("", TensorProto.FLOAT8E4M3FN, kernel.shape, values.ravel().tolist())
        return [x, self.weight(f"{node.output[0]}/kernel", quantized, scale), *node.input[2:]]


def _largest(kernel: quantization.Kernel) -> npt.NDArray[np.float64]:
    """The largest weight of each output channel; 1 for a channel of zeros."""
    largest = np.abs(kernel).max(axis=(1, 2, 3), initial=0).astype(np.float64)
    return np.where(largest > 0, largest, 1.0)


class _Typing:
    """Walks a float32 model in the order of its operators and gives each its type, with casts where types meet."""

    def __init__(self, graph: Graph, model: onnx.ModelProto, precision: str, body: int) -> None:
        self._graph, self._model, self._precision = graph, model, precision
        self._body, self._io = body, helper.np_dtype_to_tensor_dtype(io_dtype(precision))
        self._stored = {t.name: t for t in model.graph.initializer}
        self._kinds = _element_types(graph, model)  # of tensors as the file has them
        self._now: dict[str, int] = {}  # of the float tensors made so far
        self._alike: dict[tuple[str, int], str] = {}  # (tensor, type) -> the tensor that holds it in that type
        self._nodes: list[onnx.NodeProto] = []
        self._made: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        """The typed model. Changes the one that was given."""
        graph = self._model.graph
        heavy = self._leading_to_heavy()
        seen = {self._graph.input}
        self._now[self._graph.input] = self._io
        for node in graph.node:
            if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
                raise ModelError(
                    f"{self._graph.path}: {node.op_type} has no {self._precision} form; use fp32, or export it without"
                )
            of_image = any(name in seen for name in node.input) and node.op_type not in ("Shape", "Size")
            if of_image:
                seen.update(node.output)
            # Scales that dequantize stored weights give them the convolution's type; other constants keep theirs.
            if of_image or node.op_type == "DequantizeLinear":
                self._retype(node, self._kind(node, heavy))
            else:
                self._keep(node)
        self._finish()
        return self._model

    def _kind(self, node: onnx.NodeProto, heavy: set[str]) -> int:
        if node.op_type == "ConvTranspose" and self._body == TensorProto.BFLOAT16:
            return int(TensorProto.FLOAT)
        return self._body if node.op_type in _HEAVY or heavy & {*node.output} else self._io

    def _leading_to_heavy(self) -> set[str]:
        """The tensors that a convolution depends on."""
        leading: set[str] = set()
        for node in reversed(self._model.graph.node):
            if node.op_type in _HEAVY or leading & {*node.output}:
                leading.update(node.input)
        return leading

    def _retype(self, node: onnx.NodeProto, kind: int) -> None:
        for i, name in enumerate(node.input):
            if name and self._is_float(name):
                wanted = TensorProto.FLOAT if (node.op_type, i) in _FLOAT_SLOTS else kind
                node.input[i] = self._as(name, wanted)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = kind
        for name in node.output:
            if self._kinds.get(name, TensorProto.FLOAT) == TensorProto.FLOAT:
                self._now[name] = kind
        self._nodes.append(node)

    def _keep(self, node: onnx.NodeProto) -> None:
        for i, name in enumerate(node.input):
            if self._now.get(name, TensorProto.FLOAT) != TensorProto.FLOAT and node.op_type not in ("Shape", "Size"):
                node.input[i] = self._as(name, TensorProto.FLOAT)
        self._nodes.append(node)

    def _is_float(self, name: str) -> bool:
        return name in self._now or self._kinds.get(name, TensorProto.FLOAT) == TensorProto.FLOAT

    def _as(self, name: str, kind: int) -> str:
        """The tensor that holds `name` in the type `kind`: itself, a copy of a stored one, or the result of a cast."""
        if self._now.get(name, TensorProto.FLOAT) == kind:
            return name
        if (name, kind) not in self._alike:
            alike = f"{name}/{_SUFFIX[kind]}"
            self._alike[name, kind] = alike
            if name in self._stored:
                self._made.append(self._tensor(alike, numpy_helper.to_array(self._stored[name]), kind))
            elif name in self._graph.weights:  # made by a Constant operator
                self._made.append(self._tensor(alike, self._graph.weights[name].astype(np.float32), kind))
            else:
                self._nodes.append(helper.make_node("Cast", [name], [alike], name=alike, to=kind))
        return self._alike[name, kind]

    def _tensor(self, name: str, value: npt.NDArray[Any], kind: int) -> onnx.TensorProto:
        if kind != TensorProto.FLOAT16:
            return helper.make_tensor(name, kind, value.shape, value.ravel().tolist())
        with np.errstate(over="ignore"):
            half = value.astype(np.float16)
        if (np.isinf(half) & np.isfinite(value)).any():
            raise ModelError(
                f"{self._graph.path}: {name.removesuffix('/fp16')!r} holds values up to {np.abs(value).max():g}, "
                f"beyond what {self._precision} computes with (65504); use bf16 or fp32"
            )
        return numpy_helper.from_array(half, name)

    def _finish(self) -> None:
        graph, output = self._model.graph, self._graph.output
        kind = self._now.get(output, TensorProto.FLOAT)
        if kind != self._io:
            inner = f"{output}/{_SUFFIX[kind]}"
            for node in self._nodes:
                for names in (node.input, node.output):
                    names[:] = [inner if name == output else name for name in names]
            self._nodes.append(helper.make_node("Cast", [inner], [output], name=f"{output}/cast", to=self._io))
        read = {name for node in self._nodes for name in node.input}
        self._nodes = [n for n in self._nodes if n.op_type != "Constant" or read & {*n.output}]
        tensors = [t for t in (*graph.initializer, *self._made) if t.name in read]
        inputs = [i for i in graph.input if i.name == self._graph.input]
        for value in (*inputs, *graph.output):
            value.type.tensor_type.elem_type = self._io
        for field, values in (("node", self._nodes), ("initializer", tensors), ("input", inputs), ("value_info", [])):
            kept = list(values)  # type: ignore[call-overload]
            graph.ClearField(field)
            getattr(graph, field).extend(kept)


def _element_types(graph: Graph, model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every tensor that has a known one."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # its own, by version
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{graph.path}: the types of its tensors cannot be told: {reason}") from None
    kinds = {t.name: t.data_type for t in inferred.initializer}
    return kinds | {v.name: v.type.tensor_type.elem_type for v in _values(inferred) if v.type.tensor_type.elem_type}


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.value_info
    yield from graph.output
