"""An ONNX file read into a Graph: its operators and weights, its scale, and how far around a pixel it looks."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import catalog, onnx_messages, operator_shapes
from fastsr.engines import engine_file
from fastsr.errors import ModelError
from fastsr.onnx_messages import Message

STANDARD = ("", "ai.onnx")  # domains of operators that need no name
MIN_OPSET = 11
MAX_SCALE = 64
MAX_ALIGNMENT = 1024
MAX_FIXED_SIDE = 1 << 14  # pixels; a file that fixes more has every picture filled up to it
MAX_VISITS = 1 << 17  # of operators, once for each sub-pixel phase, to derive the radius; beyond, it counts as unknown
RANGES = "ranges"  # metadata key of the calibrated ranges: JSON, tensor -> [low, high]
_ANEW = "calibrate it anew: python -m training quantize MODEL --data FOLDER"
_FLOAT32 = np.finfo(np.float32)


@dataclasses.dataclass(frozen=True)
class Node:
    """One operator (foreign ones as "domain.name"): what it reads and makes, and its attributes as Python values."""

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
    opset: int  # of the standard operators
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

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value that the int8 form keeps of a tensor, by its name; empty where the file has none.

        Raises ModelError when the metadata holds something else, or a range without 0, or of a tensor that is not here.
        """
        try:
            stored = json.loads(self.metadata.get(RANGES, "{}"))
            ranges = {name: (float(low), float(high)) for name, (low, high) in stored.items()}
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
            raise ModelError(
                f"{self.path}: its metadata key {RANGES!r} is not {{tensor: [low, high]}}; {_ANEW}"
            ) from None
        tensors = {self.input, *(name for node in self.nodes for name in node.outputs)}
        for name, (low, high) in ranges.items():
            if name not in tensors:
                raise ModelError(f"{self.path}: has a range for {name!r}, which is none of its tensors; {_ANEW}")
            if not (low <= 0 <= high and _FLOAT32.tiny <= (high - low) / 255 <= _FLOAT32.max):
                raise ModelError(f"{self.path}: {low:g} to {high:g} is no range for {name!r}; {_ANEW}")
        return ranges


def read(path: str | Path, as_stored: bool = False) -> Graph:
    """Read and check an ONNX generator; in float32 where it was exported in half floats or integers.

    With `as_stored`, its operators and weights stay as the file has them.
    Expected: one NCHW float input of 1 or 3 channels in 0..1, one output of as many channels, an integer factor larger.
    Raises ModelError, naming the file, when it is missing, not ONNX, no generator, or keeps data outside its folder.
    """
    path = Path(path)
    try:
        return _read(path, _content(path), as_stored)
    except MemoryError:
        raise ModelError(f"{path}: memory ran out while it was read; free some, or take a smaller model") from None
    except RecursionError:
        raise ModelError(f"{path}: not a valid ONNX model: it is nested too deeply") from None


def _content(path: Path) -> bytes:
    reason = catalog.fault(path)
    if reason is not None:
        raise ModelError(f"{path}: {reason}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check that you may read it") from None


def _read(path: Path, content: bytes, as_stored: bool) -> Graph:
    model, opset = _load(path, content, as_stored)
    nodes = tuple(_node(path, n) for n in model.graph.node)
    weights = {t.name: _array(path, t) for t in model.graph.initializer}
    for node in nodes:
        kinds = {"value", "value_float", "value_floats", "value_int", "value_ints"} & node.attributes.keys()
        if node.op == "Constant" and kinds and node.outputs:
            weights[node.outputs[0]] = np.asarray(node.attributes[kinds.pop()])
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{path}: has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "a generator has one picture in and one out"
        )
    batch, channels, height, width = _input_shape(path, inputs[0])
    if model.graph.output[0].type.tensor_type.elem_type not in _FLOATS:
        raise ModelError(f"{path}: its output is not float; export a float32 model with pixels in 0..1")
    output = model.graph.output[0].name
    try:
        walk = _Walk(path, nodes, weights, inputs[0].name, channels)
        scale, alignment = walk.scale(output), walk.alignment()
        radius, cost = walk.radius(output, scale), walk.cost()
    except ModelError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # one pad for two axes ...
        raise ModelError(f"{path}: not a valid ONNX model: an operator's attributes make no sense ({error})") from None
    if walk.channels.get(output, channels) != channels and not walk.opaque:
        raise ModelError(
            f"{path}: {channels} channels in, {walk.channels[output]} out; fastsr needs as many as came in"
        )
    return Graph(
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        nodes=nodes,
        weights=weights,
        opset=opset,
        input=inputs[0].name,
        output=output,
        channels=channels,
        dtype=_FLOATS[inputs[0].type.tensor_type.elem_type],
        fixed_size=(height, width) if height and width else None,
        fixed_batch=batch,
        scale=scale,
        radius=radius,
        alignment=alignment,
        cost=cost,
        metadata={p.key: p.value for p in model.metadata_props},
        serialized=model.SerializeToString(),
    )


