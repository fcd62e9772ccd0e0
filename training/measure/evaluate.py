"""What a model scores through the fastsr runtime: PSNR and SSIM on the luma, LR-consistency, LPIPS; image strips."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

import fastsr
from fastsr.engines.protocol import Device, EngineName, Precision
from fastsr.network.catalog import INTERPOLATIONS
from training.data import pair_shards
from training.data.image_folders import DataError, find_images
from training.measure import metrics
from training.measure.damage import Damage

Scores = dict[str, dict[str, dict[str, float]]]  # model -> data set -> measure -> value
Perceptual = Callable[[Tensor, Tensor], Tensor]  # (made, target), NCHW RGB in 0..1, to N distances

DIGITS = {"psnr": 2, "ssim": 4, "consistency": 2, "lpips": 4}  # that a measure is worth writing down with
STRIPS = 5  # images of a data set that strips are made of
BAR = 16  # height of a strip's captions, pixels


class EvaluateError(ValueError):
    """A measurement that cannot be made as asked."""


class Enlarging(Protocol):
    """What `score` measures: an Upscaler, or anything with its method."""

    def upscale(self, image: Image.Image, *, size: tuple[int, int]) -> Image.Image:
        """The RGB `image` at `size` (width, height)."""
        ...


@dataclasses.dataclass(frozen=True)
class Pair:
    """A test image and its low-resolution form; all RGB."""

    high: Image.Image  # sides divisible by the scale
    low: Image.Image
    given: Image.Image  # what a model gets: `low`, damaged where that was asked for


def low_resolution(high: Image.Image, scale: int) -> Image.Image:
    """Antialiased bicubic 1/`scale` (Pillow), as the standard test sets are made."""
    return high.resize((high.width // scale, high.height // scale), Image.Resampling.BICUBIC)


def pair(path: Path, scale: int, damage: Damage | None = None) -> Pair:
    """The image at `path`, cut at the right and the bottom, with its low-resolution form.

    Damage is seeded by the file's name, so that every model gets the same image. Raises DataError, naming the file,
    when it cannot be read or is too small for the measures.
    """
    try:
        with Image.open(path) as image:
            high = image.convert("RGB")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); take it out of the folder") from None
    least = -(-(metrics.SSIM_WINDOW + 2 * scale) // scale) * scale
    if min(high.size) < least:
        raise DataError(
            f"{path}: {high.width}x{high.height} is too small to measure x{scale}; sides need {least} pixels"
        )
    high = high.crop((0, 0, high.width // scale * scale, high.height // scale * scale))
    low = low_resolution(high, scale)
    return Pair(high, low, low if damage is None else damage.given(high, low, zlib.crc32(path.name.encode())))


def holds_pairs(folder: Path) -> bool:
    """Whether a data set is of pairs, whose low-resolution images are damaged already."""
    return bool(pair_shards.shards(folder))


def files_of(folder: Path) -> list[Path]:
    """What a data set consists of: the images of a folder, or where it holds pairs, their shards. Raises DataError."""
    return pair_shards.shards(folder) or find_images([folder])


def samples(path: Path, scale: int, damage: Damage | None = None) -> Iterator[Pair]:
    """What one file of a data set is measured on: one image as `pair` makes it, or all pairs of a shard.

    Pairs are damaged already, so `damage` is not done to them. Raises DataError where they are for another scale.
    """
    if path.suffix != ".safetensors":
        yield pair(path, scale, damage)
        return
    for found, made_for in pair_shards.pairs_of(path):
        if made_for % scale:
            raise DataError(f"{path}: its pairs are for scale {made_for}, which is no multiple of {scale}")
        high = Image.fromarray(found.original.numpy())
        high = low_resolution(high, made_for // scale) if made_for != scale else high
        yield Pair(high, low_resolution(high, scale), Image.fromarray(found.low.numpy()))


def as_tensor(image: Image.Image | npt.NDArray[np.uint8]) -> Tensor:
    """RGB pixels as 1x3xHxW float in 0..1, as `metrics` takes them."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float().div(255)


def rounded(values: dict[str, float]) -> dict[str, float]:
    """What `score` gave, to the digits that are worth writing down."""
    return {measure: round(value, DIGITS[measure]) for measure, value in values.items()}


