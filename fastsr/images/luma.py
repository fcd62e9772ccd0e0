"""Images for networks of another number of channels: gray, and luma and chroma as JPEG has them (BT.601)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.images import resample

Floats = npt.NDArray[np.float32]

_RED, _BLUE = np.float32(0.299), np.float32(0.114)  # their shares of luma; the rest is green's
_GREEN = 1 - _RED - _BLUE
_CB, _CR = 2 - 2 * _BLUE, 2 - 2 * _RED  # blue and red less luma, for one unit of chroma


def split(pixels: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """H x W x 3 (RGB, of any dtype of images) as luma H x W x 1 in 0..1 and chroma H x W x 2 (Cb, Cr) in -0.5..0.5."""
    height, width = pixels.shape[:2]
    luma, chroma = np.empty((height, width, 1), np.float32), np.empty((height, width, 2), np.float32)
    for top in range(0, height, resample.BAND):
        rows = slice(top, top + resample.BAND)
        red, green, blue = np.moveaxis(resample.to_float(pixels[rows]), 2, 0)
        luma[rows, :, 0] = _RED * red + _GREEN * green + _BLUE * blue
        chroma[rows, :, 0] = (blue - luma[rows, :, 0]) / _CB
        chroma[rows, :, 1] = (red - luma[rows, :, 0]) / _CR
    return luma, chroma


def gray(made: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The mean of the three channels that a colour network makes of a gray image."""
    mean = np.empty((*made.shape[:2], 1), made.dtype)
    for top in range(0, len(made), resample.BAND):
        rows = slice(top, top + resample.BAND)
        mean[rows] = resample.to_dtype(resample.to_float(made[rows]).mean(axis=2, keepdims=True), made.dtype)
    return mean


def joined(luma: Floats, chroma: Floats, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The reverse: H x W x 3 in `dtype`, clamped."""
    made = np.empty((*luma.shape[:2], 3), dtype)
    for top in range(0, len(luma), resample.BAND):
        rows = slice(top, top + resample.BAND)
        y, (cb, cr) = luma[rows, :, 0], np.moveaxis(chroma[rows], 2, 0)
        red, blue = y + _CR * cr, y + _CB * cb
        green = y - (_RED * _CR * cr + _BLUE * _CB * cb) / _GREEN
        made[rows] = resample.to_dtype(np.stack([red, green, blue], axis=2), dtype)
    return made
