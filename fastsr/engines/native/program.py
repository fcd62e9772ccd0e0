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
class Conv:
    """target = epilogue(source * kernel + bias), shuffled by `factor`: outputs come in the order (dy, dx, channel)."""

    source: int
    target: int
    kernel: Array  # out x in x rows x columns; float32, or quantized to int8
    bias: Array  # float32, or int32 in units of the sum
    scales: npt.NDArray[np.float32] | None  # int8: of one unit of the sum; None: kept as integers for a RowReduction
    epilogue: Epilogue
    factor: int = 1


@dataclasses.dataclass
class Remap:
    """target = epilogue(function(gains * moved source + offsets) * times).

    Channel c at sub-pixel (dy, dx) is moved from channel table[dy, dx, c] of its pixel. The epilogue's activation comes
    before the product.
    """

    source: int
    target: int
    table: npt.NDArray[np.int32]  # factor x factor x channels
    epilogue: Epilogue
    gains: npt.NDArray[np.float32] | None = None  # per channel
    offsets: npt.NDArray[np.float32] | None = None
    function: str = "none"  # "none", "sigmoid" or "tanh"
    times: int = -1  # tensor that is multiplied


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


@dataclasses.dataclass
class Program:
    """Steps in order; tensors[0] is the input, and `output` goes to the frame, shuffled, with the input added.

    The input holds blocks of `fold` x `fold` pixels, in the order (dy, dx, colour).
    """

    tensors: list[Tensor]
    steps: list[Conv | Remap | RowReduction]
    output: int
    factor: int
    base: str  # the enlarged input that is added: "none", "nearest" or "bicubic"
    fold: int = 1