@torch.inference_mode()
def score(
    upscaler: Enlarging,
    files: Iterable[Path],
    scale: int,
    lpips: Perceptual | None = None,
    damage: Damage | None = None,
) -> dict[str, float]:
    """Means over `files` (at least one; images, or shards of pairs) of what `upscaler` makes of them, made small.

    `psnr` (dB) and `ssim` of the luma, a border of `scale` pixels cut off; `consistency`, the PSNR (dB, RGB, no border)
    of the result made smaller again against the undamaged low-resolution image; with `lpips`, that distance.
    """
    rows = []
    for test in itertools.chain.from_iterable(samples(path, scale, damage) for path in files):
        made = upscaler.upscale(test.given, size=test.high.size)
        high, result = as_tensor(test.high), as_tensor(made)
        row = {
            "psnr": metrics.psnr_y(result, high, scale),
            "ssim": metrics.ssim_y(result, high, scale),
            "consistency": metrics.psnr_rgb(as_tensor(low_resolution(made, scale)), as_tensor(test.low)),
        }
        if lpips is not None:
            row["lpips"] = float(lpips(result, high))
        rows.append(row)
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def strip(upscaler: fastsr.Upscaler, test: Pair, caption: str) -> Image.Image:
    """LR (each pixel repeated) | bicubic | what `upscaler` makes | HR, side by side under a bar of captions."""
    size = test.high.size
    panels = {
        f"LR, {test.given.width}x{test.given.height}": test.given.resize(size, Image.Resampling.NEAREST),
        "bicubic": test.given.resize(size, Image.Resampling.BICUBIC),
        caption: upscaler.upscale(test.given, size=size),
        "HR": test.high,
    }
    canvas = Image.new("RGB", (size[0] * len(panels), size[1] + BAR), "white")
    for i, (name, panel) in enumerate(panels.items()):
        label = Image.new("RGB", (size[0], BAR), "white")  # of its own, so that a long name is cut where its panel ends
        ImageDraw.Draw(label).text((4, BAR // 2), name, fill="black", anchor="lm")
        canvas.paste(label, (i * size[0], 0))
        canvas.paste(panel, (i * size[0], BAR))
    return canvas


def evaluate(
    models: list[str],
    folders: list[Path],
    scale: int | None = None,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    weights: Path | None = None,
    target: Path | None = None,
    strips: Path | None = None,
    damage: Damage | None = None,
) -> Scores:
    """Measure every model on every folder, print a table, write JSON to `target` and strips to `strips`.

    `scale`: each model's own when not given. `weights`: folder with the weights of LPIPS, which is measured with it.
    `damage`: done to every low-resolution image. A row's name says the precision when it is not fp32, and the engine
    and device when they were chosen. Raises EvaluateError, DataError or fastsr's own errors.
    """
    if scale is not None and scale < 1:
        raise EvaluateError(f"scale {scale} is not a whole number of at least 1")
    upscalers = [fastsr.load(model, device, precision, engine) for model in models]  # a wrong name is told at once
    lpips = None if weights is None else perceptual(weights)
    sets = _sets(folders)
    results: Scores = {}
    for model, upscaler in zip(models, upscalers, strict=True):
        factor = scale or upscaler.scale
        notes = [] if model in INTERPOLATIONS else _notes(upscaler, engine, device)
        row = _titled(f"{upscaler.name} x{factor}", notes)
        if row in results:  # two exports of one recipe
            notes.append(model)
            row = _titled(f"{upscaler.name} x{factor}", notes)
        results[row] = {}
        for name, files in sets.items():
            shown = tqdm(files, desc=f"{row} on {name}", leave=False)
            results[row][_titled(name, [str(damage or "")])] = score(upscaler, shown, factor, lpips, damage)
            if strips is not None:
                strips.mkdir(parents=True, exist_ok=True)
                title = _titled(upscaler.name, notes)
                for path in files[:STRIPS]:
                    made = strip(upscaler, next(samples(path, factor, damage)), title)
                    made.save(strips / f"{_plain(title)}-{_plain(name)}-{path.stem}.png")
    print(table(results))
    if target is not None:
        target.write_text(json.dumps(results, indent=2) + "\n")
    return results


def _sets(folders: list[Path]) -> dict[str, list[Path]]:
    """The images of each folder under its name, or under its path where names repeat (Set5/HR, Set14/HR)."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return {name: files_of(folder) for name, folder in zip(names, folders, strict=True)}


def perceptual(weights: Path) -> Perceptual:
    """LPIPS with the weights in the folder `weights`."""
    from training.measure.lpips import Lpips

    return Lpips(weights).eval()


def _notes(upscaler: fastsr.Upscaler, engine: str, device: str) -> list[str]:
    """What is not as it is by default: the precision in use, the engine and the device that were asked for."""
    notes = [(upscaler.precision, "fp32"), (upscaler.engine if engine != "auto" else engine, "auto"), (device, "auto")]
    return [value for value, default in notes if value != default]


def _titled(name: str, notes: list[str]) -> str:
    text = ", ".join(filter(None, notes))
    return f"{name} ({text})" if text else name


def _plain(text: str) -> str:
    """`text` as a part of a file's name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-")


def table(results: Scores) -> str:
    """Markdown: a row per model; per data set PSNR / SSIM, LR-consistency and, where measured, LPIPS."""
    sets = list(dict.fromkeys(name for values in results.values() for name in values))
    with_lpips = any("lpips" in measures for values in results.values() for measures in values.values())
    heads = ["{}, PSNR / SSIM (Y)", "LR-consistency, dB", *(["LPIPS"] if with_lpips else [])]
    cells = ["{psnr:.2f} / {ssim:.4f}", "{consistency:.2f}", *(["{lpips:.4f}"] if with_lpips else [])]
    lines = ["| model | " + " | ".join(h.format(s) for s in sets for h in heads) + " |"]
    lines.append("|---|" + "---|" * (len(sets) * len(heads)))
    for model, values in results.items():
        lines.append(f"| {model} | " + " | ".join(c.format(**values[s]) for s in sets for c in cells) + " |")
    return "\n".join(lines)
