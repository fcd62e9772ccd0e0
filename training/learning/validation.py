"""How good a generator is while it learns, on photographs set aside: the step that scores best is the one exported."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from training.data import degradation
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages
from training.data.pair_shards import PackedPairs
from training.learning import coarse_colors
from training.measure import metrics
from training.measure.lpips import Lpips
from training.networks import feature_networks

SIDE = 256  # of the middle of each photograph that is used, pixels
COUNT = 12  # photographs
SHALLOW = ("conv1_2", "conv2_2", "conv3_4")  # of the feature distance
BLUR, NOISE, QUALITY = (
    0.8,
    3.0,
    60,
)  # damage: sigma in pixels, sigma in 8-bit steps, JPEG quality; between mild and hard
GRID_PERIOD = 8  # pixels of the output: the blocks of an upsampler of 4 behind a fold of 2, and of smaller ones


class Validation:
    """Fixed inputs and what they should become, with the measures."""

    def __init__(self, photographs: Path, scale: int, weights: Path | None, device: torch.device | str) -> None:
        """`photographs`: packed, or a folder of pairs, whose damaged images are the input then.

        `weights`: folder of VGG19 and LPIPS; without it there is PSNR alone.
        """
        self.scale, self.device = scale, device
        self.originals, self.damaged = _pairs(photographs, scale) if photographs.is_dir() else _made(photographs, scale)
        self.lpips = Lpips(weights).to(device).eval() if weights is not None else None
        self.vgg = feature_networks.vgg19(weights).to(device) if weights is not None else None

    @torch.inference_mode()
    def measure(self, generator: Callable[[Tensor], Tensor]) -> tuple[dict[str, float], list[Tensor]]:
        """Means over the photographs, and the images made.

        `psnr` (dB, luma), `grid` (see `grid`; about 1 for a photograph), `drift` (of the mean colour, levels of 255),
        and with weights `lpips` and `features`: see `feature_distance`. `score`, the less the better: lpips + features,
        else -psnr.
        """
        made = [generator(low.to(self.device)).float().clamp(0, 1) for low in self.damaged]
        rows = []
        for image, original in zip(made, self.originals, strict=True):
            target = original.to(self.device)
            row = {"psnr": metrics.psnr_y(image, target, self.scale), "grid": grid(image)}
            row["drift"] = coarse_colors.drift(image, target)
            if self.lpips is not None and self.vgg is not None:
                row["lpips"] = float(self.lpips(image, target))
                row["features"] = feature_distance(self.vgg, image, target)
            rows.append(row)
        means = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        return means | {"score": means["lpips"] + means["features"] if self.lpips else -means["psnr"]}, made


def _made(photographs: Path, scale: int) -> tuple[list[Tensor], list[Tensor]]:
    """Originals and damaged images of a pack, evenly chosen."""
    packed = PackedImages(photographs)
    every = max(1, packed.count // COUNT)
    originals = [_middle(packed.image(i), scale) for i in range(0, every * min(COUNT, packed.count), every)]
    return originals, [_damaged(original, scale, i) for i, original in enumerate(originals)]


def _pairs(folder: Path, scale: int) -> tuple[list[Tensor], list[Tensor]]:
    """Originals and damaged images of a folder of pairs, whose scale is a multiple of `scale`."""
    packed = PackedPairs(folder)
    if packed.scale % scale:
        raise DataError(f"{folder}: its pairs are for scale {packed.scale}, the recipe's generator for {scale}")
    originals, damaged = [], []
    for pair in packed.pairs():
        original = _middle(pair.original, packed.scale)
        damaged.append(_middle(pair.low, 1, SIDE // packed.scale))
        originals.append(degradation.bicubic(original, packed.scale // scale) if packed.scale != scale else original)
    return originals, damaged


def _middle(image: Tensor, scale: int, most: int = SIDE) -> Tensor:
    """The middle of a uint8 H x W x 3 image as 1 x 3 x H x W in 0..1, at most `most` wide and high."""
    height, width = (min(most, side) // (4 * scale) * 4 * scale for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width].permute(2, 0, 1)[None].float() / 255


def _damaged(original: Tensor, scale: int, number: int) -> Tensor:
    """Made small by bicubic, blurred, noisy, and through a real JPEG encoder; every third is only made small."""
    low = degradation.bicubic(original, scale)
    if number % 3 == 2:
        return low
    sigma = torch.tensor([BLUR])
    low = degradation.convolve(low, degradation.gaussian_kernels(sigma, sigma, torch.zeros(1), 7))
    draws = torch.Generator().manual_seed(number)
    low = low + degradation.gaussian_noise(low, torch.tensor(NOISE / 255), draws)
    file = io.BytesIO()
    pixels = low[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    with Image.open(file) as stored:
        return torch.from_numpy(np.array(stored)).permute(2, 0, 1)[None].float() / 255


def feature_distance(vgg: feature_networks.Features, made: Tensor, target: Tensor) -> float:
    """1 - cosine similarity of VGG19's features after ReLU, a mean over pixels and the layers SHALLOW.

    Not what the content loss measures (L1 before ReLU), so that a generator that games the loss does not score by it.
    """
    pairs = zip(vgg(made, SHALLOW), vgg(target, SHALLOW), strict=True)
    distances = [1 - F.cosine_similarity(F.relu(a), F.relu(b), dim=1).mean() for a, b in pairs]
    return float(sum(distances)) / len(distances)


def grid(image: Tensor) -> float:
    """Energy of the luma at frequencies, across or down, of multiples of 1/8 cycle a pixel, over that beside them.

    About 1 for a photograph: a grid of an upsampler's blocks shows as a peak in the spectrum there.
    """
    luma = metrics.luma(image)
    height, width = (side // GRID_PERIOD * GRID_PERIOD for side in luma.shape[-2:])
    luma = luma[..., :height, :width]
    window = torch.outer(torch.hann_window(height), torch.hann_window(width)).to(luma)
    energy = torch.fft.fft2((luma - luma.mean()) * window).abs().square()[0, 0]
    peaks = beside = 0.0
    for spectrum, length in ((energy.sum(0), width), (energy.sum(1), height)):
        for multiple in range(1, GRID_PERIOD // 2 + 1):
            at = multiple * length // GRID_PERIOD
            peaks += float(spectrum[at - 1 : at + 2].mean())
            beside += float(torch.cat([spectrum[at - 7 : at - 3], spectrum[at + 4 : at + 8]]).mean())
    return peaks / beside
