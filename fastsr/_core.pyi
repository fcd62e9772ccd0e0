from typing import Any

import numpy as np
import numpy.typing as npt

def pixel_shuffle(input: npt.NDArray[Any], factor: int, channels_last: bool) -> npt.NDArray[Any]: ...
def tile_gather(
    frame: npt.NDArray[Any], origins: npt.NDArray[np.int64], height: int, width: int, half: bool
) -> npt.NDArray[Any]: ...
def tile_scatter(
    batch: npt.NDArray[Any],
    windows: npt.NDArray[np.int64],
    frame: npt.NDArray[Any],
    factor: int,
    residual: int,
    low: npt.NDArray[Any] | None,
) -> None: ...
def thread_count() -> int: ...
def available_isas() -> list[str]: ...
def active_isa() -> str: ...
