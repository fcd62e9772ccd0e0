"""Fidelity: on the luma channel, as super-resolution papers report it, and over all three channels."""

from __future__ import annotations

import torch
from torch import Tensor

from fastsr.importing import torchvision_operators

torchvision_operators.settle()  # torchmetrics imports torchvision where it is installed

from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure  # noqa: E402

# Luma of 8-bit RGB in 0..1, in 16..235 (ITU-R BT.601, as MATLAB's rgb2ycbcr).
LUMA = (65.481, 128.553, 24.966)
SSIM_WINDOW = 11


def luma(image: Tensor) -> Tensor:
    """Y in 16..235 of NCHW RGB in 0..1; N1HW float64."""
    weights = torch.tensor(LUMA, dtype=torch.float64, device=image.device)[:, None, None]
    return (image.double() * weights).sum(1, keepdim=True) + 16


def _rounded(image: Tensor) -> Tensor:
    return image.clamp(0, 1).mul(255).round()


def _inner(image: Tensor, border: int) -> Tensor:
    y = luma(_rounded(image).div(255))
    return y[..., border : y.shape[-2] - border, border : y.shape[-1] - border]


def psnr_y(made: Tensor, target: Tensor, border: int) -> float:
    """PSNR in dB of the luma of two NCHW RGB images in 0..1, rounded to 8 bits first, `border` pixels cut off."""
    return float(peak_signal_noise_ratio(_inner(made, border), _inner(target, border), data_range=255.0))


def psnr_rgb(made: Tensor, target: Tensor) -> float:
    """PSNR in dB over all samples of two NCHW RGB images in 0..1, rounded to 8 bits first; infinite for equal ones."""
    return float(peak_signal_noise_ratio(_rounded(made), _rounded(target), data_range=255.0))


def ssim_y(made: Tensor, target: Tensor, border: int) -> float:
    """SSIM of the luma, rounded and cut as `psnr_y`: 11x11 Gaussian window of sigma 1.5, kept inside the image.

    Wang et al. 2004. Sides must be at least 11 pixels after the cut.
    """
    _, local = structural_similarity_index_measure(
        _inner(made, border), _inner(target, border), sigma=1.5, data_range=255.0, return_full_image=True
    )
    inside = SSIM_WINDOW // 2  # torchmetrics mirrors the image at its edges; the definition does not
    return float(local[..., inside:-inside, inside:-inside].mean())
