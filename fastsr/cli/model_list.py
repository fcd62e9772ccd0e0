"""The commands `fastsr models` and `fastsr import`: which models there are, how heavy they are, and more of them."""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import fastsr
from fastsr.errors import FastsrError, ModelError
from fastsr.importing import packages, store
from fastsr.network import catalog

TIMED_SIDE = 128  # pixels of the image that models are timed on
TIMED_RUNS = 3


def add_parsers(commands: Any) -> None:
    """Add both commands to a parser's subcommands."""
    models = commands.add_parser(
        "models",
        help="list the models",
        description="List the shipped and the imported models, which engine runs each on the CPU and how much "
        "arithmetic it is.",
    )
    models.add_argument("--time", action="store_true", help="measure the seconds a megapixel takes on this machine")
    models.add_argument("--remove", metavar="NAME", help="remove an imported model instead")
    imported = commands.add_parser(
        "import",
        help="import models of other projects",
        description="Convert models of other projects, compare them with their sources and keep them: ncnn (.param "
        "with .bin, or a .whl or .zip that holds such pairs), PyTorch (.pth, .pt, .ckpt, .safetensors) and .onnx.",
    )
    imported.add_argument("file", metavar="FILE", help="the file; of an archive FILE.zip:NAME takes one model")
    imported.add_argument("--name", help="what to call it (default: after the file)")


def import_models(arguments: argparse.Namespace) -> str:
    """Do as `fastsr import` says; returns a line for each model. Raises FastsrError."""
    from fastsr.importing import conversion  # onnx takes a while to import

    made = conversion.import_file(arguments.file, arguments.name)
    return "\n".join(f"{card.name}: x{card.scale}, {card.architecture}, {card.compared}" for card in made)


def models(arguments: argparse.Namespace) -> str:
    """Do as `fastsr models` says; returns what is printed. Raises FastsrError."""
    if arguments.remove is not None:
        store.remove(arguments.remove)
        return f"{arguments.remove}: removed"
    return models_table(arguments.time)


def models_table(timed: bool = False) -> str:
    """The shipped models, the imported ones and the interpolations, one a line; then what can be had besides."""
    rows = [["model", "scale", "engine", "MFLOP/pixel", "s/megapixel", "PSNR (Y)", "what it is"]]
    for model in catalog.models().values():
        scores = ", ".join(f"{name} {values['psnr']:.2f}" for name, values in model.scores.items())
        rows.append([model.name, f"x{model.scale}", *_weight(model.name, model.path, timed), scores, model.summary])
    for card in store.cards().values():
        rows.append([card.name, f"x{card.scale}", *_weight(card.name, card.path, timed), "", _what(card)])
    rows += [[name, "any", "pillow", "", "", "", "interpolation"] for name in catalog.INTERPOLATIONS]
    if not timed:
        rows = [row[:4] + row[5:] for row in rows]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    return "\n".join([*lines, *_others()])


def _what(card: store.Card) -> str:
    """Kind, origin and licence of an imported model, as far as they are known."""
    licence = card.licence or "licence unknown"
    return "; ".join(
        part for part in (card.architecture, card.authors, licence, f"imported from {card.source}") if part
    )


def _weight(name: str, path: Path, timed: bool) -> tuple[str, str, str]:
    """The engine that runs a model on the CPU, MFLOP for an input pixel, and seconds for a megapixel of input."""
    from fastsr.engines import runtime_choice
    from fastsr.engines.native import engine
    from fastsr.network import arithmetic, onnx_reader

    try:
        graph = onnx_reader.read(path)
    except ModelError:
        return "unreadable", "", ""
    seconds = _seconds(name) if timed else ""
    runs_on = "cpu" if engine.unsupported(graph) is None else runtime_choice.remembered(graph)
    return runs_on, f"{arithmetic.mflop_per_pixel(graph):.3g}", seconds


def _seconds(name: str) -> str:
    """Seconds for a million input pixels, by the median of a few runs; what went wrong, where it does not run."""
    image = np.random.default_rng(0).integers(0, 256, (TIMED_SIDE, TIMED_SIDE, 3), np.uint8)
    try:
        upscaler = fastsr.load(name, "cpu")
        upscaler.upscale(image)
        taken = []
        for _ in range(TIMED_RUNS):
            start = time.perf_counter()
            upscaler.upscale(image)
            taken.append(time.perf_counter() - start)
    except FastsrError:
        return "does not run"
    return f"{statistics.median(taken) / TIMED_SIDE**2 * 1e6:.3g}"


def _others() -> list[str]:
    """Models of packages that were not imported yet: by a line for each package."""
    lines = []
    for extra in packages.EXTRAS:
        names = [m.name for m in packages.models().values() if m.extra == extra and store.card(m.name) is None]
        if not names:
            continue
        try:
            importlib.metadata.version(packages.package_of(extra))
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"not installed: {', '.join(names)} ({packages.remedy(extra)})")
        else:
            lines.append(f"imported on first use: {', '.join(names)}")
    return ["", *lines] if lines else []
