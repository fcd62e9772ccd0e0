"""The steps of the native engine as plain data: packed for the C++ engine, or run by a reference implementation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclasses.dataclass
class Tensor:
    """Channels at a multiple of the input's resolution, held as floats, packed (quantized values or bf16), or both.

    A step makes it, unless it is a view: others side by side (`parts`), or some channels of another one (`source`).
    Views take no memory and no work: their parts are ranges of one ring.
    """

    name: str
    channels: int
    factor: int
    floats: bool = False
    packed: bool = False
    quantization: tuple[float, int] = (1.0, 0)  # scale and zero point of the quantized values
    parts: tuple[int, ...] = ()  # each a tensor of one concatenation, and of runs of that one
    source: int = -1
    first: int = 0  # channel of the source

    @property
    def is_view(self) -> bool:
        """Whether it is made of other tensors, by no step."""
        return bool(self.parts) or self.source >= 0


@dataclasses.dataclass
class Epilogue:
    """What happens to a value between the sum and its store, in this order."""

    slopes: npt.NDArray[np.float32] | None = None  # of negative values, per channel
    add: int = -1  # tensor that is added
    low: float = -np.inf
    high: float = np.inf


@dataclasses.dataclass
class Pointwise:
    """epilogue(function(gains * value + offsets) * times), of each value on its own.

    The epilogue's activation comes before the product.
    """

    epilogue: Epilogue = dataclasses.field(default_factory=Epilogue)
    gains: npt.NDArray[np.float32] | None = None  # per channel
    offsets: npt.NDArray[np.float32] | None = None
    function: str = "none"  # csrc/cpu/conv/kernels/functions.h has them all
    times: int = -1  # tensor that is multiplied


@dataclasses.dataclass
class Conv:
    """target = epilogue(source * kernel + bias), shuffled by `factor`: outputs come in the order (dy, dx, channel).

    Then, in place, what follows.
    """

    source: int
    target: int
    kernel: Array  # out x in x rows x columns; float32, or quantized to int8
    bias: Array  # float32, or int32 in units of the sum
    scales: npt.NDArray[np.float32] | None  # int8: of one unit of the sum; None: kept as integers for a RowReduction
    epilogue: Epilogue
    factor: int = 1
    follows: Pointwise | None = None  # only one of it and the epilogue adds a tensor


@dataclasses.dataclass
class Remap:
    """target = pointwise(moved source): channel c at sub-pixel (dy, dx) comes from channel table[dy, dx, c]."""

    source: int
    target: int
    table: npt.NDArray[np.int32]  # factor x factor x channels
    pointwise: Pointwise = dataclasses.field(default_factory=Pointwise)


@dataclasses.dataclass
class Normalization:
    """target = (source - mean) / sqrt(variance + epsilon) * gains + offsets, of each pixel over its channels.

    Where it is not centred, the mean is taken for 0. Then, in place, what follows.
    """

    source: int
    target: int
    centred: bool
    epsilon: float
    gains: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.float32]
    follows: Pointwise | None = None


@dataclasses.dataclass
class Bilinear:
    """target = source enlarged bilinearly (ONNX's half_pixel), clamped at its edges; then, in place, what follows."""

    source: int
    target: int
    factor: int
    follows: Pointwise | None = None


@dataclasses.dataclass
class RowReduction:
    """target[y, x, c] = bias[c] + the sum over k of source[y + k - terms // 2, x, k * channels + c].

    int8: the source holds integers, each worth its own of `scales`, and `channels` more behind those, for row y.
    """

    source: int
    target: int
    terms: int
    bias: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32] | None  # int8: of one unit, by channel of the source


Step = Conv | Remap | RowReduction | Normalization | Bilinear


def pointwise(step: Step) -> Pointwise | None:
    """What a step does to single values by itself, behind what it makes."""
    if isinstance(step, RowReduction):
        return None
    return step.pointwise if isinstance(step, Remap) else step.follows


@dataclasses.dataclass
class Program:
    """Steps in order; tensors[0] is the input, and `output` goes to the frame, shuffled, with the input added.

    The input holds blocks of `fold` x `fold` pixels, in the order (dy, dx, colour).
    """

    tensors: list[Tensor]
    steps: list[Step]
    output: int
    factor: int
    base: str  # the enlarged input that is added: "none", "nearest", "bilinear" or "bicubic"
    fold: int = 1
