"""ncnn's layers as a plain ONNX model: NCHW, RGB in 0..1 in and out, of any height and width.

What the layers mean is said in ncnn's wiki (operation-param-weight-table). Networks that make less than their factor
says, because their convolutions do not pad, get an input whose border is repeated first, as the programs that run them
do it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastsr.errors import ModelError
from fastsr.importing import ncnn
from fastsr.importing.ncnn import Layer

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = "input", "output"
IMAGE = "image"  # what the first layers read: the input, or the input with a border
MAX_STEP = 1 << 12  # of kernels, strides, pads and factors; ONNX takes them as far as 64 bits
SAME_UPPER, SAME_LOWER = -233, -234  # pads that keep the size
TO_THE_END = -233  # of a Crop

Extent = tuple[Fraction, Fraction]  # a side of a tensor is so many times the input's side, plus so much


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network as ONNX, and what it is to make by default.

    Attributes:
        model: the ONNX model.
        scale: its factor.
        default_scale: the factor of the ncnn file, which is smaller where that ends in a reduction of the image. The
            reduction is left out of `model`.
        source_input: the tensor of the ncnn file that takes the image.
        source_output: the tensor of the ncnn file that `model` makes.
        border: pixels around the image that `model` repeats and the ncnn network expects.

    """

    model: onnx.ModelProto
    scale: int
    default_scale: int
    source_input: str
    source_output: str
    border: int


def converted(layers: list[Layer], origin: str, *, plus_nearest: bool = False) -> Converted:
    """The network of an ncnn file as ONNX; `origin` goes before messages.

    With `plus_nearest` the enlarged input (pixels repeated) is added to what it makes, as the program around
    Real-CUGAN's x4 does it. Raises ModelError for networks that are no generators, and for what is not converted here.
    """
    try:
        return _Conversion(layers).converted(plus_nearest)
    except ModelError as error:
        raise ModelError(f"{origin}: {error}") from None


@dataclasses.dataclass
class _Tensor:
    """A tensor of the network on its way to ONNX."""

    name: str
    channels: int | None
    extents: tuple[Extent, Extent]  # of height and width

    @property
    def pooled(self) -> bool:
        """Whether it is one value a channel."""
        return self.extents == _ONE_VALUE


_ONE_VALUE: tuple[Extent, Extent] = ((Fraction(0), Fraction(1)),) * 2
_WHOLE: tuple[Extent, Extent] = ((Fraction(1), Fraction(0)),) * 2


