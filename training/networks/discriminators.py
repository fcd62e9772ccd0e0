"""Networks that tell real images from generated ones; NCHW RGB float in 0..1 to logits, positive for real."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of LeakyReLU, in both papers
CELLS = 4


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


def _normalised(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    """A convolution without bias whose largest singular value is kept at 1 (Miyato et al. 2018)."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding=1, bias=False))


_CLASSES: dict[str, type[SrganDiscriminator] | type[UNetDiscriminator]] = {
    "srgan": SrganDiscriminator,
    "unet": UNetDiscriminator,
}
KINDS = tuple(_CLASSES)


def build(kind: str, channels: int) -> nn.Module:
    """An untrained discriminator of a kind in `KINDS`, initialised from torch's global random state."""
    if kind not in _CLASSES:
        raise ValueError(f"discriminator {kind!r} is not known; it must be {' or '.join(KINDS)}")
    return _CLASSES[kind](channels)
