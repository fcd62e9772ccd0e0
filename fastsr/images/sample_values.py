"""Values of samples as users have them, made into those that frames hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsr.errors import ImageError
from fastsr.images import resample

Array = np.ndarray[Any, np.dtype[Any]]


def settled(values: Array, name: str) -> Array:
    """Values of an array as frames have them: integers in the machine's order, floats as `checked_floats`."""
    return (
        checked_floats(values, name) if values.dtype.kind == "f" else values.astype(settled_dtype(values), copy=False)
    )


def settled_floats(values: Array, name: str) -> Array:
    """The same as float32 in 0..1."""
    return resample.to_float(settled(values, name))


def settled_dtype(values: Array) -> np.dtype[Any]:
    """The dtype that `settled` makes of such values."""
    return np.dtype(np.float32) if values.dtype.kind == "f" else values.dtype.newbyteorder("=")


def checked_floats(values: Array, name: str) -> Array:
    """Floats as float32, clipped to 0..1; ImageError for what is no image.

    Resampling filters overshoot: bicubic by a tenth, sharper ones by more. What lies within half of the range beyond it
    is taken for that.
    """
    if not np.isfinite(values).all():
        raise ImageError(f"{name}: holds NaN or infinite values; replace them, e.g. with numpy.nan_to_num")
    low, high = float(values.min()), float(values.max())
    if low < -0.5 or high > 1.5:
        raise ImageError(
            f"{name}: float values reach from {low:g} to {high:g}, expected 0..1; divide by 255 (8-bit data) "
            "or 65535 (16-bit data), or clip"
        )
    return np.clip(values.astype(np.float32), 0, 1)
