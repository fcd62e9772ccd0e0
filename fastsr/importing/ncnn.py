"""ncnn's `.param` and `.bin` files read into layers with their parameters and weights.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure and operation-param-weight-table. A `.param`
file is text: a magic number, the counts of layers and of tensors, then a line per layer. The weights follow one another
in the `.bin` file in the order of the layers.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.errors import ModelError

MAGIC = "7767517"
FLOAT16 = 0x01306B47  # tags in front of weights
RAW = 0
LISTS = -23300  # a parameter's id below this one is a list: -23300 - id
MAX_LAYERS = 100_000
MAX_TENSORS_OF_A_LAYER = 4096

Value = int | float | tuple[int | float, ...]
Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: its type, the tensors it reads and makes, its numbered parameters, and its weights, float32."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, Value]
    weights: tuple[Array, ...]

    def number(self, key: int, default: float = 0) -> float:
        """A parameter that must be a single number."""
        value = self.parameters.get(key, default)
        if isinstance(value, tuple):
            raise ModelError(f"layer {self.name}: parameter {key} = {value} must be one number")
        return value

    def whole(self, key: int, default: int = 0) -> int:
        """A parameter that must be a whole number."""
        value = self.number(key, default)
        if int(value) != value:
            raise ModelError(f"layer {self.name}: parameter {key} = {value} must be a whole number")
        return int(value)


def read(param: bytes, weights: bytes, origin: str) -> list[Layer]:
    """The layers of a network in the order of the file; `origin` goes before messages.

    Weights keep the order and the shapes in which their layer type stores them (see `_SIZES`), flat: a Convolution has
    its kernel (outputs x inputs x rows x columns), then its bias if it has one. Raises ModelError for text that is no
    `.param`, for layer types whose weights are not known here, and where the `.bin` file is too short or too long.
    """
    lines = _lines(param, origin)
    reader = _Weights(weights, origin)
    layers = []
    for line in lines:
        kind, name, inputs, outputs, parameters = _parse(line, origin)
        layer = Layer(kind, name, inputs, outputs, parameters, ())
        if kind not in _SIZES:
            known = ", ".join(sorted(_SIZES))
            raise ModelError(f"{origin}: layer {name} is of type {kind}, which is not known here; known: {known}")
        try:
            sizes = _SIZES[kind](layer)
        except ModelError as error:
            raise ModelError(f"{origin}: {error}") from None
        made = tuple(reader.take(size, tagged, name) for size, tagged in sizes)
        layers.append(dataclasses.replace(layer, weights=made))
    reader.end()
    return layers


def _lines(param: bytes, origin: str) -> list[str]:
    """The lines of the layers, whose count is checked."""
    try:
        text = param.decode("ascii")
    except UnicodeDecodeError:
        raise ModelError(
            f"{origin}: is no ncnn .param file (it is not text); give the .param beside the .bin"
        ) from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or lines[0].strip() != MAGIC:
        found = lines[0][:40] if lines else ""
        raise ModelError(f"{origin}: is no ncnn .param file (it begins with {found!r}, not with {MAGIC})")
    counts = lines[1].split() if len(lines) > 1 else []
    if len(counts) != 2 or not all(c.isdecimal() and len(c) < 10 for c in counts):
        raise ModelError(f"{origin}: the second line must have the counts of layers and of tensors")
    if int(counts[0]) != len(lines) - 2 or len(lines) - 2 > MAX_LAYERS:
        raise ModelError(f"{origin}: says {counts[0]} layers and has {len(lines) - 2}; it is truncated or damaged")
    return lines[2:]


def _parse(line: str, origin: str) -> tuple[str, str, tuple[str, ...], tuple[str, ...], dict[int, Value]]:
    """Type, name, inputs, outputs and parameters of a layer's line."""
    parts = line.split()
    try:
        kind, name, reads, makes = parts[0], parts[1], int(parts[2]), int(parts[3])
        if not (0 <= reads <= MAX_TENSORS_OF_A_LAYER and 0 <= makes <= MAX_TENSORS_OF_A_LAYER):
            raise ValueError
        inputs, outputs = tuple(parts[4 : 4 + reads]), tuple(parts[4 + reads : 4 + reads + makes])
        if len(inputs) != reads or len(outputs) != makes:
            raise ValueError
        parameters = dict(_parameter(text) for text in parts[4 + reads + makes :])
    except (ValueError, IndexError, OverflowError):
        raise ModelError(f"{origin}: the line {line[:80]!r} is no layer of ncnn; the file is damaged") from None
    return kind, name, inputs, outputs, parameters


