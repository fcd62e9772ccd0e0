"""Colours for transparent pixels, so that an enlarged image shows no fringe of what was hidden there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.images import resample

Floats = npt.NDArray[np.float32]


def spread(color: npt.NDArray[Any], alpha: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`bleed` for the colours and the alpha of a frame, in their dtype."""
    return resample.to_dtype(bleed(resample.to_float(color), resample.to_float(alpha)), color.dtype)


def bleed(color: Floats, alpha: Floats) -> Floats:
    """Visible colours spread into what is transparent: opaque pixels stay, hidden colours have no influence.

    `color` H x W x C and `alpha` H x W x 1, float32 in 0..1, straight. Averages of premultiplied colour are pulled up a
    pyramid and pushed back down into the pixels, each in the measure of its transparency (Gortler et al. 1996, The
    Lumigraph, section 3.4). Black where nothing is visible at all.
    """
    premultiplied, weight = color * alpha, alpha
    pyramid: list[tuple[Floats, Floats]] = []
    while True:
        pyramid.append((premultiplied, weight))
        height, width = weight.shape[:2]
        if height == width == 1:
            break
        half = max(1, (width + 1) // 2), max(1, (height + 1) // 2)
        premultiplied = resample.resize(premultiplied, half, "bilinear")
        weight = resample.resize(weight, half, "bilinear")
        # The weight of an average may grow to 1: a half-covered one is as good a colour as a full one.
        gain = np.minimum(2.0, 1.0 / np.maximum(weight, 0.5)).astype(np.float32)
        premultiplied, weight = premultiplied * gain, weight * gain
    premultiplied, weight = pyramid.pop()
    filled = np.divide(premultiplied, weight, out=np.zeros_like(premultiplied), where=weight > 0)
    for premultiplied, weight in reversed(pyramid):
        below = resample.resize(filled, (weight.shape[1], weight.shape[0]), "bilinear")
        filled = premultiplied + (1 - weight) * below
    return filled
