"""Pairs of drawn licence plates for training: pictures with some plates each, and what a bad camera makes of them."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data import degradation, pair_shards, plate_fonts, plate_scenes
from training.data.packed_images import PackedImages
from training.data.plate_layouts import LAYOUTS

KIND = "plates"  # the name of these pairs
SCALE = 4
SIZE = (384, 256)  # of an original, pixels
WIDTHS = (88.0, 330.0)  # of plates in it: 22 to 82 pixels of the input
NIGHT = 0.25  # share of pictures
MOVING, MOTION = 0.25, (0.5, 2.0)  # share of pictures with motion blur, and its length in pixels of the input
DEFOCUSED, DISC = 0.2, (0.3, 1.0)  # share out of focus, and the radius in pixels of the input
NIGHT_NOISE = (4.0, 30.0)  # sigma before the picture is made small, in 8-bit steps
SHARD = 16  # pairs


def draw(
    photographs: PackedImages | None,
    settings: degradation.Degradation,
    folder: Path,
    count: int,
    seed: int,
    fonts: Sequence[str] = tuple(plate_fonts.FONTS),
) -> int:
    """Draw pairs until `folder` holds `count`, going on where an earlier call stopped; how many there are.

    A pair depends on `seed` and its number, the photographs and the fonts alone. `photographs`: what lies behind some
    of the plates. `settings`: what the input suffers after it was moved or out of focus. Raises DataError where a font
    is missing.
    """
    plate_fonts.check(tuple(fonts))
    damage = degradation.build(settings, SCALE)
    about = {"drawn": KIND, "scale": SCALE, "degradation": dataclasses.asdict(settings), "seed": seed}

    def make(index: int) -> pair_shards.Pair:
        draws = random.Random(f"{seed}/{KIND}/{index}")
        night = draws.random() < NIGHT
        original = picture(photographs, fonts, night, draws)
        low = damaged(original, damage, night, draws)
        return pair_shards.Pair(low, original, original)

    return pair_shards.fill(folder, make, count, about, SHARD, KIND)


def picture(photographs: PackedImages | None, fonts: Sequence[str], night: bool, draws: random.Random) -> Tensor:
    """Plates on parts of cars, side by side; uint8, H x W x 3 of SIZE."""
    width = math.exp(draws.uniform(math.log(WIDTHS[0]), math.log(WIDTHS[1])))
    columns = max(1, int(SIZE[0] / (1.12 * width + 12)))
    rows = 1 if width > 210 else 2 if width > 110 else 3
    edges = [round(i * SIZE[0] / columns) for i in range(columns + 1)]
    lines = [round(i * SIZE[1] / rows) for i in range(rows + 1)]
    made = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    for i in range(columns):
        for k in range(rows):
            size = edges[i + 1] - edges[i], lines[k + 1] - lines[k]
            seen = plate_scenes.view(
                size,
                min(width * draws.uniform(0.85, 1.0), 0.94 * size[0]),
                draws.choice(LAYOUTS),
                draws.choice(fonts),
                draws,
                night,
                _behind(photographs, size, draws),
            )
            made[lines[k] : lines[k + 1], edges[i] : edges[i + 1]] = seen.image
    return torch.from_numpy(made)


def _behind(
    photographs: PackedImages | None, size: tuple[int, int], draws: random.Random
) -> plate_scenes.Pixels | None:
    """A part of a photograph, where one is large enough."""
    if photographs is None:
        return None
    image = photographs.image(draws.randrange(photographs.count))
    room = image.shape[1] - size[0], image.shape[0] - size[1]
    if min(room) < 0:
        return None
    left, top = (draws.randint(0, most) for most in room)
    part: plate_scenes.Pixels = image[top : top + size[1], left : left + size[0]].numpy()
    return part


def damaged(original: Tensor, damage: degradation.Degrade, night: bool, draws: random.Random) -> Tensor:
    """What a moving camera that is out of focus makes of a picture, then `damage`; uint8, 1/SCALE of its size."""
    image = original.permute(2, 0, 1)[None].float() / 255
    if draws.random() < MOVING:
        image = degradation.convolve(image, motion_kernel(draws.uniform(*MOTION) * SCALE, _direction(draws)))
    if draws.random() < DEFOCUSED:
        image = degradation.convolve(image, disc_kernel(draws.uniform(*DISC) * SCALE))
    noise = torch.Generator().manual_seed(draws.getrandbits(63))
    if night:
        sigma = torch.tensor(draws.uniform(*NIGHT_NOISE) / 255)
        image = (image + degradation.gaussian_noise(image, sigma, noise)).clamp(0, 1)
    low = damage(image, noise, draws)
    return low[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()


def _direction(draws: random.Random) -> float:
    """Cars pass by more often than cameras shake: radians from x towards y."""
    return draws.gauss(0, 0.2) if draws.random() < 0.7 else draws.uniform(0, math.pi)


def motion_kernel(length: float, angle: float) -> Tensor:
    """A line of a sum of 1, 1 x K x K: `length` in pixels, `angle` in radians from x (right) towards y (down)."""
    radius = math.ceil(length / 2) + 1
    ramp = torch.arange(-radius, radius + 1.0)
    along = math.cos(angle) * ramp[None, :] + math.sin(angle) * ramp[:, None]
    across = math.cos(angle) * ramp[:, None] - math.sin(angle) * ramp[None, :]
    kernel = (length / 2 + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp(0, 1)
    return (kernel / kernel.sum())[None]


def disc_kernel(radius: float) -> Tensor:
    """A disc of a sum of 1, 1 x K x K; `radius` in pixels."""
    reach = math.ceil(radius) + 1
    ramp = torch.arange(-reach, reach + 1.0)
    kernel = (radius + 0.5 - (ramp[None, :] ** 2 + ramp[:, None] ** 2).sqrt()).clamp(0, 1)
    return (kernel / kernel.sum())[None]