def _parameter(text: str) -> tuple[int, Value]:
    """`3=1`, or a list with its length, `-23309=2,0.5,1`. Raises ValueError."""
    key, value = text.split("=")
    if int(key) > LISTS:
        return int(key), _number(value)
    length, *items = value.split(",")
    if int(length) != len(items):
        raise ValueError(text)
    return LISTS - int(key), tuple(_number(item) for item in items)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text) from None
        return value


class _Weights:
    """The `.bin` file, taken piece by piece."""

    def __init__(self, data: bytes, origin: str) -> None:
        self.data, self.origin, self.position = data, origin, 0

    def take(self, count: int, tagged: bool, name: str) -> Array:
        """`count` values; a tag in front says how they are stored, where this kind of weight has one."""
        tag = struct.unpack("<I", self._bytes(4, name))[0] if tagged else RAW
        if tag == FLOAT16:
            made = np.frombuffer(self._bytes(2 * count, name), "<f2").astype(np.float32)
            self._bytes(-2 * count % 4, name)  # halves are filled up to a multiple of four bytes
        elif tag == RAW:
            made = np.frombuffer(self._bytes(4 * count, name), "<f4").astype(np.float32)
        else:
            raise ModelError(
                f"{self.origin}: layer {name} stores its weights in a form that is not read here (tag {tag:#x}: "
                "8-bit or a table); take the float32 or float16 file of this model"
            )
        if not np.isfinite(made).all():
            raise ModelError(f"{self.origin}: layer {name} has weights that are no numbers; the .bin is damaged")
        return made

    def _bytes(self, count: int, name: str) -> bytes:
        if count > len(self.data) - self.position:
            raise ModelError(f"{self.origin}: the .bin ends within layer {name}; it is truncated, or another model's")
        self.position += count
        return self.data[self.position - count : self.position]

    def end(self) -> None:
        """Raises ModelError where something is left."""
        if left := len(self.data) - self.position:
            raise ModelError(f"{self.origin}: the .bin has {left} bytes behind its last layer; it is another model's")


Sizes = list[tuple[int, bool]]  # of a layer's weights: how many values, and whether a tag is in front


def _convolution(layer: Layer) -> Sizes:
    outputs, kernel, bias = layer.whole(0), layer.whole(6), layer.whole(5)
    if outputs < 1 or kernel < 1 or kernel % outputs:
        raise ModelError(f"layer {layer.name}: {kernel} weights do not make {outputs} outputs")
    return [(kernel, True), *([(outputs, False)] if bias else [])]


def _inner_product(layer: Layer) -> Sizes:
    outputs, weights, bias = layer.whole(0), layer.whole(2), layer.whole(1)
    if outputs < 1 or weights < 1 or weights % outputs:
        raise ModelError(f"layer {layer.name}: {weights} weights do not make {outputs} outputs")
    return [(weights, True), *([(outputs, False)] if bias else [])]


def _prelu(layer: Layer) -> Sizes:
    if layer.whole(0) < 1:
        raise ModelError(f"layer {layer.name}: has no slopes")
    return [(layer.whole(0), False)]


def _scale(layer: Layer) -> Sizes:
    count = layer.whole(0)
    if count == SECOND_INPUT:
        return []
    if count < 1:
        raise ModelError(f"layer {layer.name}: has no factors")
    return [(count, False), *([(count, False)] if layer.whole(1) else [])]


def _nothing(layer: Layer) -> Sizes:
    return []


SECOND_INPUT = -233  # a Scale's count of factors where they come as its second input
_WITHOUT_WEIGHTS = (
    *("Input", "Split", "Noop", "Dropout", "Concat", "Crop", "Padding", "Eltwise", "BinaryOp", "Pooling"),
    *("Interp", "PixelShuffle", "ReLU", "Clip", "Sigmoid", "TanH", "Swish", "Mish"),
)
_SIZES: dict[str, Callable[[Layer], Sizes]] = {
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _convolution,
    "DeconvolutionDepthWise": _convolution,
    "InnerProduct": _inner_product,
    "PReLU": _prelu,
    "Scale": _scale,
    **dict.fromkeys(_WITHOUT_WEIGHTS, _nothing),
}


def activation(layer: Layer) -> tuple[str, float]:
    """What a Convolution does to its sums: ("none", 0), ("relu", 0), ("leaky", slope), ("sigmoid", 0).

    Raises ModelError for others.
    """
    kind = layer.whole(9)
    values: Any = layer.parameters.get(10, ())
    if kind in _ACTIVATIONS:
        return _ACTIVATIONS[kind], 0.0
    if kind == 2 and isinstance(values, tuple) and len(values) == 1:
        return "leaky", float(values[0])
    raise ModelError(f"layer {layer.name}: activation {kind} with {values} is not read here")


_ACTIVATIONS = {0: "none", 1: "relu", 4: "sigmoid"}
