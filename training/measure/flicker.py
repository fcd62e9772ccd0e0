"""Flicker: how much an enlarged video changes from frame to frame where its scene does not, beside bicubic.

The measure is the warping error of Lai et al. 2018 ("Learning Blind Video Temporal Consistency", section 4.2): the
previous frame is moved by the motion of the scene, and the mean squared difference is taken over the pixels that both
frames show. Motion is not estimated: an error of a quarter of a pixel would weigh most on the sharpest result. It is
known instead, for a scene is at rest or is panned over by whole pixels of the result (see `training.measure.clips`).
What is left is what compression changes, and what a network makes of it and of the place of its pixels. Bicubic
interpolation of the same frames tells how much of that the input has.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

import fastsr
from fastsr.engines.protocol import Device, EngineName, Precision
from training.data.image_folders import DataError
from training.measure import clips
from training.measure.clips import Clip, Pixels

FRAMES = 24
REFERENCE = "bicubic"

Flickers = dict[str, dict[str, dict[str, float]]]  # model -> clip -> "levels", "ratio" -> value


class Enlarging(Protocol):
    """What is measured: an Upscaler, or anything with what is used of it."""

    @property
    def scale(self) -> float:
        """Its own factor."""
        ...

    def upscale(self, image: Pixels, scale: float) -> Pixels:
        """H x W x 3 to (scale x H) x (scale x W) x 3."""
        ...


def factor(upscaler: Enlarging) -> int:
    """The scale that it is measured at: its own, or twice as much where half a pixel would not become whole ones."""
    own = int(upscaler.scale)
    return own if own % 2 == 0 else 2 * own


def change(frames: Iterable[Pixels], clip: Clip, scale: int) -> float:
    """RMS of the difference of the luma between frames where the scene is the same, in levels.

    Args:
        frames: those of `clip`, enlarged `scale` times, which must be even where the clip moves by half pixels.
        clip: how the scene moves, and where it is the same.
        scale: of the frames to those of the clip.

    """
    x, y = (step * scale // 2 for step in clip.motion)
    total, count = 0.0, 0
    for same, (before, after) in zip(clip.same, itertools.pairwise(map(clips.luma, frames)), strict=True):
        here = slice(None, after.shape[0] - y), slice(None, after.shape[1] - x)
        difference = (after[here] - before[y:, x:])[clips.enlarged(same, scale)[here]]
        total += float((difference**2).sum())
        count += difference.size
    return math.sqrt(total / count) if count else math.nan


def levels(upscaler: Enlarging, clip: Clip, scale: int) -> float:
    """The `change` of what `upscaler` makes of a clip."""
    frames = tqdm(clip.frames, desc=clip.name, leave=False)
    return change((upscaler.upscale(frame, scale=scale) for frame in frames), clip, scale)


def score(upscaler: Enlarging, clip: Clip) -> dict[str, float]:
    """How much a clip flickers when it is enlarged.

    `levels`: RMS change of the luma (16..235). `ratio`: how many times that of bicubic interpolation by the same
    factor. Raises DataError for a clip that does not flicker at all.
    """
    scale = factor(upscaler)
    made, usual = (levels(way, clip, scale) for way in (upscaler, fastsr.load(REFERENCE)))
    if not usual > 0:
        raise DataError(f"{clip.name}: does not flicker, for nothing changes where it is at rest; name another clip")
    return {"levels": round(made, 3), "ratio": round(made / usual, 3)}


def measure(
    models: list[str],
    files: list[Path],
    frames: int = FRAMES,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    target: Path | None = None,
) -> Flickers:
    """Measure every model on every video and photograph, print a table and write JSON to `target`.

    A row's name says the precision when it is not fp32. Raises DataError or fastsr's own errors.
    """
    upscalers = {model: fastsr.load(model, device, precision, engine) for model in models}
    measured = [clips.opened(path, frames) for path in files]
    results: Flickers = {}
    for model, upscaler in upscalers.items():
        row = model if upscaler.precision == "fp32" else f"{model} ({upscaler.precision})"
        results[row] = {clip.name: score(upscaler, clip) for clip in measured}
    print(table(results))
    if target is not None:
        target.write_text(json.dumps(results, indent=2) + "\n")
    return results


def table(results: Flickers) -> str:
    """Markdown: a row per model; per clip the change in levels and, in brackets, how many times bicubic's."""
    names = list(dict.fromkeys(name for values in results.values() for name in values))
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for model, values in results.items():
        cells = [f"{values[n]['levels']:.2f} ({values[n]['ratio']:.2f}x)" if n in values else "" for n in names]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
