"""A graph's operators run by PyTorch, one by one, on a CPU or a GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from fastsr.errors import ModelError
from fastsr.network import borders
from fastsr.network.graph import Graph, Node

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_RESIZE_MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}

_FLOAT32, _FLOAT16 = 1, 10  # ONNX's numbers of the types

Inputs = list[Any]


def _pads(node: Node) -> tuple[int, int, int, int]:
    above, left, below, right = node.attributes.get("pads", (0, 0, 0, 0))
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise ModelError(f"{node.op} with auto_pad is not supported by the torch engine; use engine='onnxruntime'")
    return above, left, below, right


def _conv(node: Node, x: Inputs) -> Tensor:
    a = node.attributes
    bias = x[2] if len(x) > 2 else None
    strides, dilations = a.get("strides", (1, 1)), a.get("dilations", (1, 1))
    above, left, below, right = _pads(node)
    padded = x[0] if (above, left) == (below, right) else F.pad(x[0], (left, right, above, below))
    pads = (above, left) if padded is x[0] else (0, 0)
    return F.conv2d(padded, x[1], bias, strides, pads, dilations, a.get("group", 1))


def _conv_transpose(node: Node, x: Inputs) -> Tensor:
    a = node.attributes
    bias = x[2] if len(x) > 2 else None
    strides, extra = a.get("strides", (1, 1)), a.get("output_padding", (0, 0))
    if "output_shape" in a:
        raise ModelError("ConvTranspose to a given size is not supported by the torch engine; use engine='onnxruntime'")
    dilations = a.get("dilations", (1, 1))
    above, left, below, right = _pads(node)
    if (above, left) != (below, right):
        raise ModelError(
            "ConvTranspose with one-sided padding is not supported by the torch engine; use engine='onnxruntime'"
        )
    return F.conv_transpose2d(x[0], x[1], bias, strides, (above, left), extra, a.get("group", 1), dilations)


def _space_to_depth(node: Node, x: Inputs) -> Tensor:
    block, (n, c, h, w) = node.attributes["blocksize"], x[0].shape
    blocks = x[0].reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    made: Tensor = blocks.reshape(n, c * block**2, h // block, w // block)
    return made


def _padded(node: Node, x: Inputs, weights: borders.Weights) -> Tensor:
    added, border = borders.added(node, weights), borders.kind(node, weights)
    if added is None or not border:
        raise ModelError("Pad of this kind is not supported by the torch engine; use engine='onnxruntime'")
    above, left, below, right = added
    modes = {"zeros": "constant", "edge": "replicate", "reflect": "reflect"}
    cut: Tensor = x[0]
    if min(added) < 0:
        cut = F.pad(cut, [min(0, n) for n in (left, right, above, below)])
    return F.pad(cut, [max(0, n) for n in (left, right, above, below)], mode=modes[border])


def _prelu(node: Node, x: Inputs) -> Tensor:
    return F.prelu(x[0], x[1].reshape(-1))


def _clip(node: Node, x: Inputs) -> Tensor:
    low = x[1] if len(x) > 1 else node.attributes.get("min")
    high = x[2] if len(x) > 2 else node.attributes.get("max")
    return torch.clamp(x[0], low, high)


def _depth_to_space(node: Node, x: Inputs) -> Tensor:
    block = node.attributes["blocksize"]
    if node.attributes.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x[0], block)
    image: Tensor = x[0]
    n, c, h, w = image.shape
    deep = image.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return deep.reshape(n, c // block**2, h * block, w * block)


def _resize(node: Node, x: Inputs) -> Tensor:
    a = node.attributes
    mode = a.get("mode", "nearest")
    place = a.get("coordinate_transformation_mode", "half_pixel")
    supported = (
        (place == "asymmetric" and a.get("nearest_mode", "round_prefer_floor") == "floor")
        if mode == "nearest"
        else place in ("half_pixel", "pytorch_half_pixel")
    )
    plain = not a.get("antialias") and not a.get("exclude_outside") and a.get("cubic_coeff_a", -0.75) == -0.75
    if not supported or not plain or len(x) < 3 or x[2] is None:
        raise ModelError(f"Resize {mode} with {place} is not supported by the torch engine; use engine='onnxruntime'")
    factors = [float(v) for v in x[2][2:]]
    return F.interpolate(x[0], scale_factor=factors, mode=_RESIZE_MODES[mode])


def _split(node: Node, x: Inputs) -> tuple[Tensor, ...]:
    axis = node.attributes.get("axis", 0)
    stored = x[1].tolist() if len(x) > 1 and x[1] is not None else node.attributes.get("split")
    sizes = list(stored) if stored else -(-x[0].shape[axis] // len(node.outputs))
    made: tuple[Tensor, ...] = torch.split(x[0], sizes, axis)
    return made


def _reduce_mean(node: Node, x: Inputs) -> Tensor:
    axes = x[1].tolist() if len(x) > 1 and x[1] is not None else node.attributes["axes"]
    made: Tensor = x[0].mean(dim=list(axes), keepdim=bool(node.attributes.get("keepdims", 1)))
    return made


def _layer_normalization(node: Node, x: Inputs) -> Tensor:
    axis = node.attributes.get("axis", -1) % x[0].ndim
    bias = x[2] if len(x) > 2 else None
    return F.layer_norm(x[0], x[0].shape[axis:], x[1], bias, node.attributes.get("epsilon", 1e-5))


def _batch_normalization(node: Node, x: Inputs) -> Tensor:
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=node.attributes.get("epsilon", 1e-5))


def _hard_sigmoid(node: Node, x: Inputs) -> Tensor:
    return torch.clamp(x[0] * node.attributes.get("alpha", 0.2) + node.attributes.get("beta", 0.5), 0, 1)


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node, Inputs], Tensor]:
    """An operator of any number of tensors."""
    return lambda node, x: functools.reduce(function, x)


def _cast(node: Node, x: Inputs) -> Tensor:
    if node.attributes.get("to") not in (_FLOAT32, _FLOAT16):
        raise ModelError("Cast to other than float is not supported by the torch engine; use engine='onnxruntime'")
    made: Tensor = x[0]  # computed in the engine's precision
    return made


def _slice(node: Node, x: Inputs) -> Tensor:
    starts, ends = x[1].tolist(), x[2].tolist()
    axes = x[3].tolist() if len(x) > 3 and x[3] is not None else range(len(starts))
    steps = x[4].tolist() if len(x) > 4 and x[4] is not None else [1] * len(starts)
    if min(steps) < 1:
        raise ModelError("Slice backward is not supported by the torch engine; use engine='onnxruntime'")
    runs = [slice(None)] * x[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        runs[axis] = slice(start, end, step)
    made: Tensor = x[0][tuple(runs)]
    return made


OPERATORS: dict[str, Callable[[Node, Inputs], Any]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "PRelu": _prelu,
    "Clip": _clip,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Resize": _resize,
    "Relu": lambda node, x: F.relu(x[0]),
    "LeakyRelu": lambda node, x: F.leaky_relu(x[0], node.attributes.get("alpha", 0.01)),
    "Add": lambda node, x: x[0] + x[1],
    "Sub": lambda node, x: x[0] - x[1],
    "Mul": lambda node, x: x[0] * x[1],
    "Div": lambda node, x: x[0] / x[1],
    "Tanh": lambda node, x: torch.tanh(x[0]),
    "Sigmoid": lambda node, x: torch.sigmoid(x[0]),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node, x: F.hardswish(x[0]),
    "Mish": lambda node, x: F.mish(x[0]),
    "Gelu": lambda node, x: F.gelu(x[0], approximate=node.attributes.get("approximate", "none")),
    "Elu": lambda node, x: F.elu(x[0], node.attributes.get("alpha", 1.0)),
    "Softplus": lambda node, x: F.softplus(x[0]),
    "Erf": lambda node, x: torch.erf(x[0]),
    "Exp": lambda node, x: torch.exp(x[0]),
    "Sqrt": lambda node, x: torch.sqrt(x[0]),
    "Reciprocal": lambda node, x: torch.reciprocal(x[0]),
    "Pow": lambda node, x: torch.pow(x[0], x[1]),
    "Abs": lambda node, x: torch.abs(x[0]),
    "Neg": lambda node, x: torch.neg(x[0]),
    "Min": _folded(torch.minimum),
    "Max": _folded(torch.maximum),
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "ReduceMean": _reduce_mean,
    "Transpose": lambda node, x: x[0].permute(node.attributes["perm"]),
    "Cast": _cast,
    "Dropout": lambda node, x: x[0],
    "Slice": _slice,
    "Split": _split,
    "Concat": lambda node, x: torch.cat(x, node.attributes["axis"]),
    "Identity": lambda node, x: x[0],
}


class Executor:
    """Runs a graph's operators one by one, on one device at one precision, in channels-last order."""

    def __init__(self, graph: Graph, device: str, precision: str) -> None:
        unknown = graph.operators - set(OPERATORS) - {"Constant", "Pad"}
        if unknown:
            raise ModelError(
                f"{graph.path}: the torch engine has no {', '.join(sorted(unknown))}; use engine='onnxruntime'"
            )
        self.graph, self.device, self.dtype = graph, torch.device(device), _DTYPES[precision]
        self._weights = {name: self._placed(value) for name, value in graph.weights.items()}
        self._nodes = [n for n in graph.nodes if n.op != "Constant"]
        last = {name: i for i, n in enumerate(self._nodes) for name in n.inputs if name not in self._weights}
        last.pop(graph.output, None)
        self._finished = [tuple(name for name in last if last[name] == i) for i in range(len(self._nodes))]

    def _placed(self, value: npt.NDArray[Any]) -> Tensor:
        try:
            tensor = torch.from_numpy(np.array(value))
        except TypeError as error:  # text, for one
            raise ModelError(f"{self.graph.path}: PyTorch has no such weights: {error}") from None
        if not tensor.is_floating_point():
            return tensor
        tensor = tensor.to(self.device, self.dtype)
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """N x C x h x w of the executor's dtype in, the graph's output out."""
        values: dict[str, Any] = {**self._weights, self.graph.input: x}
        for node, finished in zip(self._nodes, self._finished, strict=True):
            inputs = [values[name] if name else None for name in node.inputs]
            made = _padded(node, inputs, self.graph.weights) if node.op == "Pad" else OPERATORS[node.op](node, inputs)
            values.update(zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True))
            for name in filter(None, finished):  # frees what no later operator reads
                del values[name]
        output: Tensor = values[self.graph.output]
        return output
