"""High-resolution crops to low-resolution ones, on the device that holds them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def bicubic(high: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic downscale by an integer factor, rounded to 8 bits, as the test sets are made.

    NCHW float in 0..1 with sides divisible by `scale`. Cubic convolution with a = -0.5 over a support widened by
    `scale` (Keys 1981, as in MATLAB's imresize and Pillow's BICUBIC).
    """
    if high.shape[-1] % scale or high.shape[-2] % scale:
        raise ValueError(f"sides {tuple(high.shape[-2:])} are not multiples of the scale {scale}")
    low = F.interpolate(high, scale_factor=1 / scale, mode="bicubic", antialias=True, align_corners=False)
    return low.clamp(0, 1).mul(255).round().div(255)
