"""What a pixel of the output depends on: resolution and channels followed forward, neighbourhoods backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fastsr.errors import ModelError
from fastsr.network import borders, operator_shapes
from fastsr.network.channel_slice import channel_slice
from fastsr.network.graph import MAX_ALIGNMENT, MAX_SCALE, Node

MAX_VISITS = 1 << 17  # of operators, once for each sub-pixel phase, to derive the radius; beyond, it counts as unknown

# Operators that change each sample on its own, or an image channel by channel.
# fmt: off
_POINTWISE = frozenset((
    "PRelu", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Gelu", "Mish", "HardSwish",
    "HardSigmoid", "Erf", "Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Exp", "Neg", "Abs", "Reciprocal", "Min", "Max",
    "Identity", "Cast", "Dropout", "BatchNormalization", "QuantizeLinear", "DequantizeLinear",
))
_ARITHMETIC = frozenset(("Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Reciprocal"))  # with channels last too
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # orders of axes that put the channels last, and back
_SUBGRAPHS = frozenset(("If", "Loop", "Scan", "SequenceMap"))  # these may read any tensor without naming it as input
_SAME_SHAPE = frozenset(("Identity", "Cast", "QuantizeLinear", "DequantizeLinear"))  # how weights are wrapped
# fmt: on

Interval = tuple[int, int]  # first and last index along one axis


def _joined(intervals: Iterable[Interval]) -> Interval:
    starts, ends = zip(*intervals, strict=True)
    return min(starts), max(ends)


class Walk:
    """Follows resolution and channels forward, and what an output pixel needs backward, through the operators."""

    def __init__(
        self, path: Path, nodes: tuple[Node, ...], weights: dict[str, npt.NDArray[Any]], start: str, channels: int
    ) -> None:
        self.path, self.nodes, self.weights, self.start = path, nodes, weights, start
        self.shapes = {name: value.shape for name, value in weights.items()}
        self.resolution: dict[str, Fraction] = {start: Fraction(1)}  # pixels per input pixel
        self.channels: dict[str, int] = {start: channels}
        self.opaque: list[str] = []  # operators whose reach is not known
        self.channels_last: set[str] = set()  # images N x H x W x C
        self._factors: dict[int, Fraction | None] = {}  # of resizing operators, by identity
        for node in nodes:
            self._forward(node)

    def _image_inputs(self, node: Node) -> list[str]:
        return [name for name in node.inputs if name in self.resolution]

    def _forward(self, node: Node) -> None:
        # Behind an operator whose effect is not known, the channels are not known either.
        fault = operator_shapes.fault(node, {} if self.opaque else self.channels, self.shapes)
        if fault is not None:
            raise ModelError(f"{self.path}: not a valid ONNX model: {node.op} ({node.outputs[0]!r}) has {fault}")
        images = self._image_inputs(node)
        if node.op in _SUBGRAPHS:
            images = images or [self.start]
        if not images:
            if node.op in _SAME_SHAPE and node.inputs[0] in self.shapes:
                self.shapes[node.outputs[0]] = self.shapes[node.inputs[0]]
            return
        if not self._known(node, images):
            self.opaque.append(node.op)
        # What was enlarged to a size that is not known here meets what has that size.
        ratio, channels = max(self.resolution[name] for name in images), max(self.channels[name] for name in images)
        channels = operator_shapes.repeated(node, channels, self.shapes)
        stride = node.attributes.get("strides", (1, 1))[0]
        made = [channels] * len(node.outputs)
        if node.op in ("Conv", "ConvTranspose"):
            kernel = self.shapes.get(node.inputs[1])
            if kernel is not None:
                made = [kernel[0] if node.op == "Conv" else kernel[1] * node.attributes.get("group", 1)]
            ratio = ratio / stride if node.op == "Conv" else ratio * stride
        elif node.op in ("MaxPool", "AveragePool"):
            ratio /= stride
        elif node.op in ("DepthToSpace", "SpaceToDepth"):
            block = node.attributes["blocksize"]
            deep = node.op == "SpaceToDepth"
            ratio = ratio / block if deep else ratio * block
            made = [channels * block**2 if deep else channels // block**2]
        elif node.op in ("Resize", "Upsample"):
            ratio = self.resolution[images[0]] * (self._resize_factor(node) or 1)
            if len(images) > 1:  # to the size of another tensor
                ratio = self.resolution[images[-1]]
        elif node.op == "Concat":
            made = [sum(self.channels[name] for name in images)]
        elif node.op == "Split":
            made = self._parts(node, channels)
        elif node.op == "Slice":
            low, high = channel_slice(node, self.weights, channels) or (0, channels)
            made = [high - low]
        elif node.op == "ReduceMean":
            made = [1]
        if self._makes_channels_last(node, images):
            self.channels_last.update(node.outputs)
        if ratio.denominator > MAX_ALIGNMENT or ratio > MAX_SCALE * MAX_ALIGNMENT:
            raise ModelError(
                f"{self.path}: {node.op} ({node.outputs[0]!r}) makes a tensor far larger or smaller than the image; "
                f"fastsr takes 1/{MAX_ALIGNMENT} to {MAX_SCALE * MAX_ALIGNMENT} times its size"
            )
        for name, deep_as in zip(node.outputs, made, strict=True):
            if name:
                self.resolution[name], self.channels[name] = ratio, deep_as

    def _known(self, node: Node, images: list[str]) -> bool:
        """Whether an output sample depends on a neighbourhood that the operator tells, the same at every place."""
        a = node.attributes
        last = [name in self.channels_last for name in images]
        if node.op in ("Transpose", "ReduceMean", "LayerNormalization") or any(last):
            return len(set(last)) == 1 and self._known_layout(node, images, last[0])
        if node.op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            if len(set(a.get("strides", (1,)))) != 1 or len([name for name in node.outputs if name]) != 1:
                return False
            if node.op == "ConvTranspose" and ("output_shape" in a or a.get("auto_pad", "NOTSET").startswith("SAME")):
                return False
            return node.op in ("MaxPool", "AveragePool") or (images == [node.inputs[0]] and self._has_kernel(node))
        if node.op in ("Resize", "Upsample"):
            return self._known_resize(node)
        if node.op == "Pad":
            return borders.added(node, self.weights) is not None and a.get("mode", "constant") != "wrap"
        if node.op == "Concat":
            return a.get("axis") in (1, -3) and len(images) == len(node.inputs)
        if node.op == "Split":
            return a.get("axis", 0) in (1, -3)
        if node.op == "Slice":
            of_channels = channel_slice(node, self.weights, self.channels[images[0]])
            return of_channels is not None or borders.added(node, self.weights) is not None
        if node.op in _POINTWISE:
            alike = len({self.resolution[name] for name in images}) == 1
            return alike and all(self._even(node, name) for name in node.inputs if name and name not in images)
        return node.op in ("DepthToSpace", "SpaceToDepth")

    def _known_layout(self, node: Node, images: list[str], last: bool) -> bool:
        """The same of operators over axes, and of all whose images have their channels last, where `last`."""
        a = node.attributes
        if node.op == "Transpose":
            return tuple(a.get("perm", ())) == (_TO_FIRST if last else _TO_LAST)
        if node.op == "LayerNormalization":
            return last and a.get("axis", -1) in (-1, 3) and len([name for name in node.outputs if name]) == 1
        if node.op == "ReduceMean":
            axes = a.get("axes")
            if len(node.inputs) > 1 and node.inputs[1] in self.weights:
                axes = self.weights[node.inputs[1]].reshape(-1).tolist()
            return a.get("keepdims", 1) == 1 and list(axes or ()) in ([[-1], [3]] if last else [[1], [-3]])
        others = [self.shapes.get(name) for name in node.inputs if name and name not in images]
        return node.op in _ARITHMETIC and all(shape is not None and math.prod(shape[:-1]) == 1 for shape in others)

    def _makes_channels_last(self, node: Node, images: list[str]) -> bool:
        if node.op == "Transpose":
            return tuple(node.attributes.get("perm", ())) == _TO_LAST
        return any(name in self.channels_last for name in images)

    def _has_kernel(self, node: Node) -> bool:
        return len(self.shapes.get(node.inputs[1], ())) == 4

    def _even(self, node: Node, name: str) -> bool:
        """Whether an operand is the same for every pixel."""
        shape = self.shapes.get(name)
        if shape is None or len(shape) > 4:
            return False
        if node.op == "BatchNormalization":
            return bool(node.attributes.get("training_mode", 0) == 0)
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            return math.prod(shape) == 1 or (len(shape) == 1 and node.attributes.get("axis", 1) in (1, -3))
        return all(side == 1 for side in shape[-2:])

    def _known_resize(self, node: Node) -> bool:
        a = node.attributes
        factor = self._resize_factor(node)
        if factor is None or a.get("coordinate_transformation_mode", "half_pixel") not in _COORDINATES:
            return False  # corner-aligned sampling, for one, changes with the frame's size
        scale = self.weights[node.inputs[2 if node.op == "Resize" else 1]][2]
        if a.get("mode", "nearest") == "nearest":
            return factor == Fraction(float(scale))  # a rounded factor may miss a pixel far from the corner
        # With other factors, the rounding of weights changes with the place, which shows in the last bits.
        return factor == Fraction(float(scale)) and factor.numerator.bit_count() == 1

    def _parts(self, node: Node, channels: int) -> list[int]:
        sizes = node.attributes.get("split")
        if sizes is None and len(node.inputs) > 1 and node.inputs[1] in self.weights:
            sizes = self.weights[node.inputs[1]].tolist()
        return list(sizes) if sizes else [-(-channels // len(node.outputs))] * len(node.outputs)

    def _resize_factor(self, node: Node) -> Fraction | None:
        if id(node) not in self._factors:
            self._factors[id(node)] = self._stored_factor(node)
        return self._factors[id(node)]

    def _stored_factor(self, node: Node) -> Fraction | None:
        index = 2 if node.op == "Resize" else 1
        scales = self.weights.get(node.inputs[index]) if len(node.inputs) > index else None
        if scales is None or scales.shape != (4,) or scales[0] != 1 or scales[1] != 1 or scales[2] != scales[3]:
            return None
        factor = Fraction(float(scales[2])).limit_denominator(64)
        return factor if factor > 0 and abs(factor / Fraction(float(scales[2])) - 1) < 1e-5 else None

    def scale(self, output: str) -> int:
        """Output pixels per input pixel along each axis."""
        ratio = self.resolution.get(output)
        if ratio is None:
            raise ModelError(f"{self.path}: its output does not depend on its input")
        if ratio.denominator != 1 or ratio < 1:
            raise ModelError(f"{self.path}: makes images {float(ratio):g} times as large; fastsr needs 1, 2, 3, 4 ...")
        if ratio > MAX_SCALE:
            raise ModelError(f"{self.path}: makes images {ratio} times as large; fastsr takes at most {MAX_SCALE}")
        return int(ratio)

    def alignment(self) -> int:
        """Input sides must be multiples of this for every tensor to have whole sides.

        Only what is enlarged by a factor again needs them: what is resized to another tensor's size, or never, may
        have lost a part of a pixel.
        """
        smaller = [self.resolution[node.inputs[0]] for node in self.nodes if self._enlarges(node)]
        multiple = math.lcm(*(ratio.denominator for ratio in smaller))
        if multiple > MAX_ALIGNMENT:
            raise ModelError(
                f"{self.path}: needs sides in steps of {multiple} pixels; fastsr takes at most {MAX_ALIGNMENT}"
            )
        return multiple

    def _enlarges(self, node: Node) -> bool:
        """Whether an operator makes more pixels than it reads, by a factor that it tells."""
        if not node.inputs or node.inputs[0] not in self.resolution:
            return False
        if node.op in ("Resize", "Upsample"):
            return self._resize_factor(node) is not None
        return node.op in ("DepthToSpace", "ConvTranspose")

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
        if scale * step * len(self.nodes) > MAX_VISITS:
            return None
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
            for name in self._image_inputs(node):
                needs.setdefault(name, []).append(through)
        return _joined(needs[self.start]) if self.start in needs else None

    def _through(self, node: Node, interval: Interval) -> Interval:
        low, high = interval
        a = node.attributes
        if node.op in ("Conv", "MaxPool", "AveragePool", "ConvTranspose"):
            size = a["kernel_shape"] if "kernel_shape" in a else self.shapes[node.inputs[1]][2:]
            stride = a.get("strides", (1, 1))
            dilation = a.get("dilations", (1, 1))
            pads = self._pads(a, size, dilation, stride)
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
        if node.op in ("Pad", "Slice"):
            above, left, _, _ = borders.added(node, self.weights) or (0, 0, 0, 0)
            return _joined([(low - before, high - before) for before in (above, left)])
        return interval

    def _pads(self, attributes: dict[str, Any], size: Any, dilation: Any, stride: Any) -> tuple[int, int]:
        rule = attributes.get("auto_pad", "NOTSET")
        if rule in ("SAME_UPPER", "SAME_LOWER"):
            totals = [max(0, (k - 1) * d + 1 - s) for k, d, s in zip(size, dilation, stride, strict=True)]
            return tuple((t + (rule == "SAME_LOWER")) // 2 for t in totals)  # type: ignore[return-value]
        if rule == "VALID":
            return 0, 0
        return tuple(attributes.get("pads", (0, 0, 0, 0))[:2])  # type: ignore[return-value]

    def _through_resize(self, node: Node, interval: Interval) -> Interval:
        factor = self._resize_factor(node) or Fraction(1)
        n, d = factor.numerator, factor.denominator
        mode = node.attributes.get("mode", "nearest")
        place = _COORDINATES[node.attributes.get("coordinate_transformation_mode", "half_pixel")]
        (low, below), (high, over) = place(interval[0], n, d), place(interval[1], n, d)
        if mode == "nearest":
            rounding = _ROUNDING.get(node.attributes.get("nearest_mode", "round_prefer_floor"), _ROUNDING["floor"])
            return rounding(low, below), rounding(high, over)
        reach, part = 1 if mode == "linear" else 2, 1
        if node.attributes.get("antialias", 0) and factor < 1:
            reach, part = reach * d, n
        return (low * part - reach * below) // (below * part) + 1, -(-(high * part + reach * over) // (over * part)) - 1


# Places and roundings are in whole numbers: fractions would take most of the time that a file is read in.
def _half_pixel(i: int, n: int, d: int) -> tuple[int, int]:
    return (2 * i + 1) * d - n, 2 * n


_COORDINATES: dict[str, Callable[[int, int, int], tuple[int, int]]] = {  # of an index at a factor n/d, as p/q
    "asymmetric": lambda i, n, d: (i * d, n),
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel,
    "pytorch_half_pixel": _half_pixel,
}
_ROUNDING: dict[str, Callable[[int, int], int]] = {
    "floor": lambda p, q: p // q,
    "ceil": lambda p, q: -(-p // q),
    "round_prefer_floor": lambda p, q: -((q - 2 * p) // (2 * q)),
    "round_prefer_ceil": lambda p, q: (2 * p + q) // (2 * q),
}
