"""What JPEG does to an image: the loss of baseline coding at a given quality, without the file (ITU-T T.81, JFIF)."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8

# ITU-T T.81 Annex K, tables K.1 and K.2: steps of the quantizer at quality 50, rows of rising vertical frequency.
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)

# Full-range luma and chroma of RGB (ITU-R BT.601, as JFIF 1.02 has it).
YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


def jpeg(images: Tensor, quality: Tensor, subsampled: bool = True) -> Tensor:
    """`images` as JPEG stores and shows them again, N3HW float in 0..1 at 8 bits; any height and width.

    `quality` holds each image's quality, N values in 1..100 on the same device, in the scale of the Independent JPEG
    Group's encoder. `subsampled` keeps chroma at half the resolution (4:2:0); without it, at the full one (4:4:4).
    """
    height, width = images.shape[-2:]
    to_ycbcr, from_ycbcr, luma_steps, chroma_steps = _constants(images.device)
    pixels = images.clamp(0, 1).mul(255).round()
    # Whole blocks of halved chroma: encoders repeat the last row and column.
    pixels = F.pad(pixels, (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK)), mode="replicate")
    ycbcr = torch.einsum("yc,nchw->nyhw", to_ycbcr, pixels).round()  # chroma around 0, not 128: the DCT wants it so
    luma, chroma = ycbcr[:, :1] - 128, ycbcr[:, 1:]
    if subsampled:
        chroma = F.avg_pool2d(chroma, 2).round()
    luma = _quantized(luma, scaled_steps(luma_steps, quality))
    chroma = _quantized(chroma, scaled_steps(chroma_steps, quality))
    if subsampled:
        # Cut first: what decoders interpolate at the border ends there too.
        chroma = chroma[..., : -(-height // 2), : -(-width // 2)]
        chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).round()
    ycbcr = torch.cat([luma[..., :height, :width] + 128, chroma[..., :height, :width]], dim=1)
    return torch.einsum("cy,nyhw->nchw", from_ycbcr, ycbcr).round().clamp(0, 255).div(255)


def scaled_steps(steps: Tensor, quality: Tensor) -> Tensor:
    """64 quantizer `steps` for each of N `quality` values, N x 64, as the Independent JPEG Group's encoder has them."""
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((steps * percent[:, None] + 50) / 100).floor().clamp(1, 255)


def _quantized(planes: Tensor, steps: Tensor) -> Tensor:
    """`planes` (NCHW, in -128..127) after the DCT of each 8x8 block is rounded to multiples of its `steps` (N x 64)."""
    transform, steps = _transform(planes.device), steps[:, None, :, None, None]
    blocks = F.pixel_unshuffle(planes[:, :, None], BLOCK)  # N x C x 64 x H/8 x W/8
    frequencies = torch.einsum("fp,ncphw->ncfhw", transform, blocks)
    frequencies = (frequencies / steps).round() * steps
    blocks = torch.einsum("fp,ncfhw->ncphw", transform, frequencies)
    return F.pixel_shuffle(blocks, BLOCK)[:, :, 0].round().clamp(-128, 127)


@functools.cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """RGB to YCbCr and back, luma and chroma steps; kept on the device, for a copy would wait for it."""
    to_ycbcr = torch.tensor(YCBCR, dtype=torch.float64)
    made = (to_ycbcr, to_ycbcr.inverse(), torch.tensor(LUMA_STEPS).flatten(), torch.tensor(CHROMA_STEPS).flatten())
    first, second, third, fourth = (t.to(device, torch.float32) for t in made)
    return first, second, third, fourth


@functools.cache
def _transform(device: torch.device) -> Tensor:
    """The orthonormal two-dimensional DCT-II of an 8x8 block as one 64 x 64 matrix (T.81, A.3.3)."""
    frequency = torch.arange(BLOCK, dtype=torch.float64)[:, None]
    position = torch.arange(BLOCK, dtype=torch.float64)
    rows = torch.cos((2 * position + 1) * frequency * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).to(device, torch.float32)
