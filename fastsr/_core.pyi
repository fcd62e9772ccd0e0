from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

def gather_shape(frame: list[int], tiles: int, height: int, width: int, channels_last: bool) -> list[int]: ...
def shuffle_shape(input: list[int], factor: int, channels_last: bool) -> list[int]: ...
def pixel_shuffle(
    input: npt.NDArray[Any],
    output: npt.NDArray[Any],
    factor: int,
    channels_last: bool,
    bias: npt.NDArray[np.float32] | None,
    slope: npt.NDArray[np.float32] | None,
) -> None: ...
def tile_gather(
    frame: npt.NDArray[Any], origins: npt.NDArray[np.int64], batch: npt.NDArray[Any], channels_last: bool
) -> None: ...
def tile_scatter(
    batch: npt.NDArray[Any],
    windows: npt.NDArray[np.int64],
    frame: npt.NDArray[Any],
    factor: int,
    residual: int,
    low: npt.NDArray[Any] | None,
    channels_last: bool,
) -> None: ...
def resample_columns(
    rows: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    out: npt.NDArray[Any],
) -> None: ...
def resample_rows(
    rows: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    out: npt.NDArray[Any],
) -> None: ...
def png_filter_rows(rows: npt.NDArray[Any], above: npt.NDArray[Any] | None, out: npt.NDArray[np.uint8]) -> None: ...
def rgb_to_yuv420(
    pixels: npt.NDArray[np.uint8],
    luma: npt.NDArray[np.uint8],
    blue: npt.NDArray[np.uint8],
    red: npt.NDArray[np.uint8],
    shares: tuple[float, float],
    full_range: bool,
    chroma_left: bool,
) -> None: ...
def yuv420_to_rgb(
    luma: npt.NDArray[np.uint8],
    blue: npt.NDArray[np.uint8],
    red: npt.NDArray[np.uint8],
    pixels: npt.NDArray[np.uint8],
    shares: tuple[float, float],
    full_range: bool,
    chroma_left: bool,
) -> None: ...
def thread_count() -> int: ...
def available_isas() -> list[str]: ...
def active_isa() -> str: ...
def precisions() -> list[str]: ...
def multiply_add_rate(rounds: int, precision: str = "fp32") -> float: ...

_Floats = Sequence[float] | npt.NDArray[np.float32]

class Cut:
    """How a frame would be cut."""

    @property
    def across(self) -> int:
        """Units side by side."""
    @property
    def down(self) -> int:
        """Units one above the other."""
    @property
    def team(self) -> int:
        """Threads that share a unit."""
    @property
    def batch(self) -> int:
        """Rows of the input that one step makes before the next one begins."""
    @property
    def at_once(self) -> int:
        """Units that are worked on together."""
    @property
    def memory(self) -> int:
        """Bytes of their rings."""
    @property
    def work(self) -> float:
        """Multiplications in all, as a multiple of those of a single unit."""
    @property
    def efficiency(self) -> float:
        """Share of the threads' time that is not waiting or done twice, were multiplications all that takes time."""

class KeptTensors:
    """The tensors of a frame, of one `ConvProgram`; opaque."""

class ConvProgram:
    def __init__(self, precision: str) -> None: ...
    def tensor(
        self,
        channels: int,
        factor: int,
        floats: bool,
        packed: bool,
        scale: float = 1.0,
        zero_point: int = 0,
        growth: tuple[int, int] = (0, 0),
    ) -> int: ...
    def concat(self, target: int, parts: Sequence[int]) -> None: ...
    def slice(self, target: int, source: int, first: int) -> None: ...
    def conv(
        self,
        source: int,
        target: int,
        kernel: npt.NDArray[Any],
        bias: npt.NDArray[Any],
        scales: _Floats,
        slopes: _Floats,
        add: int,
        low: float,
        high: float,
        factor: int,
        before: tuple[int, int] | None = None,
        dilation: tuple[int, int] = (1, 1),
    ) -> None: ...
    def depthwise(
        self,
        source: int,
        target: int,
        kernel: npt.NDArray[Any],
        bias: npt.NDArray[Any],
        slopes: _Floats,
        add: int,
        low: float,
        high: float,
        before: tuple[int, int] | None = None,
        dilation: tuple[int, int] = (1, 1),
    ) -> None: ...
    def pad(self, source: int, target: int, added: tuple[int, int], border: str) -> None: ...
    def space_to_depth(self, source: int, target: int, down: int) -> None: ...
    def remap(
        self,
        source: int,
        target: int,
        factor: int,
        table: npt.NDArray[np.int32],
        slopes: _Floats,
        add: int,
        low: float,
        high: float,
        gains: _Floats = ...,
        offsets: _Floats = ...,
        function: str = "none",
        times: int = -1,
    ) -> None: ...
    def follow(
        self,
        target: int,
        slopes: _Floats,
        add: int,
        low: float,
        high: float,
        gains: _Floats = ...,
        offsets: _Floats = ...,
        function: str = "none",
        times: int = -1,
    ) -> None: ...
    def normalize(
        self, source: int, target: int, centred: bool, epsilon: float, gains: _Floats, offsets: _Floats
    ) -> None: ...
    def bilinear(self, source: int, target: int, factor: int) -> None: ...
    def reduce_rows(
        self,
        source: int,
        target: int,
        terms: int,
        bias: npt.NDArray[Any],
        scales: _Floats,
        before: int | None = None,
    ) -> None: ...
    def store(
        self, source: int, factor: int, base: str, fold: int = 1, gain: float = 1, repeated: float = 0
    ) -> None: ...
    def run(
        self,
        pixels: npt.NDArray[Any],
        side: int = 0,
        memory: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> npt.NDArray[Any]: ...
    def run_part(
        self,
        pixels: npt.NDArray[Any],
        size: Sequence[int],
        first: Sequence[int],
        part: Sequence[int],
        side: int = 0,
        memory: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> npt.NDArray[Any]: ...
    def run_parts(
        self,
        pixels: npt.NDArray[Any],
        parts: Sequence[Sequence[int]],
        out: npt.NDArray[Any],
        top: int = 0,
        left: int = 0,
        side: int = 0,
        memory: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None: ...
    def changed_parts(self, before: npt.NDArray[Any], after: npt.NDArray[Any]) -> list[list[int]] | None: ...
    def keep(self, height: int, width: int) -> KeptTensors: ...
    def kept_bytes(self, height: int, width: int) -> int: ...
    def run_kept(
        self,
        kept: KeptTensors,
        pixels: npt.NDArray[Any],
        out: npt.NDArray[Any],
        before: npt.NDArray[Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> float: ...
    def input_rows(self, height: int, top: int, bottom: int) -> tuple[int, int]: ...
    def input_columns(self, width: int, left: int, right: int) -> tuple[int, int]: ...
    def cut(
        self,
        height: int,
        width: int,
        side: int = 0,
        memory: int = 0,
        threads: int = 0,
        part: Sequence[int] | None = None,
    ) -> Cut: ...
    def unit_bytes(self, width: int) -> int: ...
