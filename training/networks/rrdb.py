"""Real-ESRGAN's x4plus as a teacher: a residual-in-residual dense network (Wang et al. 2018, ESRGAN, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastsr.importing import ncnn

SLOPE = 0.2  # of LeakyReLU
RESIDUAL = 0.2  # what a block adds to its input is scaled by this


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads all that came before it; + input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for conv in self.convs[:-1]:
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), SLOPE))
        made: Tensor = x + RESIDUAL * self.convs[-1](torch.cat(parts, 1))
        return made


class RRDB(nn.Module):
    """Three dense blocks; + input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + RESIDUAL * self.blocks(x)
        return made


class RRDBNet(nn.Module):
    """head, `depth` RRDBs with a skip around them, two nearest upsamplings by 2, tail; x4.

    NCHW float RGB in 0..1 to the same, four times as high and wide.
    """

    scale = 4

    def __init__(self, channels: int = 64, growth: int = 32, depth: int = 23) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(depth)))
        self.after, self.up1, self.up2, self.last = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(4))
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        start = self.head(x.contiguous(memory_format=torch.channels_last))
        features = start + self.after(self.body(start))
        for conv in (self.up1, self.up2):
            features = F.leaky_relu(conv(F.interpolate(features, scale_factor=2.0, mode="nearest")), SLOPE)
        made: Tensor = self.tail(F.leaky_relu(self.last(features), SLOPE))
        return made


class TeacherError(ValueError):
    """A teacher that cannot be used; the message says what was found and what is needed."""


def _convolutions(network: RRDBNet) -> Iterator[nn.Conv2d]:
    """In the order in which they run, which is that of an exported file."""
    yield network.head
    yield from (m for m in network.body.modules() if isinstance(m, nn.Conv2d))
    yield from (network.after, network.up1, network.up2, network.last, network.tail)


@torch.no_grad()
def from_ncnn(layers: list[ncnn.Layer], origin: str) -> RRDBNet:
    """The network with the weights of an ncnn file of x4plus's kind, whatever its depth. Raises TeacherError."""
    stored = [layer for layer in layers if layer.kind == "Convolution"]
    depth, rest = divmod(len(stored) - 6, 15)
    if rest or depth < 1:
        raise TeacherError(f"{origin}: {len(stored)} convolutions are no ESRGAN x4 network (6 + 15 for each block)")
    growth, channels = stored[1].whole(0), stored[0].whole(0)
    network = RRDBNet(channels, growth, depth)
    for conv, layer in zip(_convolutions(network), stored, strict=True):
        if len(layer.weights) != 2 or layer.weights[0].size != conv.weight.numel():
            raise TeacherError(f"{origin}: layer {layer.name} does not fit an ESRGAN x4 network")
        kind, slope = ncnn.activation(layer)
        if kind == "relu" or (kind == "leaky" and abs(slope - SLOPE) > 1e-6):
            raise TeacherError(f"{origin}: layer {layer.name} has another activation than an ESRGAN x4 network")
        conv.weight.copy_(torch.from_numpy(layer.weights[0]).view(conv.weight.shape))
        conv.bias.copy_(torch.from_numpy(layer.weights[1]))  # type: ignore[union-attr]
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
