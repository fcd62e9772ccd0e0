"""What a model scores through the fastsr runtime: PSNR and SSIM on the luma, beside the interpolations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

import fastsr
from fastsr.catalog import INTERPOLATIONS
from training import metrics
from training.data import DataError, find_images

Scores = dict[str, dict[str, dict[str, float]]]  # model -> data set -> measure -> value


def low_resolution(high: Image.Image, scale: int) -> Image.Image:
    """Antialiased bicubic 1/`scale` (Pillow), as the standard test sets are made."""
    return high.resize((high.width // scale, high.height // scale), Image.Resampling.BICUBIC)


def cropped(path: Path, scale: int) -> Image.Image:
    """The RGB image at `path`, cut at the right and the bottom to sides divisible by `scale`."""
    with Image.open(path) as image:
        high = image.convert("RGB")
    return high.crop((0, 0, high.width // scale * scale, high.height // scale * scale))


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float().div(255)


def score(upscaler: fastsr.Upscaler, files: Iterable[Path], scale: int) -> dict[str, float]:
    """Mean PSNR (dB) and SSIM of the luma over `files`, a border of `scale` pixels cut off."""
    psnr, ssim = [], []
    for path in files:
        high = cropped(path, scale)
        made = upscaler.upscale(low_resolution(high, scale), size=high.size)
        psnr.append(metrics.psnr_y(_tensor(made), _tensor(high), scale))
        ssim.append(metrics.ssim_y(_tensor(made), _tensor(high), scale))
    return {"psnr": sum(psnr) / len(psnr), "ssim": sum(ssim) / len(ssim)}


def strip(upscaler: fastsr.Upscaler, path: Path, scale: int) -> Image.Image:
    """LR (repeated) | bicubic | ours | HR, side by side."""
    high = cropped(path, scale)
    low = low_resolution(high, scale)
    parts = [
        low.resize(high.size, Image.Resampling.NEAREST),
        low.resize(high.size, Image.Resampling.BICUBIC),
        upscaler.upscale(low, size=high.size),
        high,
    ]
    canvas = Image.new("RGB", (high.width * len(parts), high.height))
    for i, part in enumerate(parts):
        canvas.paste(part, (i * high.width, 0))
    return canvas


def evaluate(
    models: list[str],
    folders: list[Path],
    scale: int | None,
    engine: str,
    target: Path | None,
    strips: Path | None,
) -> Scores:
    """Measure every model on every folder, print a table, write JSON and picture strips where asked."""
    results: Scores = {}
    for model in models:
        interpolation = model in INTERPOLATIONS
        upscaler = fastsr.load(model) if interpolation else fastsr.load(model, engine=engine)
        factor = scale or upscaler.scale
        for folder in folders:
            files = find_images([folder])
            if not files:
                raise DataError(f"{folder}: no images")
            values = score(upscaler, tqdm(files, desc=f"{model} on {folder.name}", leave=False), factor)
            results.setdefault(f"{upscaler.name} x{factor}", {})[folder.name] = values
            if strips is not None:
                strips.mkdir(parents=True, exist_ok=True)
                for path in files[:5]:
                    strip(upscaler, path, factor).save(strips / f"{upscaler.name}-{folder.name}-{path.stem}.png")
    print(table(results))
    if target is not None:
        target.write_text(json.dumps(results, indent=2) + "\n")
    return results


def table(results: Scores) -> str:
    """Markdown: a row per model, PSNR / SSIM per data set."""
    sets = list(dict.fromkeys(name for values in results.values() for name in values))
    lines = ["| model | " + " | ".join(f"{s}, PSNR / SSIM (Y)" for s in sets) + " |", "|---|" + "---|" * len(sets)]
    for model, values in results.items():
        cells = [f"{values[s]['psnr']:.2f} / {values[s]['ssim']:.4f}" if s in values else "" for s in sets]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
