"""Fake quantization for quantization-aware training: what int8 does to a convolution's operands, with gradients.

Values are rounded as `fastsr.network.quantization` rounds them, and stay float. Gradients pass as if nothing had been
rounded, and stop where a value is clipped (the straight-through estimator: Bengio et al. 2013, Jacob et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastsr.network import quantization


class FakeQuantization:
    """Rounds one convolution's input as u8 over `low`..`high`, and its kernel as s8."""

    def __init__(self, low: float, high: float) -> None:
        scale, zero = quantization.activation_parameters(low, high)
        self.scale, self.zero = float(scale), int(zero)

    def __call__(self, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """`x` (NCHW) and `kernel` (output channels first), rounded."""
        rounded = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)
        # Kernels with scales for each row lose next to nothing.
        return rounded, kernel if quantization.by_rows(kernel.shape) else fake_quantized_kernel(kernel)


def fake_quantized_kernel(kernel: Tensor) -> Tensor:
    """Each output channel in steps of its largest weight / 127, as `quantization.quantized_weights` rounds."""
    exact = kernel.detach()
    largest = exact.abs().amax((1, 2, 3), keepdim=True) / 127
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    steps = (exact / scale).flatten(2)
    rounded = steps.round().clamp(-127, 127)
    error = steps - rounded
    missing = error.sum(-1, keepdim=True).round()
    place = (-error).argsort(dim=-1, stable=True).argsort(dim=-1, stable=True)
    rounded = rounded + (place < missing).to(rounded) - (place >= error.shape[-1] + missing).to(rounded)
    return kernel + (rounded.clamp(-127, 127).view_as(exact) * scale - exact)
