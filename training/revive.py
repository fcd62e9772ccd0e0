"""Channels of a trained chain that carry nothing, initialised anew without changing what the network does."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from training.generators import CollapsibleConv3x3, Compact

ONE_SIDED = 0.99  # share of samples on one side of the activation at which a channel counts as dead
SLOPE = 0.25


@torch.no_grad()
def revive(network: Compact, low: Tensor, generator: torch.Generator) -> list[int]:
    """Give the dead channels of the leading layers new random kernels; returns how many, layer by layer.

    A channel is dead while it is negative on nearly all of `low` (N x 3 x H x W) in every layer from the first: its
    signal shrinks by the PReLU's slope each time. The first layer in which it takes both sides again, or the tail,
    stops listening to it, so that the output stays (nearly) the same and training decides what it will be used for.
    """
    dead = _dead(network, low)
    silent = torch.zeros(3, dtype=torch.bool)  # inputs that carry nothing
    counts = []
    for layer, activation, now in zip(network.body, network.activations, dead, strict=True):
        conv = cast(CollapsibleConv3x3, layer)
        fan = conv.inputs * 9
        fresh = torch.randn(conv.identity.shape, generator=generator) * math.sqrt(2 / fan)
        fresh -= fresh.mean(dim=(2, 3), keepdim=True)  # answers to structure, not to brightness: takes both sides
        kernel = conv.kernel()
        kernel[:, silent] = 0
        kernel[now] = fresh[now]
        if now.any() or silent.any():
            set_kernel(conv, kernel, generator)
        conv.bias[now] = 0
        cast(nn.PReLU, activation).weight[now] = SLOPE
        counts.append(int(now.sum()))
        silent = now
    if silent.any():
        tail = cast(CollapsibleConv3x3, network.tail)
        kernel = tail.kernel()
        kernel[:, silent] = 0
        set_kernel(tail, kernel, generator)
    return counts


def _dead(network: Compact, low: Tensor) -> list[Tensor]:
    features = low
    alive: Tensor | None = None
    out = []
    for conv, activation in zip(network.body, network.activations, strict=True):
        made = conv(features)
        both = (made < 0).float().mean(dim=(0, 2, 3)) < ONE_SIDED
        alive = both if alive is None else alive | both
        features = activation(made)
        out.append(~alive)
    return out


def set_kernel(conv: CollapsibleConv3x3, kernel: Tensor, generator: torch.Generator) -> None:
    """Make `conv` fold to `kernel`: balanced factors by singular values, spare rows random behind zeros."""
    wanted = (kernel - conv.identity).flatten(1)
    if conv.spatial is None:
        conv.project.copy_(wanted)
        return
    u, s, v = torch.linalg.svd(wanted, full_matrices=False)
    rank, width = len(s), conv.spatial.shape[0]
    if rank > width:
        raise ValueError(f"an expansion of {width} cannot hold a kernel of rank {rank}")
    spare = torch.randn(width - rank, wanted.shape[1], generator=generator) * math.sqrt(1 / wanted.shape[1])
    conv.spatial.copy_(torch.cat([s.sqrt()[:, None] * v, spare]))
    conv.project.copy_(torch.cat([u * s.sqrt(), torch.zeros(len(u), width - rank)], dim=1))
