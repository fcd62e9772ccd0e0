"""Colours of a coarse grid of cells: what a teacher's images may get wrong, however sharp they are."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

CELL = 32  # pixels of a side


def in_colors_of(original: Tensor, taught: Tensor) -> Tensor:
    """The teacher's images with the mean colours of each of the originals' cells; N x 3 x H x W in 0..1, all of a size.

    Real-ESRGAN's x4plus turns those of some photographs by six levels of 255, which a student would learn.
    """
    height, width = original.shape[-2:]
    cells = -(-height // CELL), -(-width // CELL)
    lacking = F.interpolate(original - taught, size=cells, mode="area")
    return (taught + F.interpolate(lacking, size=(height, width), mode="bilinear")).clamp(0, 1)


def drift(made: Tensor, original: Tensor) -> float:
    """How far the mean colour of images is off, in levels of 255: a mean over images and channels."""
    return float((made - original).mean((-2, -1)).abs().mean()) * 255
