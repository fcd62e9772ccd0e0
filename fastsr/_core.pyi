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
def thread_count() -> int: ...
def available_isas() -> list[str]: ...
def active_isa() -> str: ...
