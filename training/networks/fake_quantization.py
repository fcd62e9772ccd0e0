"""What int8 does to a convolution's operands, in float and with gradients: quantisation-aware training.

Values are rounded to the levels of `fastsr.network.quantization`; gradients pass as if they were not, and stop where a
value is clipped (the straight-through estimator: Bengio et al. 2013, Jacob et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsr.network import quantization


class Levels:
    """The u8 levels of one convolution's input over `low`..`high`, and the s8 levels of its kernels."""

    def __init__(self, low: float, high: float) -> None:
        scale, zero = quantization.activation_parameters(low, high)
        self.scale, self.zero = float(scale), int(zero)

    def __call__(self, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """`x` (NCHW) and `kernel` (output channels first), rounded."""
        levels = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)
        # Rows with grids of their own lose next to nothing.
        return levels, kernel if quantization.by_rows(kernel.shape) else rounded_kernel(kernel)


def rounded_kernel(kernel: Tensor) -> Tensor:
    """Each output channel in steps of its largest weight / 127, as `quantization.quantized_weights` rounds."""
    exact = kernel.detach()
    largest = exact.abs().amax((1, 2, 3), keepdim=True) / 127
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    steps = (exact / scale).flatten(2)
    levels = steps.round().clamp(-127, 127)
    error = steps - levels
    missing = error.sum(-1, keepdim=True).round()
    place = (-error).argsort(dim=-1, stable=True).argsort(dim=-1, stable=True)
    levels = levels + (place < missing).to(levels) - (place >= error.shape[-1] + missing).to(levels)
    return kernel + (levels.clamp(-127, 127).view_as(exact) * scale - exact)
