"""Interpolation in float32: the baselines every user starts from, and the last step to any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BAND = 256  # rows converted at a time, which bounds the memory
METHODS = ("nearest", "bilinear", "bicubic", "lanczos")


def resize(pixels: npt.NDArray[np.float32], size: tuple[int, int], method: str = "bicubic") -> npt.NDArray[np.float32]:
    """H x W x C float32 to `size` (width, height) with Pillow's filters: antialiased when shrinking, not clamped.

    First across, then down: in one call, some versions of Pillow take the order that is less work, to other last bits.
    """
    from PIL import Image  # takes a while to import

    chosen = Image.Resampling[method.upper()]
    out = np.empty((size[1], size[0], pixels.shape[-1]), np.float32)
    for c in range(pixels.shape[-1]):
        plane = Image.fromarray(np.ascontiguousarray(pixels[..., c]))
        across = plane.resize((size[0], plane.height), chosen)
        out[..., c] = np.asarray(across.resize(size, chosen))
    return out


def resize_to(
    pixels: npt.NDArray[np.float32], size: tuple[int, int], dtype: np.dtype[Any], method: str = "bicubic"
) -> npt.NDArray[Any]:
    """As `resize`, clamped to 0..1 and in `dtype`; plane by plane, so that less is held at once."""
    out = np.empty((size[1], size[0], pixels.shape[-1]), dtype)
    for c in range(pixels.shape[-1]):
        out[..., c : c + 1] = to_dtype(resize(pixels[..., c : c + 1], size, method), dtype)
    return out


def resize_bytes(pixels: npt.NDArray[np.uint8], size: tuple[int, int], method: str) -> npt.NDArray[np.uint8]:
    """H x W x 1|3 uint8 to `size` (width, height) in Pillow's integer arithmetic, rounded and clamped between axes."""
    from PIL import Image  # takes a while to import

    given = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))
    made = np.asarray(given.resize(size, Image.Resampling[method.upper()]))
    return made.reshape(size[1], size[0], pixels.shape[-1])


def to_float(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """uint8 or uint16 pixels to float32 in 0..1; float32 as it is."""
    if pixels.dtype == np.float32:
        return pixels
    made = pixels.astype(np.float32)
    made /= np.float32(np.iinfo(pixels.dtype).max)
    return made


def to_dtype(pixels: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Float32 clamped to 0..1 and, for integer dtypes, scaled and rounded half to even."""
    if dtype == np.float32:
        return np.clip(pixels, 0.0, 1.0)
    out = np.empty(pixels.shape, dtype)
    for top in range(0, len(pixels), BAND):
        clamped = np.clip(pixels[top : top + BAND], 0.0, 1.0)
        out[top : top + BAND] = np.rint(clamped * np.float32(np.iinfo(dtype).max))
    return out