def _load(path: Path, content: bytes, as_stored: bool) -> tuple[Message, int]:
    """A file's model, checked, with its weights; and the opset of its standard operators."""
    if content.startswith(engine_file.MAGIC):
        raise ModelError(f"{path}: is a TensorRT engine, not an ONNX model; name the model that it was built from")
    try:
        model = onnx_messages.parse(content)
    except MemoryError:
        raise
    except Exception:  # protobuf's parsers differ in what they raise
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export") from None
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export")
    opset = max((o.version for o in model.opset_import if o.domain in STANDARD), default=0)
    if opset < MIN_OPSET:
        raise ModelError(f"{path}: opset {opset} is too old; export it with opset {MIN_OPSET} or newer")
    if catalog.card(path) is None:  # what ships was checked when it was made, and the checker takes long to import
        _check(path, model)
        if not as_stored:
            from fastsr import exported  # it needs this module

            model = exported.restored(model) or model
    return model, opset


def _check(path: Path, model: Message) -> None:
    """Load what a user's file keeps outside, and have onnx check the whole."""
    import onnx

    _load_external(path, model)
    try:
        onnx.checker.check_model(model)
    except MemoryError:
        raise
    except Exception as error:  # its own, and protobuf's for models that are too large
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not a valid ONNX model: {reason}") from None


