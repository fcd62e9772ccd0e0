"""The networks that are trained, and the plain form of them that is shipped."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import recipe


class CollapsibleConv3x3(nn.Module):
    """A 3x3 convolution trained as 3x3 -> `expansion` channels -> 1x1 (+ identity), folded in weight space each step.

    Only the folded kernel meets the image, so the over-parameterisation costs a small matrix product per step and
    nothing at run time (collapsible linear blocks: Bhardwaj et al. 2022, SESR).
    """

    identity: Tensor

    def __init__(self, inputs: int, outputs: int, expansion: int, gain: float = 1.0) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        fan = inputs * 9
        if expansion:
            self.spatial = nn.Parameter(torch.randn(expansion, fan) * math.sqrt(2 / fan))
            self.project = nn.Parameter(torch.randn(outputs, expansion) * (0.5 * gain / math.sqrt(expansion)))
        else:
            self.register_parameter("spatial", None)
            self.project = nn.Parameter(torch.randn(outputs, fan) * (gain * math.sqrt(2 / fan)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        identity = torch.zeros(outputs, inputs, 3, 3)
        if inputs == outputs:
            identity[range(outputs), range(inputs), 1, 1] = 1
        self.register_buffer("identity", identity, persistent=False)

    def kernel(self) -> Tensor:
        """The folded kernel, outputs x inputs x 3 x 3."""
        with torch.autocast(self.project.device.type, enabled=False):
            flat = self.project if self.spatial is None else self.project @ self.spatial
            return flat.view(self.outputs, self.inputs, 3, 3) + self.identity

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel().contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, kernel, self.bias, padding=1)

    def plain(self) -> nn.Conv2d:
        """The same function as an ordinary convolution."""
        conv = nn.Conv2d(self.inputs, self.outputs, 3, padding=1)
        conv.weight.data.copy_(self.kernel().detach())
        conv.bias.data.copy_(self.bias.detach())  # type: ignore[union-attr]
        return conv


class Compact(nn.Module):
    """conv 3->C, `depth` x (conv C->C + PReLU), conv C->3s^2, pixel shuffle, + the input repeated s x s.

    NCHW float RGB in 0..1, any height and width; output `scale` times larger. (The plain chain of Shi et al. 2016 with
    the anchor residual of Du et al. 2021.)
    """

    def __init__(self, scale: int, channels: int = 32, depth: int = 10, expansion: int = 128) -> None:
        super().__init__()
        self.scale = scale
        convs = [CollapsibleConv3x3(3, channels, expansion)]
        convs += [CollapsibleConv3x3(channels, channels, expansion) for _ in range(depth)]
        self.body: nn.ModuleList = nn.ModuleList(convs)
        self.activations = nn.ModuleList(nn.PReLU(channels, init=0.1) for _ in convs)
        self.tail: nn.Module = CollapsibleConv3x3(channels, 3 * scale**2, expansion, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        features = x.contiguous(memory_format=torch.channels_last)
        for conv, activation in zip(self.body, self.activations, strict=True):
            features = activation(conv(features))
        anchor = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return F.pixel_shuffle(self.tail(features).to(x.dtype), self.scale) + anchor

    @torch.no_grad()
    def plain(self) -> Compact:
        """A copy whose convolutions are ordinary ones, for export and inference."""
        made = Compact(self.scale, self.activations[0].num_parameters, len(self.body) - 1, 0)  # type: ignore[arg-type]
        made.body = nn.ModuleList(c.plain() for c in self.body)  # type: ignore[operator]
        made.tail = self.tail.plain()  # type: ignore[operator]
        made.activations = copy.deepcopy(self.activations)
        return made.eval()


def build(shape: recipe.Generator) -> Compact:
    """An untrained generator of the recipe's shape, initialised from torch's global random state."""
    return Compact(shape.scale, shape.channels, shape.depth, shape.expansion)
