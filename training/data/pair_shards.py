"""Pairs for learning from a teacher: damaged low-resolution images, the teacher's large ones, and the originals.

A folder holds shards `00000.safetensors`, ..., each whole or absent. A shard has the images one after the other in row
order, uint8: `low` (P x 3), `taught` and `original` (scale^2 * P x 3); and `sizes`, int64 N x 2: height and width of
the low-resolution images.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from fastsr import files
from training.data.image_folders import DataError
from training.data.packed_images import cut

KINDS = ("low", "taught", "original")


class Pair(NamedTuple):
    """One photograph as a student sees it; uint8, H x W x 3, `taught` and `original` `scale` times larger."""

    low: Tensor
    taught: Tensor
    original: Tensor


class Crops(NamedTuple):
    """What a step of training sees: uint8 NCHW."""

    low: Tensor
    taught: Tensor
    original: Tensor


def shard(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"{number:05d}.safetensors"


def shards(folder: Path) -> list[Path]:
    """The shards that exist, in order; those behind a gap are not counted."""
    found: list[Path] = []
    while shard(folder, len(found)).is_file():
        found.append(shard(folder, len(found)))
    return found


def write(path: Path, pairs: Sequence[Pair], about: dict[str, Any]) -> None:
    """Write a shard, whole or not at all; `about` (JSON-able) says how it was made."""
    tensors = {k: torch.cat([getattr(pair, k).reshape(-1, 3) for pair in pairs]).contiguous() for k in KINDS}
    tensors["sizes"] = torch.tensor([pair.low.shape[:2] for pair in pairs])
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"about": json.dumps(about)})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A shard's tensors and how it was made. Raises DataError for a damaged file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            return {key: file.get_tensor(key) for key in (*KINDS, "sizes")}, about
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a readable shard of pairs ({error}); delete it and run teach again") from None


def held(folder: Path) -> int:
    """How many pairs a folder holds."""
    return sum(len(read(path)[0]["sizes"]) for path in shards(folder))


def fill(
    folder: Path, make: Callable[[int], Pair], count: int, about: dict[str, Any], of_a_shard: int, title: str
) -> int:
    """Write what `make` gives for each number until `folder` holds `count` pairs, from those on that it holds already.

    `title` stands before the progress bar. Returns how many pairs there are.
    """
    done, number = held(folder), len(shards(folder))
    waiting: list[Pair] = []
    for index in tqdm(range(done, count), title, count, initial=done, unit="pair", mininterval=10):
        waiting.append(make(index))
        if len(waiting) == of_a_shard or index == count - 1:
            write(shard(folder, number), waiting, about)
            number, waiting = number + 1, []
    return max(done, count)


@dataclasses.dataclass
class _Shard:
    pixels: dict[str, Tensor]
    sizes: Tensor
    offsets: Tensor

    def pairs(self, scale: int) -> Iterator[Pair]:
        """Its pairs, in the order in which they were made."""
        for (height, width), offset in zip(self.sizes.tolist(), self.offsets.tolist(), strict=True):
            views = []
            for key in KINDS:
                s = 1 if key == "low" else scale
                area = self.pixels[key][offset * s * s : (offset + height * width) * s * s]
                views.append(area.view(height * s, width * s, 3))
            yield Pair(*views)


def pairs_of(path: Path) -> Iterator[tuple[Pair, int]]:
    """The pairs of one shard, each with its scale. Raises DataError for a damaged file."""
    tensors, about = read(path)
    for pair in _shard_of(tensors).pairs(about["scale"]):
        yield pair, about["scale"]


def _shard_of(tensors: dict[str, Tensor]) -> _Shard:
    sizes = tensors["sizes"]
    areas = sizes.prod(1)
    return _Shard({key: tensors[key] for key in KINDS}, sizes, areas.cumsum(0) - areas)


class PackedPairs:
    """The pairs of a folder in host memory; draws augmented random crops. New shards are taken up by `refresh`."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """Load the shards in `folder`. Raises DataError where there are none."""
        self.folder, self.device = folder, torch.device(device)
        self.scale = 0
        self._shards: list[_Shard] = []
        self.refresh()
        if not self._shards:
            raise DataError(f"{folder}: no pairs here; make them with: python -m training teach TEACHER -o {folder}")

    def refresh(self) -> int:
        """Load shards that were added since; how many pairs there are now."""
        for path in shards(self.folder)[len(self._shards) :]:
            tensors, about = read(path)
            if self.scale not in (0, about["scale"]):
                raise DataError(f"{path}: is for scale {about['scale']}, the shards before it for {self.scale}")
            self.scale = about["scale"]
            # A mapped file would fault at each page that a crop is the first to touch.
            self._shards.append(_shard_of({key: value.clone() for key, value in tensors.items()}))
        owner = [torch.full((len(s.sizes),), i) for i, s in enumerate(self._shards)]
        if owner:
            self._owner = torch.cat(owner)
            self._sizes = torch.cat([s.sizes for s in self._shards])
            self._offsets = torch.cat([s.offsets for s in self._shards])
            self._ends = self._sizes.prod(1).cumsum(0)
        return self.count

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return sum(len(s.sizes) for s in self._shards)

    def crops(
        self, batch: int, side: int, generator: torch.Generator, detail: float = 0.0, upright: bool = False
    ) -> Crops:
        """`batch` random crops of `side` low-resolution pixels, flipped and transposed at random unless `upright`.

        A share `detail` of them is the one of two draws that has more of it (mean difference of neighbours in the
        teacher's image), so that a batch is not half sky. `generator` is the host's.
        """
        least = int(self._sizes.min())
        if side > least:
            raise DataError(f"crops of {side} pixels do not fit low-resolution images of {least}: lower data.crop")
        draws = [_parts(self._draw(batch, side, generator, upright)) for _ in range(2 if detail else 1)]
        if not detail:
            return self._cut(draws[0], side)
        chosen = torch.rand(batch, generator=generator) < detail
        first, second = (self._cut(d, side) for d in draws)
        take = (chosen & (_busyness(second.taught) > _busyness(first.taught)))[:, None, None, None]
        return Crops(*(torch.where(take, b, a) for a, b in zip(first, second, strict=True)))

    def _draw(self, batch: int, side: int, generator: torch.Generator, upright: bool) -> Tensor:
        """Which image, top, left, symmetry: int64, 4 x batch. Images are drawn by their area."""
        draw = torch.rand(4, batch, generator=generator, dtype=torch.float64)
        image = torch.searchsorted(self._ends, (draw[0] * self._ends[-1]).long(), right=True)
        height, width = self._sizes[image].unbind(1)
        top, left = (draw[1] * (height - side + 1)).long(), (draw[2] * (width - side + 1)).long()
        return torch.stack([image, top, left, (draw[3] * (1 if upright else 8)).long()])

    def _cut(self, draws: Iterator[list[int]], side: int) -> Crops:
        made: dict[str, list[Tensor]] = {key: [] for key in KINDS}
        for image, top, left, symmetry in draws:
            holder, width, offset = self._shards[self._owner[image]], int(self._sizes[image, 1]), self._offsets[image]
            for key in KINDS:
                s = 1 if key == "low" else self.scale
                start = int(offset) * s * s + top * s * width * s + left * s
                made[key].append(cut(holder.pixels[key], start, width * s, side * s, symmetry))
        return Crops(*(torch.stack(made[key]).permute(0, 3, 1, 2).to(self.device) for key in KINDS))

    def pairs(self) -> Iterator[Pair]:
        """Every pair, in the order in which they were made."""
        for holder in self._shards:
            yield from holder.pairs(self.scale)


def _parts(draws: Tensor) -> Iterator[list[int]]:
    return iter(draws.T.tolist())


def _busyness(images: Tensor) -> Tensor:
    """Mean difference of neighbouring pixels of each image."""
    values = images[..., ::2, ::2].float()
    return (values[..., 1:] - values[..., :-1]).abs().mean((1, 2, 3)) + (
        values[..., 1:, :] - values[..., :-1, :]
    ).abs().mean((1, 2, 3))
