"""Tiling and pixel-shuffle on NumPy arrays (csrc/cpu, on all the cores that fastsr may use) and on CUDA arrays.

Frames are height x width x channels, uint8, uint16 or float32 in 0..1. Batches are what a network sees and makes:
N x C x h x w, or N x h x w x C with layout "NHWC", float32 or float16 in 0..1.

A CUDA array is anything with `__cuda_array_interface__` or DLPack (torch, CuPy, numba, cuda-core): used in place,
C-contiguous, all arrays of a call on one device. The call returns at once; the work runs on `stream`: an integer
handle, an object with `__cuda_stream__`, or, when None, the current stream of the array's library (torch, CuPy), else
the stream that the array names, else the default stream. It allocates nothing but `out`, so it can be captured in a
CUDA graph once the same call has run outside of one. NumPy and CUDA give the same bits.

Nothing here knows networks, engines or image files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core
from fastsr.ops import cuda_arrays

__all__ = ["BATCH_DTYPES", "RESIDUALS", "pixel_shuffle", "tile_gather", "tile_scatter"]

Array = npt.NDArray[Any]

RESIDUALS = ("none", "nearest", "bilinear")
"""What `tile_scatter` can add: nothing, or the low-resolution frame enlarged in one of two ways."""
BATCH_DTYPES = ("float32", "float16")
"""What `tile_gather` can make, and `tile_scatter` takes."""


def _ready(array: Any) -> Array:
    return np.require(array, requirements=("C", "A"))


def _channels_last(layout: str) -> bool:
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f"layout {layout!r} is not known; use 'NCHW' or 'NHWC'")
    return layout == "NHWC"


def _batch_dtype(dtype: Any) -> str:
    text = str(dtype)
    name = text.removeprefix("torch.") if text.startswith("torch.") else np.dtype(dtype).name
    if name not in BATCH_DTYPES:
        raise ValueError(f"dtype {name} is not supported for a batch; use float32 or float16")
    return name


def _no_stream(stream: Any) -> None:
    if stream is not None:
        raise ValueError("stream is for CUDA arrays; these are in CPU memory")


def _output(out: Any, shape: list[int], dtype: Any) -> Array:
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise ValueError(f"out must be a NumPy array here, not {type(out).__name__}")
    return out


def pixel_shuffle(
    x: Any,
    factor: int,
    layout: str = "NCHW",
    bias: Any = None,
    slope: Any = None,
    out: Any = None,
    stream: Any = None,
) -> Any:
    """Depth to space: `factor`^2 channels become `factor` x `factor` pixels (Shi et al. 2016; torch.nn.PixelShuffle).

    With `bias` and `slope` the result is v = x + bias where v > 0, else slope * v, computed in float32, rounded once.

    Args:
        x: `N x C*r^2 x H x W`, or `N x H x W x C*r^2` with layout "NHWC", of any dtype of 1, 2, 4 or 8 bytes.
        factor: r, 1 to 1024.
        layout: "NCHW" or "NHWC".
        bias: C numbers (float32), where `x` is float32, float16 or, on a GPU, bfloat16.
        slope: the same.
        out: where to put the result; of its shape, of `x`'s dtype.
        stream: where the work runs on a GPU.

    Returns:
        `N x C x H*r x W*r` (`N x H*r x W*r x C`): `out` where it is given, else a new array of the same library.

    Raises:
        ValueError: other shapes, dtypes or layouts.
        EngineError: CUDA arrays where this machine cannot run CUDA.

    """
    last = _channels_last(layout)
    if cuda_arrays.any_cuda(x=x, bias=bias, slope=slope, out=out):
        call = cuda_arrays.Call.of(stream, "out", x=x, bias=bias, slope=slope, out=out)
        source = call.arrays["x"]
        if out is None:
            shape = _core.shuffle_shape(list(source.shape), factor, last)
            out = cuda_arrays.empty(source, shape, source.dtype, call.device, call.stream)
        target = cuda_arrays.read(out, "out").described
        call.run(
            "pixel_shuffle", source.described, target, factor, last, call.described("bias"), call.described("slope")
        )
        return out
    _no_stream(stream)
    ready = _ready(x)
    made = _output(out, _core.shuffle_shape(list(ready.shape), factor, last), ready.dtype)
    values = [None if v is None else np.ascontiguousarray(v, np.float32) for v in (bias, slope)]
    _core.pixel_shuffle(ready, made, factor, last, *values)
    return made


def tile_gather(
    frame: Any,
    origins: npt.ArrayLike,
    tile: tuple[int, int],
    dtype: Any = np.float32,
    layout: str = "NCHW",
    out: Any = None,
    stream: Any = None,
) -> Any:
    """Cut tiles out of a frame: what lies outside is mirrored, pixels become 0..1, channels become planes.

    Mirroring is numpy.pad's "reflect", however far.

    Args:
        frame: H x W x C, uint8, uint16 or float32 in 0..1.
        origins: N x 2 integers, in CPU memory: the tiles' top and left in pixels, which may be negative.
        tile: their height and width in pixels.
        dtype: of the batch, float32 or float16.
        layout: of the batch, "NCHW" or "NHWC".
        out: where to put the batch; its own dtype counts then.
        stream: where the work runs on a GPU.

    Returns:
        N x C x height x width (N x height x width x C): `out` where it is given, else a new array of the frame's
        library.

    Raises:
        ValueError: anything that does not fit.
        EngineError: CUDA arrays where this machine cannot run CUDA.

    """
    last = _channels_last(layout)
    kind = _batch_dtype(dtype)
    sides = _sides(tile)
    starts = _places(origins, 2, "origins")
    if cuda_arrays.any_cuda(frame=frame, out=out):
        call = cuda_arrays.Call.of(stream, "out", frame=frame, out=out)
        source = call.arrays["frame"]
        shape = _core.gather_shape(list(source.shape), len(starts), *sides, last)
        if out is None:
            out = cuda_arrays.empty(source, shape, kind, call.device, call.stream)
        batch = cuda_arrays.read(out, "out")
        _check_shape(batch.shape, shape)
        call.run("tile_gather", source.described, starts.ravel().tolist(), batch.described, last)
        return out
    _no_stream(stream)
    ready = _ready(frame)
    shape = _core.gather_shape(list(ready.shape), len(starts), *sides, last)
    made = _output(out, shape, kind)
    _check_shape(made.shape, shape)
    _core.tile_gather(ready, starts, made, last)
    return made


def _places(values: npt.ArrayLike, columns: int, name: str) -> npt.NDArray[np.int64]:
    """Rows of whole numbers."""
    try:
        return np.asarray(values, dtype=np.int64).reshape(-1, columns)
    except OverflowError:
        raise ValueError(f"{name} must be N x {columns} integers of 64 bits") from None


def _sides(tile: Any) -> tuple[int, int]:
    """Height and width of a tile."""
    try:
        height, width = tile
    except (TypeError, ValueError):
        raise ValueError(f"tile must be its height and its width, not {tile!r}") from None
    return height, width


def _check_shape(made: tuple[int, ...], shape: list[int]) -> None:
    if list(made) != shape:
        raise ValueError(f"out has shape {made} where {tuple(shape)} is needed")


def tile_scatter(
    batch: Any,
    windows: npt.ArrayLike,
    frame: Any,
    factor: int = 1,
    residual: str = "none",
    low: Any = None,
    layout: str = "NCHW",
    stream: Any = None,
) -> None:
    """Put tiles into `frame`, in place: each tile's core is shuffled, clamped to 0..1, rounded half to even and stored.

    NaN is stored as 0. Cores that overlap are stored in order on the CPU, in any order on a GPU.

    Args:
        batch: `N x C*factor^2 x h x w` (`N x h x w x C*factor^2`), float32 or float16.
        windows: N x 6 integers, in CPU memory: top, left of each tile and core top, core left, core bottom, core right,
            in pixels before the shuffle.
        frame: H x W x C, uint8, uint16 or float32, `factor` times as large as the windows say.
        factor: of the shuffle, 1 or more; `C*factor` may be up to 64.
        residual: "nearest" or "bilinear" first adds `low`, enlarged by `factor` (pixel centres at half integers, edges
            repeated).
        low: H/factor x W/factor x C, of the frame's dtype.
        layout: of the batch, "NCHW" or "NHWC".
        stream: where the work runs on a GPU.

    Raises:
        ValueError: anything that does not fit.
        EngineError: CUDA arrays where this machine cannot run CUDA.

    """
    last = _channels_last(layout)
    if residual not in RESIDUALS:
        raise ValueError(f"residual {residual!r} is not known; use one of {', '.join(RESIDUALS)}")
    places = _places(windows, 6, "windows")
    added = RESIDUALS.index(residual)
    if cuda_arrays.any_cuda(batch=batch, frame=frame, low=low):
        call = cuda_arrays.Call.of(stream, "frame", batch=batch, frame=frame, low=low)
        given = [call.described(name) for name in ("batch", "frame", "low")]
        call.run("tile_scatter", given[0], places.ravel().tolist(), given[1], factor, added, given[2], last)
        return
    _no_stream(stream)
    lower = None if low is None else _ready(low)
    _core.tile_scatter(_ready(batch), places, frame, factor, added, lower, last)