class _Conversion:
    """Goes through the layers in their order, as a file has them."""

    def __init__(self, layers: list[Layer]) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._tensors: dict[str, _Tensor] = {}
        self._source_input, self._channels = _image(layers)
        self._layers, self._source_output, self._reduction = _without_reduction(layers)

    def converted(self, plus_nearest: bool) -> Converted:
        for layer in self._layers:
            self._add(layer)
        if self._source_output not in self._tensors:
            raise ModelError(f"no layer makes its output {self._source_output!r}; the .param is damaged")
        made = self._tensors[self._source_output]
        scale, border = _scale_and_border(made)
        if made.channels not in (None, self._channels):
            raise ModelError(
                f"takes {self._channels} channels and makes {made.channels}; fastsr needs a network that makes as many "
                "as it takes"
            )
        default = scale * self._reduction
        if default.denominator != 1 or default < 1:
            raise ModelError(f"makes images {float(default):g} times as large; fastsr needs 1, 2, 3, 4 ...")
        if plus_nearest:
            made = self._node("Add", [made, self._repeated(scale)])
        if not self._nodes:
            raise ModelError("has no layer that computes anything; it is no generator")
        model = self._model(made, border)
        return Converted(model, scale, int(default), self._source_input, self._source_output, border)

    def _repeated(self, factor: int) -> _Tensor:
        start = _Tensor(INPUT, self._channels, _WHOLE)
        return self._resized(start, "nearest", Fraction(factor)) if factor > 1 else start

    def _model(self, made: _Tensor, border: int) -> onnx.ModelProto:
        """The operators as a model, with the repeated border in front."""
        renamed = {IMAGE: "padded" if border else INPUT, made.name: OUTPUT}
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [renamed.get(name, name) for name in names]
        if border:
            amounts = self._weight(np.array([0, 0, border, border] * 2, np.int64))
            self._nodes.insert(0, helper.make_node("Pad", [INPUT, amounts], ["padded"], mode="edge"))
        sides = ["N", self._channels, "H", "W"]
        graph = helper.make_graph(
            self._nodes,
            "imported",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sides)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", self._channels, None, None])],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def _add(self, layer: Layer) -> None:
        """One layer's operators."""
        if layer.kind == "Input":
            _counted(layer, 0, 1)
            made = [_Tensor(IMAGE, self._channels, _WHOLE)]
        elif layer.kind == "Split":
            _counted(layer, 1, None)
            made = [self._read(layer)[0]] * len(layer.outputs)
        else:
            inputs, outputs = _COUNTS.get(layer.kind, (1, 1))
            _counted(layer, inputs, outputs)
            made = [_CONVERSIONS[layer.kind](self, layer, self._read(layer))]
        for name, tensor in zip(layer.outputs, made, strict=True):
            if name in self._tensors:
                raise ModelError(f"two layers make the tensor {name!r}; the .param is damaged")
            self._tensors[name] = tensor

    def _read(self, layer: Layer) -> list[_Tensor]:
        unknown = [name for name in layer.inputs if name not in self._tensors]
        if unknown:
            raise ModelError(f"layer {layer.name} reads {unknown[0]!r}, which no layer before it makes")
        return [self._tensors[name] for name in layer.inputs]

    def _weight(self, values: npt.NDArray[Any]) -> str:
        name = f"weight{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _constant(self, value: float) -> str:
        return self._weight(np.array(value, np.float32))

    def _node(
        self,
        op: str,
        inputs: list[_Tensor | str],
        channels: int | None = None,
        extents: tuple[Extent, Extent] | None = None,
        **attributes: Any,
    ) -> _Tensor:
        """Add an operator; what is not said is as its first input has it."""
        first = next(i for i in inputs if isinstance(i, _Tensor))
        made = _Tensor(f"tensor{len(self._nodes)}", channels or first.channels, extents or first.extents)
        names = [i.name if isinstance(i, _Tensor) else i for i in inputs]
        self._nodes.append(helper.make_node(op, names, [made.name], **attributes))
        return made

    def _activated(self, layer: Layer, x: _Tensor) -> _Tensor:
        kind, slope = ncnn.activation(layer)
        if kind == "leaky":
            return self._node("LeakyRelu", [x], alpha=slope)
        return x if kind == "none" else self._node({"relu": "Relu", "sigmoid": "Sigmoid"}[kind], [x])

    def convolution(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        (x,) = reads
        upward = layer.kind.startswith("Deconvolution")
        group = _within(layer, 7, 1, low=1) if layer.kind.endswith("DepthWise") else 1
        outputs, rows, columns = layer.whole(0), _sided(layer, 11, 1, 0), _sided(layer, 1, 1, 0)
        strides = [_sided(layer, 13, 3, 1), _sided(layer, 3, 3, 1)]
        dilations = [_sided(layer, 12, 2, 1), _sided(layer, 2, 2, 1)]
        for key in (8, 19) if not upward else (28,):
            if layer.whole(key):
                raise ModelError(
                    f"layer {layer.name}: 8-bit or computed weights are not read here; take the plain file"
                )
        if layer.number(18) and not upward:
            raise ModelError(f"layer {layer.name}: pads with {layer.number(18)}; only zeros are converted")
        inputs, rest = divmod(layer.weights[0].size, outputs * rows * columns)
        if rest or outputs % group:
            raise ModelError(f"layer {layer.name}: {layer.weights[0].size} weights do not fit its kernel and channels")
        _fits(layer, x, inputs * group)
        kernel = layer.weights[0].reshape(outputs, inputs, rows, columns)
        pads = self._pads(layer, (rows, columns), strides, dilations)
        rules: dict[str, Any] = {"kernel_shape": [rows, columns], "strides": strides, "dilations": dilations}
        reach = [(side - 1) * dilation + 1 for side, dilation in zip((rows, columns), dilations, strict=True)]
        extents: list[Extent] = []
        for axis in (0, 1):
            ratio, offset = x.extents[axis]
            step, padded = strides[axis], pads[axis] + pads[axis + 2]
            if upward:
                extra = _within(layer, (19, 18)[axis], 0)
                extents.append((ratio * step, (offset - 1) * step + reach[axis] - padded + extra))
            else:
                extents.append((ratio / step, (offset + padded - reach[axis]) / step + 1))
        if upward:
            if layer.whole(20) or layer.whole(21):
                raise ModelError(f"layer {layer.name}: an output of fixed size is not converted")
            # ncnn has outputs first within each group, ONNX the inputs of all groups
            split = kernel.reshape(group, outputs // group, inputs, rows, columns)
            kernel = split.swapaxes(1, 2).reshape(group * inputs, outputs // group, rows, columns)
            rules["output_padding"] = [_within(layer, 19, 0), _within(layer, 18, 0)]
        weights: list[_Tensor | str] = [self._weight(values) for values in (kernel, *layer.weights[1:])]
        op = "ConvTranspose" if upward else "Conv"
        shape = (extents[0], extents[1])
        return self._activated(layer, self._node(op, [x, *weights], outputs, shape, pads=pads, group=group, **rules))

    def _pads(self, layer: Layer, sides: tuple[int, int], strides: list[int], dilations: list[int]) -> list[int]:
        """Above, left, below, right."""
        left = layer.whole(4)
        if left in (SAME_UPPER, SAME_LOWER):
            if strides != [1, 1]:
                raise ModelError(f"layer {layer.name}: pads that depend on the size are not converted")
            total = [(side - 1) * dilation for side, dilation in zip(sides, dilations, strict=True)]
            before = [(t + (left == SAME_LOWER)) // 2 for t in total]
            return [*before, *(t - b for t, b in zip(total, before, strict=True))]
        left = _within(layer, 4, 0)
        top, right = _within(layer, 14, left), _within(layer, 15, left)
        return [top, left, _within(layer, 16, top), right]

    def inner_product(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        (x,) = reads
        if not x.pooled:
            raise ModelError(f"layer {layer.name}: an InnerProduct of a whole image is not converted")
        if layer.whole(8):
            raise ModelError(f"layer {layer.name}: 8-bit weights are not read here; take the plain file")
        outputs = layer.whole(0)
        kernel = layer.weights[0].reshape(outputs, -1, 1, 1)
        _fits(layer, x, kernel.shape[1])
        weights: list[_Tensor | str] = [self._weight(values) for values in (kernel, *layer.weights[1:])]
        return self._activated(layer, self._node("Conv", [x, *weights], outputs, kernel_shape=[1, 1]))

    def prelu(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        (x,) = reads
        slopes = layer.weights[0]
        if slopes.size > 1:
            _fits(layer, x, slopes.size)
        return self._node("PRelu", [x, self._weight(slopes.reshape(-1, 1, 1))])

    def scale(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        if layer.whole(0) == ncnn.SECOND_INPUT:
            _counted(layer, 2, 1)
            if not reads[1].pooled:
                raise ModelError(f"layer {layer.name}: scales by a whole image; only one factor a channel is converted")
            _fits(layer, reads[0], reads[1].channels)
            return self._node("Mul", list(reads))
        _counted(layer, 1, 1)
        _fits(layer, reads[0], layer.weights[0].size)
        factors, *bias = (self._weight(values.reshape(-1, 1, 1)) for values in layer.weights)
        made = self._node("Mul", [reads[0], factors])
        return self._node("Add", [made, bias[0]]) if bias else made

    def concat(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        if layer.whole(0) not in (0, -3):
            raise ModelError(f"layer {layer.name}: joins along axis {layer.whole(0)}; only channels are converted")
        _alike(layer, reads)
        channels = [tensor.channels for tensor in reads]
        return self._node("Concat", list(reads), sum(c or 0 for c in channels), axis=1)

    def eltwise(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        _alike(layer, reads)
        op = {0: "Mul", 1: "Add", 2: "Max"}.get(layer.whole(0))
        factors = layer.parameters.get(1, ())
        if op is None or not isinstance(factors, tuple) or (factors and (op != "Add" or len(factors) != len(reads))):
            raise ModelError(f"layer {layer.name}: an Eltwise of kind {layer.whole(0)} with {factors} is not converted")
        scaled = list(reads)
        for i, factor in enumerate(factors):
            if factor != 1:
                scaled[i] = self._node("Mul", [reads[i], self._constant(factor)])
        made = scaled[0]
        for other in scaled[1:]:
            made = self._node(op, [made, other])
        return made

    def binary(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        kind = layer.whole(0)
        if kind not in _BINARY:
            raise ModelError(f"layer {layer.name}: a BinaryOp of kind {kind} is not converted")
        op, turned = _BINARY[kind]
        operands: list[_Tensor | str]
        if layer.whole(1):
            _counted(layer, 1, 1)
            operands = [reads[0], self._constant(layer.number(2))]
        else:
            _counted(layer, 2, 1)
            wide = sorted(reads, key=lambda tensor: tensor.pooled)
            _fits(layer, wide[0], wide[1].channels)
            if not wide[1].pooled:
                _alike(layer, reads)
            operands = list(reads)
        first = max((o for o in operands if isinstance(o, _Tensor)), key=lambda tensor: not tensor.pooled)
        return self._node(op, operands[::-1] if turned else operands, first.channels, first.extents)

    def crop(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        x = reads[0]
        if len(reads) == 2:  # to the size of the second
            offsets = (_within(layer, 1, 0), _within(layer, 0, 0))
            cuts = []
            for own, other, before in zip(x.extents, reads[1].extents, offsets, strict=True):
                after = own[1] - other[1] - before
                if own[0] != other[0] or after.denominator != 1 or after < 0:
                    raise ModelError(f"layer {layer.name}: what it crops does not contain what it crops to")
                cuts.append((before, int(after)))
            return self._padded(x, [(-before, -after) for before, after in cuts])
        _counted(layer, 1, 1)
        starts, ends, axes = (layer.parameters.get(key, ()) for key in (9, 10, 11))
        lists = [value for value in (starts, ends, axes) if isinstance(value, tuple)]
        if len(lists) != 3 or len({len(value) for value in lists}) != 1 or not lists[0]:
            raise ModelError(f"layer {layer.name}: a Crop of this form is not converted")
        changes = {1: (0, 0), 2: (0, 0)}
        for start, end, axis in zip(*lists, strict=True):
            end = 0 if end == TO_THE_END or end >= 1 << 30 else end
            if not (0 <= start <= MAX_STEP and -MAX_STEP <= end <= 0) or axis % 3 not in changes:
                raise ModelError(f"layer {layer.name}: a Crop of this form is not converted")
            changes[int(axis) % 3] = (-int(start), int(end))
        return self._padded(x, list(changes.values()))

    def padding(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        top, bottom, left, right = (_within(layer, key, 0) for key in range(4))
        kind = layer.whole(4)
        if kind not in (0, 1, 2) or layer.number(5) or layer.whole(7) or layer.whole(8):
            raise ModelError(f"layer {layer.name}: a Padding of this form is not converted")
        return self._padded(reads[0], [(top, bottom), (left, right)], ("constant", "edge", "reflect")[kind])

    def _padded(self, x: _Tensor, amounts: list[tuple[int, int]], mode: str = "constant") -> _Tensor:
        """Rows and columns added (or, where negative, taken away) before and after."""
        (top, bottom), (left, right) = amounts
        pads = self._weight(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        (ratio, offset), (ratio_x, offset_x) = x.extents
        extents = ((ratio, offset + top + bottom), (ratio_x, offset_x + left + right))
        return self._node("Pad", [x, pads], extents=extents, mode=mode)

    def interp(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        kind, factor = _interp(layer)
        return self._resized(reads[0], kind, factor)

    def _resized(self, x: _Tensor, kind: str, factor: Fraction) -> _Tensor:
        scales = self._weight(np.array([1, 1, factor, factor], np.float32))
        rules: dict[str, Any] = {"mode": kind, "coordinate_transformation_mode": "half_pixel"}
        if kind == "nearest":
            rules |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._node("Resize", [x, "", scales], extents=_times(x.extents, factor), **rules)

    def pixel_shuffle(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        block = _within(layer, 0, 1, low=1)
        (x,) = reads
        if x.channels is not None and x.channels % block**2:
            raise ModelError(f"layer {layer.name}: {x.channels} channels make no blocks of {block}x{block} pixels")
        made = None if x.channels is None else x.channels // block**2
        mode = "DCR" if layer.whole(1) else "CRD"
        return self._node("DepthToSpace", [x], made, _times(x.extents, Fraction(block)), blocksize=block, mode=mode)

    def pooling(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        kind = {0: "GlobalMaxPool", 1: "GlobalAveragePool"}.get(layer.whole(0))
        if kind is None or not layer.whole(4):
            raise ModelError(f"layer {layer.name}: only pooling of whole images is converted")
        return self._node(kind, list(reads), extents=_ONE_VALUE)

    def relu(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        slope = layer.number(0)
        return self._node("LeakyRelu", [reads[0]], alpha=slope) if slope else self._node("Relu", [reads[0]])

    def clip(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        low, high = (float(np.clip(layer.number(key, at), -3.4e38, 3.4e38)) for key, at in ((0, -3.4e38), (1, 3.4e38)))
        return self._node("Clip", [reads[0], self._constant(low), self._constant(high)])

    def swish(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        return self._node("Mul", [reads[0], self._node("Sigmoid", [reads[0]])])

    def mish(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        gate = self._node("Tanh", [self._node("Softplus", [reads[0]])])
        return self._node("Mul", [reads[0], gate])

    def sigmoid(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        return self._node("Sigmoid", [reads[0]])

    def tanh(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        return self._node("Tanh", [reads[0]])

    def nothing(self, layer: Layer, reads: list[_Tensor]) -> _Tensor:
        return reads[0]


_CONVERSIONS: dict[str, Callable[[_Conversion, Layer, list[_Tensor]], _Tensor]] = {
    **dict.fromkeys(("Convolution", "ConvolutionDepthWise", "Deconvolution"), _Conversion.convolution),
    "DeconvolutionDepthWise": _Conversion.convolution,
    "InnerProduct": _Conversion.inner_product,
    "PReLU": _Conversion.prelu,
    "Scale": _Conversion.scale,
    "Concat": _Conversion.concat,
    "Eltwise": _Conversion.eltwise,
    "BinaryOp": _Conversion.binary,
    "Crop": _Conversion.crop,
    "Padding": _Conversion.padding,
    "Interp": _Conversion.interp,
    "PixelShuffle": _Conversion.pixel_shuffle,
    "Pooling": _Conversion.pooling,
    "ReLU": _Conversion.relu,
    "Clip": _Conversion.clip,
    "Swish": _Conversion.swish,
    "Mish": _Conversion.mish,
    "Sigmoid": _Conversion.sigmoid,
    "TanH": _Conversion.tanh,
    "Noop": _Conversion.nothing,
    "Dropout": _Conversion.nothing,
}
# How many tensors a layer reads and makes, where it is not one and one; None: any number but none.
_COUNTS: dict[str, tuple[int | None, int]] = {
    **dict.fromkeys(("Concat", "Eltwise", "BinaryOp", "Crop", "Scale"), (None, 1)),
}
_BINARY = {  # ONNX's operator, and whether the operands change places
    0: ("Add", False),
    1: ("Sub", False),
    2: ("Mul", False),
    3: ("Div", False),
    4: ("Max", False),
    5: ("Min", False),
    7: ("Sub", True),
    8: ("Div", True),
}


def _image(layers: list[Layer]) -> tuple[str, int]:
    """The tensor that takes the image, and its channels: those of the convolutions that read it, else three."""
    inputs = [layer for layer in layers if layer.kind == "Input"]
    if len(inputs) != 1 or len(inputs[0].outputs) != 1:
        raise ModelError(f"has {len(inputs)} inputs; a generator has one image in and one out")
    same = {inputs[0].outputs[0]}
    for layer in layers:
        if layer.kind == "Split" and same.intersection(layer.inputs):
            same.update(layer.outputs)
        if layer.kind == "Convolution" and same.intersection(layer.inputs):
            sides = _sided(layer, 11, 1, 0) * _sided(layer, 1, 1, 0) * layer.whole(0)
            return inputs[0].outputs[0], max(1, layer.weights[0].size // sides)
    return inputs[0].outputs[0], 3


def _without_reduction(layers: list[Layer]) -> tuple[list[Layer], str, Fraction]:
    """The layers without a last one that makes the image smaller; the output's name; how much smaller it was."""
    read = {name for layer in layers for name in layer.inputs}
    outputs = [name for layer in layers for name in layer.outputs if name not in read]
    if len(outputs) != 1:
        raise ModelError(f"has {len(outputs)} outputs; a generator has one image in and one out")
    last = next(layer for layer in layers if outputs[0] in layer.outputs)
    if last.kind == "Interp" and len(last.inputs) == 1:
        factor = _interp(last)[1]
        if factor < 1:
            return [layer for layer in layers if layer is not last], last.inputs[0], factor
    return layers, outputs[0], Fraction(1)


def _scale_and_border(made: _Tensor) -> tuple[int, int]:
    """The factor of a network, and the pixels around its image that it needs to make all of it."""
    (ratio, missing), other = made.extents
    if (ratio, missing) != other or ratio.denominator != 1 or ratio < 1:
        raise ModelError(f"makes images {float(ratio):g} times as large; fastsr needs 1, 2, 3, 4 ...")
    border = -missing / (2 * ratio)
    if border < 0 or border.denominator != 1 or border > MAX_STEP:
        raise ModelError(f"makes {float(missing):g} pixels more than {ratio} times the image; it is no generator")
    return int(ratio), int(border)


def _interp(layer: Layer) -> tuple[str, Fraction]:
    """A resize as ONNX calls it, and its factor."""
    kinds = {1: "nearest", 2: "linear", 3: "cubic"}
    factors = (layer.number(1, 1), layer.number(2, 1))
    kind = kinds.get(layer.whole(0))
    fixed = any(layer.parameters.get(key) not in (None, 0) for key in (3, 4, 5, 6))
    if kind is None or fixed or len(layer.inputs) != 1 or factors[0] != factors[1] or not 1 / 64 <= factors[0] <= 64:
        raise ModelError(f"layer {layer.name}: an Interp of this form is not converted; only one factor for both sides")
    return kind, Fraction(factors[0]).limit_denominator(64)


def _times(extents: tuple[Extent, Extent], factor: Fraction) -> tuple[Extent, Extent]:
    (a, b), (c, d) = extents
    return (a * factor, b * factor), (c * factor, d * factor)


def _within(layer: Layer, key: int, default: int, low: int = 0) -> int:
    """A whole parameter from `low` to MAX_STEP."""
    value = layer.whole(key, default)
    if not low <= value <= MAX_STEP:
        raise ModelError(f"layer {layer.name}: parameter {key} = {value} is not from {low} to {MAX_STEP}")
    return value


def _sided(layer: Layer, key: int, other: int, default: int) -> int:
    """A parameter of one axis, which is that of the other one where it is not given."""
    return _within(layer, key, _within(layer, other, default, low=1), low=1)


def _counted(layer: Layer, inputs: int | None, outputs: int | None) -> None:
    fits = (len(layer.inputs) == inputs, bool(layer.inputs))[inputs is None]
    if not fits or (len(layer.outputs) != outputs if outputs is not None else not layer.outputs):
        raise ModelError(
            f"layer {layer.name}: a {layer.kind} that reads {len(layer.inputs)} tensors and makes "
            f"{len(layer.outputs)} is not converted"
        )


def _fits(layer: Layer, x: _Tensor, channels: int | None) -> None:
    if None not in (x.channels, channels) and x.channels != channels:
        raise ModelError(f"layer {layer.name}: has weights for {channels} channels and reads {x.channels}")


def _alike(layer: Layer, reads: list[_Tensor]) -> None:
    """Raise ModelError unless all are of one size."""
    if len({tensor.extents for tensor in reads}) != 1:
        raise ModelError(f"layer {layer.name}: reads images of different sizes")
    if layer.kind != "Concat" and len({tensor.channels for tensor in reads} - {None}) > 1:
        raise ModelError(f"layer {layer.name}: reads images of different channels")
