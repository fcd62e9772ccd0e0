"""Packed images: photographs decoded once into one file, then cropped at random in host or GPU memory."""

from __future__ import annotations

import fnmatch
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor
from tqdm import tqdm

from fastsr import files
from training.data.image_folders import DataError, find_images


def pack(
    sources: Iterable[Path],
    target: Path,
    min_side: int = 128,
    without: Sequence[str] = (),
    only: Sequence[str] = ("*",),
) -> int:
    """Decode every image under `sources` into one safetensors file; returns how many were packed.

    Images whose names match a pattern of `without` (fnmatch), or none of `only`, are left out.

    The file holds `pixels` (uint8, P x 3: all images in row order, one after the other) and `sizes` (int64, N x 2:
    height, width). Images with a side below `min_side` or that cannot be decoded are skipped, with a message.
    """
    found = find_images(list(sources))
    paths = [path for path in found if _matches(path, only) and not _matches(path, without)]
    sizes: list[tuple[int, int]] = []
    names: list[str] = []
    skipped: list[str] = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=target.parent) as spool:
        for path in tqdm(paths, desc="decode", unit="image"):
            try:
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB"))
            except (OSError, ValueError) as error:
                skipped.append(f"{path}: {error}")
                continue
            if min(pixels.shape[:2]) < min_side:
                skipped.append(f"{path}: {pixels.shape[1]}x{pixels.shape[0]} is smaller than {min_side}")
                continue
            spool.write(pixels.tobytes())
            sizes.append((pixels.shape[0], pixels.shape[1]))
            names.append(path.name)
        if not sizes:
            first = skipped[0] if skipped else f"{found[0]}: is set aside"
            raise DataError(f"none of {len(found)} files could be packed; first: {first}")
        spool.flush()
        count = sum(h * w for h, w in sizes)
        flat = np.memmap(spool, dtype=np.uint8, mode="r", shape=(count, 3))
        arrays: dict[str, np.ndarray[Any, Any]] = {"pixels": flat, "sizes": np.array(sizes, dtype=np.int64)}
        with files.replacing(target) as temporary:
            save_file(arrays, temporary, metadata={"names": json.dumps(names)})
    for line in skipped:
        tqdm.write(f"skipped {line}")
    return len(sizes)


def _matches(path: Path, names: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(path.name, pattern) for pattern in names)


class PackedImages:
    """Images resident on one device; draws augmented random crops with index arithmetic, without touching the host."""

    def __init__(self, path: Path, device: torch.device | str = "cpu", holdout: int = 0) -> None:
        """Load `path` (see `pack`). The last `holdout` images of a fixed shuffle are kept out of `crops`."""
        if not path.is_file():
            raise DataError(f"{path}: no packed data here; make it with: python -m training prepare FOLDER -o {path}")
        with safe_open(str(path), framework="pt", device=str(device)) as file:
            # A mapped file would fault at each page that a crop is the first to touch.
            self.pixels: Tensor = file.get_tensor("pixels").clone()
            sizes = file.get_tensor("sizes").cpu()
        if holdout >= len(sizes):
            raise DataError(f"{path}: cannot hold out {holdout} of {len(sizes)} images")
        areas = sizes.prod(1)
        offsets = areas.cumsum(0) - areas
        shuffle = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(0))
        kept, self._held = shuffle[: len(sizes) - holdout], shuffle[len(sizes) - holdout :]
        self._sizes, self._offsets = sizes, offsets
        self.device = self.pixels.device
        self._kept_sizes = sizes[kept].to(self.device)
        self._kept_offsets = offsets[kept].to(self.device)
        self._ends = areas[kept].cumsum(0).to(self.device)
        self.min_side = int(sizes.min())
        self.count = len(kept)

    def crops(self, batch: int, side: int, generator: torch.Generator, part: slice = slice(None)) -> Tensor:
        """`batch` random crops as uint8 NCHW, flipped and transposed at random; images are drawn by their area.

        Only `part` of the batch is cut out, for several processes that draw the same batch.
        """
        if side > self.min_side:
            raise DataError(f"crops of {side} pixels do not fit images of {self.min_side}: lower data.crop or repack")
        draw = torch.rand(4, batch, generator=generator, device=self.device, dtype=torch.float64)[:, part]
        image = torch.searchsorted(self._ends, (draw[0] * self._ends[-1]).long(), right=True)
        height, width = self._kept_sizes[image].unbind(1)
        top = (draw[1] * (height - side + 1)).long()
        left = (draw[2] * (width - side + 1)).long()
        symmetry = (draw[3] * 8).long()  # one of the square's eight symmetries: flip y, flip x, transpose
        start = self._kept_offsets[image] + top * width + left
        gather = _slices if self.device.type == "cpu" else _gather
        return gather(self.pixels, start, width, side, symmetry).permute(0, 3, 1, 2)

    def image(self, index: int) -> Tensor:
        """One of the images that are not held out, uint8 H x W x 3."""
        (height, width), offset = self._kept_sizes[index].tolist(), int(self._kept_offsets[index])
        return self.pixels[offset : offset + height * width].view(height, width, 3)

    def held_out(self, side: int) -> list[Tensor]:
        """Centre crops (at most `side` wide and high) of the held-out images, uint8 1x3xHxW."""
        out = []
        for i in self._held.tolist():
            h, w = self._sizes[i].tolist()
            image = self.pixels[self._offsets[i] : self._offsets[i] + h * w].view(h, w, 3)
            ch, cw = min(side, h), min(side, w)
            top, left = (h - ch) // 2, (w - cw) // 2
            out.append(image[top : top + ch, left : left + cw].permute(2, 0, 1)[None].contiguous())
        return out


def _gather(pixels: Tensor, start: Tensor, width: Tensor, side: int, symmetry: Tensor) -> Tensor:
    """Squares of `side` whose first pixels lie at `start` in images of `width`, N x side x side x 3; one gather."""
    ramp = torch.arange(side, device=pixels.device)
    rows = torch.where((symmetry & 1).bool()[:, None], side - 1 - ramp, ramp)
    columns = torch.where((symmetry & 2).bool()[:, None], side - 1 - ramp, ramp)
    turned = (symmetry & 4).bool()[:, None, None]
    y = torch.where(turned, rows[:, None, :], rows[:, :, None])
    x = torch.where(turned, columns[:, :, None], columns[:, None, :])
    return pixels[start[:, None, None] + y * width[:, None, None] + x]


def _slices(pixels: Tensor, start: Tensor, width: Tensor, side: int, symmetry: Tensor) -> Tensor:
    """What `_gather` returns, copied row by row: many times faster where the host is the device."""
    draws = zip(start.tolist(), width.tolist(), symmetry.tolist(), strict=True)
    return torch.stack([cut(pixels, first, stride, side, bits) for first, stride, bits in draws])


def cut(pixels: Tensor, start: int, width: int, side: int, symmetry: int) -> Tensor:
    """The square of `side` whose first pixel lies at `start` in an image of `width`, side x side x 3.

    `pixels`: P x 3 in host memory. `symmetry`: bits 0 and 1 flip y and x, then bit 2 transposes. May be a view.
    """
    square = torch.as_strided(pixels, (side, side, 3), (3 * width, 3, 1), pixels.storage_offset() + 3 * start)
    flips = [axis for axis in (0, 1) if symmetry >> axis & 1]
    square = square.flip(flips) if flips else square
    return square.transpose(0, 1) if symmetry & 4 else square
