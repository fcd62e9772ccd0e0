"""Networks that tell real images from generated ones; NCHW RGB float in 0..1 to logits, positive for real."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of LeakyReLU, in both papers
CELLS = 4
POWER_RATE = 0.02  # of the running means of features' power
POWER_FLOOR = 1e-4  # of a channel that is hardly ever active


class SrganDiscriminator(nn.Module):
    """SRGAN's: eight convolutions, four of them strided, then two dense layers (Ledig et al. 2017, figure 4).

    N x 3 x H x W, sides of at least 32 pixels, to N x 1.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.LeakyReLU(SLOPE)]
        inputs = channels
        for factor, stride in [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)]:
            outputs = factor * channels
            conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)  # the normalisation has the bias
            layers += [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE)]
            inputs = outputs
        self.convs = nn.Sequential(*layers)
        # Pooled to a fixed size, the map of a crop of any size fits the dense layer, and a large crop costs no weights.
        self.pool = nn.AdaptiveAvgPool2d(CELLS)
        width = 16 * channels
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs * CELLS**2, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.pool(self.convs(2 * image - 1)))
        return logits


class UNetDiscriminator(nn.Module):
    """A U-Net that judges every pixel (Schönfeld et al. 2020), spectrally normalised (Wang et al. 2021, Real-ESRGAN).

    N x 3 x H x W, sides of at least 8 pixels, to N x 1 x H x W.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        widths = [channels * 2**depth for depth in range(4)]
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.ModuleList(_normalised(a, b, 4, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_normalised(b, a, 3) for a, b in pairwise(widths))
        self.tail = nn.ModuleList(_normalised(channels, channels, 3) for _ in range(2))
        self.judge = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = F.leaky_relu(self.head(2 * image - 1), SLOPE)
        skips = []
        for conv in self.down:
            skips.append(x)
            x = F.leaky_relu(conv(x), SLOPE)
        for conv, skip in zip(reversed(self.up), reversed(skips), strict=True):
            # To the size of the skip, not twice as large: sides need not be multiples of 8.
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = F.leaky_relu(conv(x), SLOPE) + skip
        for conv in self.tail:
            x = F.leaky_relu(conv(x), SLOPE)
        logits: Tensor = self.judge(x)
        return logits


class FeatureDiscriminator(nn.Module):
    """Judges what a frozen classifier sees of an image, layer by layer (Sauer et al. 2021, Projected GAN).

    The classifier knows edges and texture already, so that the heads tell real from generated within a hundred steps.
    Takes features before ReLU of the layers in `widths`, N x C x H x W each; gives N x 1 x H x W for each.
    """

    def __init__(self, widths: Sequence[int], channels: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                _normalised(width, channels, 1),
                nn.LeakyReLU(SLOPE),
                _normalised(channels, channels, 3),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(channels, 1, 1),
            )
            for width in widths
        )
        for i, width in enumerate(widths):
            self.register_buffer(f"power{i}", torch.zeros(1, width, 1, 1))

    @torch.no_grad()
    def observe(self, real: Sequence[Tensor]) -> None:
        """Follow the mean power of each channel in real images, by which all features are scaled."""
        for i, features in enumerate(real):
            power, seen = self.get_buffer(f"power{i}"), features.float().square().mean((0, 2, 3), keepdim=True)
            power.lerp_(seen, POWER_RATE) if power.any() else power.copy_(seen)

    def forward(self, *features: Tensor) -> list[Tensor]:
        powers = (self.get_buffer(f"power{i}") for i in range(len(self.heads)))
        triples = zip(self.heads, features, powers, strict=True)
        return [head(x.float() * torch.where(power > 0, power + POWER_FLOOR, 1).rsqrt()) for head, x, power in triples]


def _normalised(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    """A convolution without bias whose largest singular value is kept at 1 (Miyato et al. 2018)."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding=min(1, kernel // 2), bias=False))


_CLASSES: dict[str, type[SrganDiscriminator] | type[UNetDiscriminator]] = {
    "srgan": SrganDiscriminator,
    "unet": UNetDiscriminator,
}
FEATURES = "features"  # the kind of FeatureDiscriminator
KINDS = (*_CLASSES, FEATURES)


def build(kind: str, channels: int, widths: Sequence[int] = ()) -> nn.Module:
    """An untrained discriminator of a kind in `KINDS`, initialised from torch's global random state.

    `widths`: channels of the layers that one of the kind `FEATURES` judges.
    """
    if kind == FEATURES:
        return FeatureDiscriminator(widths, channels)
    if kind not in _CLASSES:
        raise ValueError(f"discriminator {kind!r} is not known; it must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return _CLASSES[kind](channels)
