"""Modules of spandrel's networks that the exporter cannot write, or writes in roundabout ways, in forms that it can."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional


def exportable(model: nn.Module) -> tuple[nn.Module, int]:
    """A copy of a network that can be exported, and of which number sides must be multiples for it to be the same."""
    copied = copy.deepcopy(model)
    step = 1
    for module in list(copied.modules()):
        if type(module).__name__ == "PLKConv2d":  # evaluated, it writes into a part of its input; in training it splits
            module.training = True
        for name, child in module.named_children():
            replace = _REPLACED.get(type(child).__name__)
            if replace is None:
                continue
            made = replace(child)
            setattr(module, name, made)
            if isinstance(made, _Pooled):
                step = math.lcm(step, made.multiple)
    return copied, step


def _folded(block: Any) -> nn.Module:
    """SPAN's block of convolutions, which folds its kernels anew at every call, as the one that it computes."""
    block.update_params()
    return nn.Sequential(block.eval_conv, nn.LeakyReLU(0.05)) if block.has_relu else block.eval_conv


class _Sampled(nn.Module):
    """DySample, whose own form writes the size of the image that it is exported with into the file."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        block = self.block
        count, deep, height, width = image.shape
        scale, groups = block.scale, block.groups
        offset = block.offset(image) * block.scope(image).sigmoid() * 0.5 + block.init_pos
        columns, rows = offset.chunk(2, 1)
        columns = columns + torch.arange(width).to(image).add(0.5).reshape(1, 1, 1, -1)
        rows = rows + torch.arange(height).to(image).add(0.5).reshape(1, 1, -1, 1)
        places = torch.stack(
            [
                functional.pixel_shuffle(columns * 2 / width - 1, scale),
                functional.pixel_shuffle(rows * 2 / height - 1, scale),
            ],
            4,
        )
        made = functional.grid_sample(
            image.reshape(count * groups, deep // groups, height, width),
            places.flatten(0, 1),
            padding_mode="border",
            align_corners=False,
        )
        made = made.reshape(count, deep, height * scale, width * scale)
        return block.end_conv(made) if block.end_convolution else made


class _Pooled(nn.Module):
    """SAFMN's modulation by maxima of blocks, for sides that are multiples of the largest block.

    Its own form pools to a number of blocks, which then need not all be of one size.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block
        self.multiple = 2 ** (block.n_levels - 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        block, made = self.block, []
        for level, part in enumerate(image.chunk(block.n_levels, 1)):
            side = 2**level
            if level == 0:
                made.append(block.mfr[0](part))
                continue
            small = block.mfr[level](functional.max_pool2d(part, side))
            made.append(functional.interpolate(small, scale_factor=float(side), mode="nearest"))
        weights: torch.Tensor = block.act(block.aggr(torch.cat(made, 1)))
        return weights * image


_REPLACED: dict[str, Callable[[Any], nn.Module]] = {"Conv3XC": _folded, "DySample": _Sampled, "SAFM": _Pooled}
