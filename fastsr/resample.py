"""Interpolation in float32: the baselines every user starts from, and the last step to any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

METHODS = ("nearest", "bilinear", "bicubic", "lanczos")


def resize(pixels: npt.NDArray[np.float32], size: tuple[int, int], method: str = "bicubic") -> npt.NDArray[np.float32]:
    """H x W x C float32 to `size` (width, height) with Pillow's filters: antialiased when shrinking, not clamped."""
    from PIL import Image  # takes a while to import

    chosen = Image.Resampling[method.upper()]
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(size, chosen))
        for c in range(pixels.shape[-1])
    ]
    return np.stack(planes, axis=-1).astype(np.float32, copy=False)


def to_float(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """uint8 or uint16 pixels to float32 in 0..1; float32 as it is."""
    if pixels.dtype == np.float32:
        return pixels
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def to_dtype(pixels: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Float32 clamped to 0..1 and, for integer dtypes, scaled and rounded half to even."""
    clamped = np.clip(pixels, 0.0, 1.0)
    if dtype == np.float32:
        return clamped
    return np.asarray(np.rint(clamped * np.float32(np.iinfo(dtype).max)).astype(dtype))
