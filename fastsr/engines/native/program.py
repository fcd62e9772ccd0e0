"""The steps of the native engine as plain data: packed for the C++ engine, or run by a reference implementation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Size:
    """Rows and columns: `factor` for each of a frame's, counted in blocks (`Program.block`), and `growth` more."""

    factor: int
    growth: tuple[int, int] = (0, 0)  # negative where there are fewer

    def times(self, factor: int) -> Size:
        """The size of what is enlarged by a factor."""
        return Size(self.factor * factor, (self.growth[0] * factor, self.growth[1] * factor))

    def grown(self, rows: int, columns: int) -> Size:
        """The size with so many more rows and columns."""
        return Size(self.factor, (self.growth[0] + rows, self.growth[1] + columns))


@dataclasses.dataclass
class Tensor:
    """Channels of one size, held as floats, packed (quantized values or bf16), or both.

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
    growth: tuple[int, int] = (0, 0)

    @property
    def size(self) -> Size:
        """Its rows and columns."""
        return Size(self.factor, self.growth)

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

    An output's first row of the source is `before` rows above it (its first column so many to the left), the next one
    `dilation` further; beyond the source's edges are zeros. A depthwise one has a kernel for each channel (out x 1 x
    rows x columns), is in float and shuffles nothing. Then, in place, what follows.
    """

    source: int
    target: int
    kernel: Array  # out x in x rows x columns; float32, or quantized to int8
    bias: Array  # float32, or int32 in units of the sum
    scales: npt.NDArray[np.float32] | None  # int8: of one unit of the sum; None: kept as integers for a RowReduction
    epilogue: Epilogue
    factor: int = 1
    follows: Pointwise | None = None  # only one of it and the epilogue adds a tensor
    before: tuple[int, int] | None = None  # None: as many as lie before the kernel's middle
    dilation: tuple[int, int] = (1, 1)
    depthwise: bool = False


@dataclasses.dataclass
class Pad:
    """The source with rows and columns around it, or with less of them where the target has fewer."""

    source: int
    target: int
    added: tuple[int, int]  # rows above, columns to the left
    border: str  # what they hold: "zeros", "edge" or "reflect"


@dataclasses.dataclass
class SpaceToDepth:
    """Blocks of `down` x `down` pixels as one, in the order (dy, dx, channel); zeros beyond the source's edges."""

    source: int
    target: int
    down: int


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
    """target[y, x, c] = bias[c] + the sum over k of source[y + k - before, x, k * channels + c].

    int8: the source holds integers, each worth its own of `scales`, and `channels` more behind those, for row y.
    """

    source: int
    target: int
    terms: int
    bias: npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32] | None  # int8: of one unit, by channel of the source
    before: int | None = None  # None: terms // 2


Step = Conv | Remap | Pad | SpaceToDepth | RowReduction | Normalization | Bilinear


def pointwise(step: Step) -> Pointwise | None:
    """What a step does to single values by itself, behind what it makes."""
    if isinstance(step, RowReduction | Pad | SpaceToDepth):
        return None
    return step.pointwise if isinstance(step, Remap) else step.follows


@dataclasses.dataclass
class Program:
    """Steps in order; tensors[0] is the input, and `output` goes to the frame, shuffled, with the input added.

    The input holds `fold` x `fold` pixels as one, in the order (dy, dx, colour).
    """

    tensors: list[Tensor]
    steps: list[Step]
    output: int
    factor: int
    base: str  # the enlarged input that is added: "none", "nearest", "bilinear" or "bicubic"
    fold: int = 1
    gain: float = 1  # of what is added
    repeated: float = 0  # gain of the input repeated, where that is added beside a smooth base

    @property
    def block(self) -> int:
        """Pixels that a frame is counted by: its sides are multiples of this, for all tensors to have whole pixels."""
        return self.fold * self.tensors[0].factor
