"""Tiling and pixel-shuffle on NumPy arrays, in C++ (csrc/cpu/tiles.cpp), on all the cores that fastsr may use.

Frames are height x width x channels, uint8, uint16 or float32 in 0..1. Batches are what a network sees and makes:
N x C x h x w, float32 or float16 in 0..1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core

Array = npt.NDArray[Any]

RESIDUALS = ("none", "nearest", "bilinear")


def _ready(array: Array) -> Array:
    return np.require(array, requirements=("C", "A"))


def pixel_shuffle(x: Array, factor: int, layout: str = "NCHW") -> Array:
    """Depth to space: `factor`^2 channels become `factor` x `factor` pixels (Shi et al. 2016; torch.nn.PixelShuffle).

    `x` is N x C*r^2 x H x W, or N x H x W x C*r^2 with layout "NHWC"; of any dtype of 1, 2, 4 or 8 bytes. Returns
    N x C x H*r x W*r (N x H*r x W*r x C). Raises ValueError for other shapes or layouts.
    """
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f"layout {layout!r} is not known; use 'NCHW' or 'NHWC'")
    return _core.pixel_shuffle(_ready(x), factor, layout == "NHWC")


def tile_gather(
    frame: Array, origins: npt.ArrayLike, tile: tuple[int, int], dtype: npt.DTypeLike = np.float32
) -> Array:
    """Cut tiles out of a frame: what lies outside is mirrored, pixels become 0..1, channels become planes.

    `origins` (N x 2 integers) are the tiles' top and left, which may be negative; `tile` is their height and width.
    Returns N x C x height x width of `dtype` (float32 or float16). Mirroring is numpy.pad's "reflect", however far.
    """
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float16)):
        raise ValueError(f"dtype {kind} is not supported for a batch; use float32 or float16")
    starts = np.asarray(origins, dtype=np.int64).reshape(-1, 2)
    return _core.tile_gather(_ready(frame), starts, tile[0], tile[1], kind == np.float16)


def tile_scatter(
    batch: Array,
    windows: npt.ArrayLike,
    frame: Array,
    factor: int = 1,
    residual: str = "none",
    low: Array | None = None,
) -> None:
    """Put tiles into `frame`, in place: each tile's core is shuffled, clamped to 0..1, rounded half to even and stored.

    `batch` is N x C*factor^2 x h x w, float32 or float16. `windows` (N x 6 integers) are top, left of each tile and
    core top, core left, core bottom, core right, in pixels before the shuffle; the frame is `factor` times larger.
    `residual` "nearest" or "bilinear" first adds the frame `low`, enlarged by `factor` (pixel centres at half integers,
    edges repeated). NaN is stored as 0. Raises ValueError for anything that does not fit.
    """
    if residual not in RESIDUALS:
        raise ValueError(f"residual {residual!r} is not known; use one of {', '.join(RESIDUALS)}")
    places = np.asarray(windows, dtype=np.int64).reshape(-1, 6)
    lower = None if low is None else _ready(low)
    _core.tile_scatter(_ready(batch), places, frame, factor, RESIDUALS.index(residual), lower)
