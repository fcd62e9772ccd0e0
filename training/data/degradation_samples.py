"""A page of sample degradations, to be looked at."""

from __future__ import annotations

import random

import torch
from PIL import Image
from torch import Tensor

from training.data import degradation
from training.data.packed_images import PackedImages

DEGRADED = 5  # images per row besides the clean one
SIDE = 320  # of each image as drawn, pixels
GAP = 4


def render(data: PackedImages, settings: degradation.Degradation, scale: int, rows: int, seed: int) -> Image.Image:
    """A page of `rows` crops: at its left the clean bicubic image, then several degraded as `settings` say.

    All are low-resolution images enlarged `scale` times without interpolation; a seed always draws the same page.
    """
    degraded = degradation.build(settings, scale)
    generator = torch.Generator(data.device).manual_seed(seed)
    choices = random.Random(seed)
    side = min(SIDE, data.min_side) // scale * scale
    pitch = side + GAP
    page = Image.new("RGB", ((DEGRADED + 1) * pitch - GAP, rows * pitch - GAP), "white")
    for row, crop in enumerate(data.crops(rows, side, generator)):
        high = crop[None].float() / 255
        # One call each: what is chosen per batch differs along the row too.
        made = [degradation.bicubic(high, scale), *(degraded(high, generator, choices) for _ in range(DEGRADED))]
        for column, low in enumerate(made):
            page.paste(_image(low, scale), (column * pitch, row * pitch))
    return page


def _image(low: Tensor, scale: int) -> Image.Image:
    image = Image.fromarray(low[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy())
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