def _tensors(graph: Message) -> Iterator[Message]:
    """Every tensor stored in a graph and in the graphs inside its operators."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _attached(graph.node)


def _attached(nodes: Iterable[Message]) -> Iterator[Message]:
    for attribute in (a for n in nodes for a in n.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _external(model: Message) -> list[Message]:
    stored = [*_tensors(model.graph), *(t for f in model.functions for t in _attached(f.node))]
    return [t for t in stored if t.data_location == t.EXTERNAL]


def _load_external(path: Path, model: Message) -> None:
    import onnx

    folder = path.resolve().parent
    for tensor in _external(model):
        place = {e.key: e.value for e in tensor.external_data}.get("location", "")
        target = _beside(path, folder, place)
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except MemoryError:
            raise
        except Exception as error:
            raise ModelError(f"{path}: cannot read its weights from {target}: {error}") from None
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def _beside(path: Path, folder: Path, place: str) -> Path:
    """The file of weights that a model names, which must be in its folder."""
    target = folder / place
    try:
        inside = bool(place) and not Path(place).is_absolute() and target.resolve().is_relative_to(folder)
        is_there = inside and target.is_file()
    except (OSError, RuntimeError, ValueError):  # a name that is too long, a circle of links, a NUL
        raise ModelError(f"{path}: its weights file is named {place[:80]!r}, which no file can be") from None
    if not inside:
        raise ModelError(
            f"{path}: keeps weights outside its folder ({place or 'no file named'}), which is refused; "
            "put them beside the model or save it as one file"
        )
    if not is_there:
        raise ModelError(f"{path}: its weights file {target} is missing; put it beside the model")
    return target


def _array(path: Path, tensor: Message) -> npt.NDArray[Any]:
    try:
        return onnx_messages.array(tensor)
    except MemoryError:
        raise
    except Exception as error:  # of NumPy and of onnx, by the kind of tensor
        raise ModelError(
            f"{path}: not a valid ONNX model: the tensor {tensor.name!r} does not hold {list(tensor.dims)} values of "
            f"its type ({error}); export it anew"
        ) from None


def _node(path: Path, proto: Message) -> Node:
    attributes = {}
    for a in proto.attribute:
        try:
            value = onnx_messages.attribute(a)
        except ValueError as error:  # a type that onnx does not know
            raise ModelError(f"{path}: not a valid ONNX model: the attribute {a.name!r}: {error}") from None
        if a.type == a.TENSOR:
            value = _array(path, value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, list):
            value = tuple(value)
        attributes[a.name] = value
    op = proto.op_type if proto.domain in STANDARD else f"{proto.domain}.{proto.op_type}"
    return Node(op, tuple(proto.input), tuple(proto.output), attributes)


_FLOATS: dict[int, np.dtype[Any]] = {
    onnx_messages.FLOAT: np.dtype(np.float32),
    onnx_messages.FLOAT16: np.dtype(np.float16),
}


def _input_shape(path: Path, value: Message) -> tuple[int | None, int, int | None, int | None]:
    kind = value.type.tensor_type
    if kind.elem_type not in _FLOATS:
        raise ModelError(f"{path}: its input is not float; export a float32 model with pixels in 0..1")
    sides = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    if len(sides) != 4 or sides[1] not in (1, 3):
        raise ModelError(f"{path}: its input is {sides}; fastsr needs N x 3 x H x W (or 1 channel)")
    if sides[0] not in (None, 1):
        raise ModelError(f"{path}: takes {sides[0]} pictures at once; export it with a batch of 1 or a free one")
    if (sides[2] is None) != (sides[3] is None):
        raise ModelError(f"{path}: fixes only one of height and width; export it with both free")
    if max(sides[2] or 0, sides[3] or 0) > MAX_FIXED_SIDE:
        raise ModelError(
            f"{path}: takes only {sides[3]}x{sides[2]} pixels; fastsr takes fixed sides up to {MAX_FIXED_SIDE}; "
            "export it with free height and width"
        )
    return sides[0], sides[1], sides[2], sides[3]


# Operators that change each sample on its own, or a picture channel by channel.
# fmt: off
_POINTWISE = frozenset((
    "PRelu", "Relu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Gelu", "Mish", "HardSwish",
    "HardSigmoid", "Erf", "Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Exp", "Neg", "Abs", "Min", "Max", "Identity",
    "Cast", "Dropout", "BatchNormalization", "QuantizeLinear", "DequantizeLinear",
))
_SUBGRAPHS = frozenset(("If", "Loop", "Scan", "SequenceMap"))  # these may read any tensor without naming it as input
_SAME_SHAPE = frozenset(("Identity", "Cast", "QuantizeLinear", "DequantizeLinear"))  # how weights are wrapped
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
        self.shapes = {name: value.shape for name, value in weights.items()}
        self.resolution: dict[str, Fraction] = {start: Fraction(1)}  # pixels per input pixel
        self.channels: dict[str, int] = {start: channels}
        self.opaque: list[str] = []  # operators whose reach is not known
        self._factors: dict[int, Fraction | None] = {}  # of resizing operators, by identity
        for node in nodes:
            self._forward(node)

    def _pictures(self, node: Node) -> list[str]:
        return [name for name in node.inputs if name in self.resolution]

    def _forward(self, node: Node) -> None:
        # Behind an operator whose effect is not known, the channels are not known either.
        fault = operator_shapes.fault(node, {} if self.opaque else self.channels, self.shapes)
        if fault is not None:
            raise ModelError(f"{self.path}: not a valid ONNX model: {node.op} ({node.outputs[0]!r}) has {fault}")
        pictures = self._pictures(node)
        if node.op in _SUBGRAPHS:
            pictures = pictures or [self.start]
        if not pictures:
            if node.op in _SAME_SHAPE and node.inputs[0] in self.shapes:
                self.shapes[node.outputs[0]] = self.shapes[node.inputs[0]]
            return
        if not self._known(node, pictures):
            self.opaque.append(node.op)
        ratio, channels = self.resolution[pictures[0]], max(self.channels[name] for name in pictures)
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
            ratio *= self._resize_factor(node) or 1
        elif node.op == "Concat":
            made = [sum(self.channels[name] for name in pictures)]
        elif node.op == "Split":
            made = self._parts(node, channels)
        if ratio.denominator > MAX_ALIGNMENT or ratio > MAX_SCALE * MAX_ALIGNMENT:
            raise ModelError(
                f"{self.path}: {node.op} ({node.outputs[0]!r}) makes a tensor far larger or smaller than the picture; "
                f"fastsr takes 1/{MAX_ALIGNMENT} to {MAX_SCALE * MAX_ALIGNMENT} times its size"
            )
        for name, deep_as in zip(node.outputs, made, strict=True):
            if name:
                self.resolution[name], self.channels[name] = ratio, deep_as

    def _known(self, node: Node, pictures: list[str]) -> bool:
        """Whether an output sample depends on a neighbourhood that the operator tells, the same at every place."""
        a = node.attributes
        if node.op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            if len(set(a.get("strides", (1,)))) != 1 or len([name for name in node.outputs if name]) != 1:
                return False
            if node.op == "ConvTranspose" and ("output_shape" in a or a.get("auto_pad", "NOTSET").startswith("SAME")):
                return False
            return node.op in ("MaxPool", "AveragePool") or (pictures == [node.inputs[0]] and self._has_kernel(node))
        if node.op in ("Resize", "Upsample"):
            return self._known_resize(node)
        if node.op == "Pad":
            return self._pad_amounts(node) is not None and a.get("mode", "constant") != "wrap"
        if node.op == "Concat":
            return a.get("axis") in (1, -3) and len(pictures) == len(node.inputs)
        if node.op == "Split":
            return a.get("axis", 0) in (1, -3)
        if node.op in _POINTWISE:
            level = len({self.resolution[name] for name in pictures}) == 1
            return level and all(self._even(node, name) for name in node.inputs if name and name not in pictures)
        return node.op in ("DepthToSpace", "SpaceToDepth")

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
            raise ModelError(
                f"{self.path}: makes pictures {float(ratio):g} times as large; fastsr needs 1, 2, 3, 4 ..."
            )
        if ratio > MAX_SCALE:
            raise ModelError(f"{self.path}: makes pictures {ratio} times as large; fastsr takes at most {MAX_SCALE}")
        return int(ratio)

    def alignment(self) -> int:
        """Input sides must be multiples of this for every tensor to have whole sides."""
        multiple = math.lcm(*(ratio.denominator for ratio in self.resolution.values()))
        if multiple > MAX_ALIGNMENT:
            raise ModelError(
                f"{self.path}: needs sides in steps of {multiple} pixels; fastsr takes at most {MAX_ALIGNMENT}"
            )
        return multiple

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
            for name in self._pictures(node):
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
        if node.op == "Pad":
            return _joined([(low - before, high - before) for before in self._pad_amounts(node) or ()])
        return interval

    def _pads(self, attributes: dict[str, Any], size: Any, dilation: Any, stride: Any) -> tuple[int, int]:
        rule = attributes.get("auto_pad", "NOTSET")
        if rule in ("SAME_UPPER", "SAME_LOWER"):
            totals = [max(0, (k - 1) * d + 1 - s) for k, d, s in zip(size, dilation, stride, strict=True)]
            return tuple((t + (rule == "SAME_LOWER")) // 2 for t in totals)  # type: ignore[return-value]
        if rule == "VALID":
            return 0, 0
        return tuple(attributes.get("pads", (0, 0, 0, 0))[:2])  # type: ignore[return-value]

    def _pad_amounts(self, node: Node) -> tuple[int, int] | None:
        """Rows above and columns to the left; None where not known or where other axes are padded too."""
        amounts, axes = self.weights.get(node.inputs[1]), list(range(4))
        if len(node.inputs) > 3 and node.inputs[3]:
            if node.inputs[3] not in self.weights:
                return None
            axes = [int(axis) % 4 for axis in self.weights[node.inputs[3]]]
        if amounts is None or amounts.shape != (2 * len(axes),):
            return None
        before = dict.fromkeys(range(4), 0) | {axis: int(n) for axis, n in zip(axes, amounts, strict=False)}
        after = {axis: int(n) for axis, n in zip(axes, amounts[len(axes) :], strict=True)}
        return (before[2], before[3]) if not any((before[0], before[1], after.get(0), after.get(1))) else None

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
