"""An ONNX file read into a Graph: its operators and weights, its scale, and how far around a pixel it looks."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from fastsr.errors import ModelError

MIN_OPSET = 11


@dataclasses.dataclass(frozen=True)
class Node:
    """One operator: names of what it reads and makes, and its attributes as Python values."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A generator as its ONNX file describes it."""

    path: Path
    digest: str  # SHA-256 of the file, hexadecimal
    nodes: tuple[Node, ...]
    weights: dict[str, npt.NDArray[Any]]
    input: str
    output: str
    channels: int  # of the input and the output
    dtype: np.dtype[Any]  # of the input
    fixed_size: tuple[int, int] | None  # height and width, where the file fixes them
    fixed_batch: int | None
    scale: int
    radius: int | None  # input pixels around a pixel that its output depends on; None: the whole frame
    alignment: int  # input sides must be multiples of this
    cost: float  # floats held per input pixel by the widest operator (its inputs and outputs)
    metadata: dict[str, str]
    serialized: bytes = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The name in the file's metadata, else the file's own."""
        return self.metadata.get("name", self.path.stem)

    @property
    def operators(self) -> frozenset[str]:
        """Operator types in use."""
        return frozenset(node.op for node in self.nodes)


def read(path: str | Path) -> Graph:
    """Read and check an ONNX generator.

    Expected: one NCHW float input of 1 or 3 channels in 0..1, one output of as many channels, an integer factor larger.
    Raises ModelError, naming the file, when it is missing, not ONNX, no generator, or keeps data outside its folder.
    """
    path = Path(path)
    model = _load(path)
    nodes = tuple(_node(n) for n in model.graph.node)
    weights = {t.name: _array(t) for t in model.graph.initializer}
    for node in nodes:
        if node.op == "Constant" and "value" in node.attributes:
            weights[node.outputs[0]] = np.asarray(node.attributes["value"])
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{path}: has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "a generator has one picture in and one out"
        )
    batch, channels, height, width = _input_shape(path, inputs[0])
    walk = _Walk(path, nodes, weights, inputs[0].name, channels)
    output = model.graph.output[0].name
    scale = walk.scale(output)
    if walk.channels.get(output, channels) != channels:
        raise ModelError(
            f"{path}: {channels} channels in, {walk.channels[output]} out; fastsr needs as many as came in"
        )
    return Graph(
        path=path,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        nodes=nodes,
        weights=weights,
        input=inputs[0].name,
        output=output,
        channels=channels,
        dtype=np.dtype(onnx.helper.tensor_dtype_to_np_dtype(inputs[0].type.tensor_type.elem_type)),
        fixed_size=(height, width) if height and width else None,
        fixed_batch=batch,
        scale=scale,
        radius=walk.radius(output, scale),
        alignment=walk.alignment(),
        cost=walk.cost(),
        metadata={p.key: p.value for p in model.metadata_props},
        serialized=model.SerializeToString(),
    )


def _load(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    try:
        model = onnx.load_model(str(path), load_external_data=False)
        onnx.checker.check_model(model)
    except ModelError:
        raise
    except onnx.checker.ValidationError as error:
        if not _external(onnx.load_model(str(path), load_external_data=False)):
            raise ModelError(f"{path}: not a valid ONNX model: {str(error).splitlines()[0]}") from None
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception:  # protobuf's parsers differ in what they raise
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export") from None
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export")
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < MIN_OPSET:
        raise ModelError(f"{path}: opset {opset} is too old; export it with opset 17 or newer")
    _load_external(path, model)
    return model


def _external(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    tensors = list(model.graph.initializer)
    tensors += [a.t for n in model.graph.node for a in n.attribute if a.HasField("t")]
    return [t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]


def _load_external(path: Path, model: onnx.ModelProto) -> None:
    folder = path.resolve().parent
    for tensor in _external(model):
        place = {e.key: e.value for e in tensor.external_data}.get("location", "")
        target = folder / place
        if not place or Path(place).is_absolute() or not target.resolve().is_relative_to(folder):
            raise ModelError(
                f"{path}: keeps weights outside its folder ({place or 'no file named'}), which is refused; "
                "put them beside the model or save it as one file"
            )
        if not target.is_file():
            raise ModelError(f"{path}: its weights file {target} is missing; put it beside the model")
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except Exception as error:
            raise ModelError(f"{path}: cannot read its weights from {target}: {error}") from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {}
    for a in proto.attribute:
        value = onnx.helper.get_attribute_value(a)
        if isinstance(value, onnx.TensorProto):
            value = _array(value)
        elif isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, list):
            value = tuple(value)
        attributes[a.name] = value
    return Node(proto.op_type, tuple(proto.input), tuple(proto.output), attributes)


def _array(tensor: onnx.TensorProto) -> npt.NDArray[Any]:
    return np.asarray(numpy_helper.to_array(tensor))


def _input_shape(path: Path, value: onnx.ValueInfoProto) -> tuple[int | None, int, int | None, int | None]:
    kind = value.type.tensor_type
    if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
        raise ModelError(f"{path}: its input is not float; export a float32 model with pixels in 0..1")
    sides = [d.dim_value or None for d in kind.shape.dim]
    if len(sides) != 4 or sides[1] not in (1, 3):
        raise ModelError(f"{path}: its input is {sides}; fastsr needs N x 3 x H x W (or 1 channel)")
    return sides[0], sides[1], sides[2], sides[3]


# Operators that change each sample on its own, or a picture channel by channel.
# fmt: off
_POINTWISE = frozenset((
    "PRelu", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Gelu", "Mish", "HardSwish",
    "HardSigmoid", "Erf", "Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Exp", "Neg", "Abs", "Min", "Max", "Identity",
    "Cast", "Dropout", "BatchNormalization", "QuantizeLinear", "DequantizeLinear", "Concat", "Split",
))
# fmt: on

Interval = tuple[int, int]  # first and last index along one axis


def _joined(intervals: Iterable[Interval]) -> Interval:
    starts, ends = zip(*intervals, strict=True)
    return min(starts), max(ends)


class _Walk:
    """Follows resolution and channels forward, and what an output pixel needs backward, through the operators."""

    def __init__(
        self, path: Path, nodes: tuple[Node, ...], weights: dict[str, npt.NDArray[Any]], start: str, channels: int
    ) -> None:
        self.path, self.nodes, self.weights, self.start = path, nodes, weights, start
        self.resolution: dict[str, Fraction] = {start: Fraction(1)}  # pixels per input pixel
        self.channels: dict[str, int] = {start: channels}
        self.opaque: list[str] = []  # operators whose reach is not known
        for node in nodes:
            self._forward(node)

    def _pictures(self, node: Node) -> list[str]:
        return [name for name in node.inputs if name in self.resolution]

    def _forward(self, node: Node) -> None:
        pictures = self._pictures(node)
        if not pictures:
            return
        ratio, channels = self.resolution[pictures[0]], self.channels[pictures[0]]
        if node.op in ("Conv", "ConvTranspose"):
            kernel = self.weights.get(node.inputs[1])
            if kernel is None:
                self.opaque.append(f"{node.op} with computed weights")
            else:
                channels = kernel.shape[0] if node.op == "Conv" else kernel.shape[1] * node.attributes.get("group", 1)
            stride = node.attributes.get("strides", (1, 1))[0]
            ratio = ratio / stride if node.op == "Conv" else ratio * stride
        elif node.op in ("MaxPool", "AveragePool"):
            ratio /= node.attributes.get("strides", (1, 1))[0]
        elif node.op in ("DepthToSpace", "SpaceToDepth"):
            block = node.attributes["blocksize"]
            deep = node.op == "SpaceToDepth"
            ratio = ratio / block if deep else ratio * block
            channels = channels * block**2 if deep else channels // block**2
        elif node.op in ("Resize", "Upsample"):
            factor = self._resize_factor(node)
            if factor is None:
                self.opaque.append(f"{node.op} to a computed size")
                factor = Fraction(1)
            ratio *= factor
        elif node.op == "Concat":
            if node.attributes.get("axis") not in (1, -3):
                self.opaque.append("Concat along an axis other than channels")
            channels = sum(self.channels[name] for name in pictures)
        elif node.op == "Split":
            channels //= len(node.outputs)
        elif node.op not in _POINTWISE and node.op != "Pad":
            self.opaque.append(node.op)
        else:
            channels = max(self.channels[name] for name in pictures)
        for name in node.outputs:
            self.resolution[name], self.channels[name] = ratio, channels

    def _resize_factor(self, node: Node) -> Fraction | None:
        scales = self.weights.get(node.inputs[2 if node.op == "Resize" else 1]) if len(node.inputs) > 1 else None
        if scales is None or scales.size != 4 or scales[2] != scales[3]:
            return None
        return Fraction(float(scales[2])).limit_denominator(64)

    def scale(self, output: str) -> int:
        """Output pixels per input pixel along each axis."""
        ratio = self.resolution.get(output)
        if ratio is None:
            raise ModelError(f"{self.path}: its output does not depend on its input")
        if ratio.denominator != 1 or ratio < 1:
            raise ModelError(
                f"{self.path}: makes pictures {float(ratio):g} times as large; fastsr needs 1, 2, 3, 4 ..."
            )
        return int(ratio)

    def alignment(self) -> int:
        """Input sides must be multiples of this for every tensor to have whole sides."""
        return math.lcm(*(ratio.denominator for ratio in self.resolution.values()))

    def cost(self) -> float:
        """Floats per input pixel that the widest operator reads and writes."""

        def size(name: str) -> float:
            return float(self.channels[name] * self.resolution[name] ** 2) if name in self.resolution else 0.0

        return max((sum(map(size, {*n.inputs, *n.outputs})) for n in self.nodes), default=0.0)

    def radius(self, output: str, scale: int) -> int | None:
        """Largest distance, in input pixels, at which an input reaches an output; None where not known."""
        if self.opaque:
            return None
        reach = 0
        # Output pixels inside one input pixel differ in what they need; so do input pixels inside an aligned block.
        step = self.alignment()
        for phase in range(scale * step):
            needed = self._needed(output, (phase, phase))
            if needed is not None:
                reach = max(reach, phase // scale - needed[0], needed[1] - phase // scale)
        return reach

    def _needed(self, output: str, wanted: Interval) -> Interval | None:
        """Input columns that the output columns `wanted` depend on, far from any edge."""
        needs: dict[str, list[Interval]] = {output: [wanted]}
        for node in reversed(self.nodes):
            asked = [needs[name] for name in node.outputs if name in needs]
            if not asked:
                continue
            interval = _joined(i for several in asked for i in several)
            through = self._through(node, interval)
            for name in self._pictures(node):
                needs.setdefault(name, []).append(through)
        return _joined(needs[self.start]) if self.start in needs else None

    def _through(self, node: Node, interval: Interval) -> Interval:
        low, high = interval
        a = node.attributes
        if node.op in ("Conv", "MaxPool", "AveragePool", "ConvTranspose"):
            size = a["kernel_shape"] if "kernel_shape" in a else self.weights[node.inputs[1]].shape[2:]
            stride = a.get("strides", (1, 1))
            dilation = a.get("dilations", (1, 1))
            pads = self._pads(a, size, dilation)
            # Both axes are followed as one: the wider reach counts.
            spans = []
            for axis in (0, 1):
                s, d, before, k = stride[axis], dilation[axis], pads[axis], size[axis]
                if node.op == "ConvTranspose":
                    spans.append((-(-(low + before - (k - 1) * d) // s), (high + before) // s))
                else:
                    spans.append((low * s - before, high * s - before + (k - 1) * d))
            return _joined(spans)
        if node.op == "DepthToSpace":
            return low // a["blocksize"], high // a["blocksize"]
        if node.op == "SpaceToDepth":
            return low * a["blocksize"], (high + 1) * a["blocksize"] - 1
        if node.op in ("Resize", "Upsample"):
            return self._through_resize(node, interval)
        if node.op == "Pad":
            pads = self._pad_amounts(node)
            return _joined([(low - before, high - before) for before in pads])
        return interval

    def _pads(self, attributes: dict[str, Any], size: Any, dilation: Any) -> tuple[int, int]:
        if attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
            lower = attributes["auto_pad"] == "SAME_LOWER"
            totals = [(k - 1) * d for k, d in zip(size, dilation, strict=True)]
            return tuple((t + lower) // 2 for t in totals)  # type: ignore[return-value]
        return tuple(attributes.get("pads", (0, 0, 0, 0))[:2])  # type: ignore[return-value]

    def _pad_amounts(self, node: Node) -> tuple[int, int]:
        amounts = self.weights.get(node.inputs[1]) if len(node.inputs) > 1 else None
        if amounts is None:
            amounts = np.asarray(node.attributes.get("pads", [0] * 8))
        return int(amounts[-6]), int(amounts[-5])

    def _through_resize(self, node: Node, interval: Interval) -> Interval:
        factor = self._resize_factor(node) or Fraction(1)
        mode = node.attributes.get("mode", "nearest")
        place = _COORDINATES.get(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
        if place is None:  # corner-aligned sampling drifts with the frame's size: allow one pixel more
            place = _COORDINATES["half_pixel"]
        reach = {"nearest": Fraction(1, 2), "linear": Fraction(1), "cubic": Fraction(2)}.get(mode, Fraction(2))
        low, high = place(interval[0], factor), place(interval[1], factor)
        if mode == "nearest":
            rounding = _ROUNDING.get(node.attributes.get("nearest_mode", "round_prefer_floor"), math.floor)
            return rounding(low), rounding(high)
        if node.attributes.get("antialias", 0) and factor < 1:
            reach /= factor
        return math.floor(low - reach) + 1, math.ceil(high + reach) - 1


_COORDINATES: dict[str, Callable[[int, Fraction], Fraction]] = {
    "asymmetric": lambda i, factor: i / factor,
    "half_pixel": lambda i, factor: (i + Fraction(1, 2)) / factor - Fraction(1, 2),
    "pytorch_half_pixel": lambda i, factor: (i + Fraction(1, 2)) / factor - Fraction(1, 2),
}
_ROUNDING: dict[str, Callable[[Fraction], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)),
    "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2)),
}
