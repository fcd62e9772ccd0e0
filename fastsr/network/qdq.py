"""The Q/DQ form of a generator: its convolutions between QuantizeLinear and DequantizeLinear operators.

The quantization parameters are those of `quantization`; whatever is no convolution stays float.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from fastsr.network.graph import STANDARD, Graph
from fastsr.network.quantization import (
    Kernel,
    activation_parameters,
    by_rows,
    quantized_bias,
    quantized_weights,
    ranged,
    stored,
    weight_scales,
)


def to_qdq(graph: Graph) -> onnx.ModelProto:
    """`graph` in Q/DQ form; a convolution whose input has no range stays float.

    Raises EngineError, saying how to get them, when it has no ranges at all, and ModelError when it has no int8 form.
    """
    return rewritten(onnx.load_model_from_string(graph.serialized), graph, _IntegerForm(graph))


def rewritten(model: onnx.ModelProto, graph: Graph, form: Form, exact: frozenset[str] = frozenset()) -> onnx.ModelProto:
    """`model`, the file of `graph`, in `form` where convolutions read what has a range and is not in `exact`.

    Changes and returns it. Raises as `to_qdq` does.
    """
    quantized = ranged(graph) - exact
    for node in model.graph.node:
        conv = node.op_type == "Conv" and node.domain in STANDARD
        if conv and node.input[0] in quantized and stored(graph, node.input[1:]):
            form.convolution(node)
        else:
            form.nodes.append(node)
    stale = form.replaced - {name for node in form.nodes for name in node.input}
    tensors = [t for t in model.graph.initializer if t.name not in stale] + form.tensors
    inputs = [i for i in model.graph.input if i.name not in stale]  # old exporters list weights among the inputs
    for field, values in (("node", form.nodes), ("initializer", tensors), ("input", inputs)):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(values)
    return model


class Form(ABC):
    """Collects the operators and tensors of a graph's Q/DQ form; subclasses choose the quantization parameters."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.replaced: set[str] = set()  # float weights that were quantized
        self.activations: dict[str, tuple[np.float32, str]] = {}  # tensor -> its scale, and what reads as it

    def convolution(self, node: onnx.NodeProto) -> None:
        """Add a convolution with its operands quantized."""
        kernel = self.graph.weights[node.input[1]]
        biased = len(node.input) > 2 and node.input[2] != ""
        operands = self.operands(node, kernel, self.graph.weights[node.input[2]] if biased else None)
        self.replaced.update(set(node.input[1:]) - set(operands))
        made = onnx.NodeProto()
        made.CopyFrom(node)
        made.input[:] = operands
        self.nodes.append(made)

    @abstractmethod
    def operands(self, node: onnx.NodeProto, kernel: Kernel, bias: npt.NDArray[np.float32] | None) -> list[str]:
        """The names of what the convolution reads, each quantized where the form says so."""

    @abstractmethod
    def activation_parameters(self, low: float, high: float) -> tuple[np.float32, onnx.TensorProto]:
        """The scale and the (nameless) zero point of an activation, for its range."""

    def activation(self, name: str) -> tuple[np.float32, str]:
        """The scale of an activation and the tensor that holds it quantized and dequantized, made at the first call."""
        if name not in self.activations:
            scale, zero = self.activation_parameters(*self.graph.ranges[name])
            zero.name = f"{name}/zero"
            self.tensors.append(zero)
            parameters = [self.tensor(f"{name}/scale", scale), zero.name]
            quantized = self.op("QuantizeLinear", [name, *parameters], f"{name}/quantized")
            dequantized = self.op("DequantizeLinear", [quantized, *parameters], f"{name}/dequantized")
            self.activations[name] = scale, dequantized
        return self.activations[name]

    def weight(self, name: str, quantized: onnx.TensorProto, scale: npt.NDArray[np.float32]) -> str:
        """The tensor that holds (nameless) `quantized` times a scale for each output channel."""
        quantized.name = f"{name}/quantized"
        self.tensors.append(quantized)
        operands = [quantized.name, self.tensor(f"{name}/scale", scale)]
        return self.op("DequantizeLinear", operands, f"{name}/dequantized", axis=0)

    def tensor(self, name: str, value: npt.NDArray[Any] | np.generic) -> str:
        """Store a tensor; returns its name."""
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, op: str, operands: list[str], name: str, **attributes: int) -> str:
        """Add an operator; returns the tensor it makes, which has its name."""
        self.nodes.append(helper.make_node(op, operands, [name], name=name, **attributes))
        return name


class _IntegerForm(Form):
    """u8 asymmetric activations, s8 kernels, s32 biases; kernels whose rows have scales of their own stay float."""

    def activation_parameters(self, low: float, high: float) -> tuple[np.float32, onnx.TensorProto]:
        scale, zero = activation_parameters(low, high)
        return scale, numpy_helper.from_array(np.asarray(zero))

    def operands(self, node: onnx.NodeProto, kernel: Kernel, bias: npt.NDArray[np.float32] | None) -> list[str]:
        input_scale, x = self.activation(node.input[0])
        if by_rows(kernel.shape):
            return [x, *node.input[1:]]
        scale = weight_scales(kernel, np.zeros(len(kernel), np.float32) if bias is None else bias, input_scale)
        quantized = numpy_helper.from_array(quantized_weights(kernel, scale))
        operands = [x, self.weight(f"{node.output[0]}/kernel", quantized, scale)]
        if bias is not None:
            bias_scale = input_scale * scale
            sums = numpy_helper.from_array(quantized_bias(bias, bias_scale))
            operands.append(self.weight(f"{node.output[0]}/bias", sums, bias_scale))
        return operands
