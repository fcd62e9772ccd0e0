"""Which shipped models there are for a factor, by how much arithmetic they are and how good they are."""

from __future__ import annotations

import functools
from pathlib import Path

from fastsr.network import arithmetic, catalog, onnx_reader
from fastsr.network.catalog import Model

MUCH_LIGHTER = 0.75  # of the arithmetic at the most, where a model is to take another one's place to save time


@functools.cache
def mflop_per_pixel(path: Path) -> float:
    """Of a model's ONNX file; see `arithmetic`. Raises ModelError for a file that is none."""
    return arithmetic.mflop_per_pixel(onnx_reader.read(path))


def lighter(path: Path, scale: int) -> list[str]:
    """Shipped models of a factor that are much lighter than the model of a file, each than the one before."""
    bound = MUCH_LIGHTER * mflop_per_pixel(path)
    names = []
    for model in by_heaviness(scale):
        heaviness = mflop_per_pixel(model.path)
        if heaviness <= bound:
            names.append(model.name)
            bound = MUCH_LIGHTER * heaviness
    return names


def by_heaviness(scale: int) -> list[Model]:
    """The shipped models of a factor, the heaviest first; of equally heavy ones those for any image first."""
    models = [model for model in catalog.models().values() if model.scale == scale]
    return sorted(models, key=lambda model: (-mflop_per_pixel(model.path), model.name not in catalog.VIDEO_DEFAULTS))


def best(scale: int) -> Model | None:
    """The shipped model of a factor whose results look best by its card; None where there is none.

    That is the lowest LPIPS on damaged images, for that is what videos are, or of models without such scores on clean
    ones; without any score the heaviest.
    """
    return min(by_heaviness(scale), key=_rank, default=None)


def _rank(model: Model) -> tuple[int, float]:
    """Smaller is better."""
    on_damaged = [values for scores in model.damaged.values() for values in scores.values()]
    for rank, scores in enumerate((on_damaged, list(model.scores.values()))):
        measured = [values["lpips"] for values in scores if "lpips" in values]
        if measured:
            return rank, sum(measured) / len(measured)
    return 2, 0.0
