"""The commands `fastsr models` and `fastsr import`: which models there are, how heavy they are, and more of them."""

from __future__ import annotations

import argparse
import textwrap
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
WIDTH = 120  # of running text


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
    """The shipped models and the interpolations, the imported models, and what can be had besides."""
    cost = ["engine", "MFLOP/pixel", *(["s/megapixel"] if timed else [])]
    rows = [["model", "scale", *cost, "PSNR (Y)", "what it is"]]
    for model in catalog.models().values():
        scores = ", ".join(f"{name} {values['psnr']:.2f}" for name, values in model.scores.items() if "psnr" in values)
        rows.append([model.name, f"x{model.scale}", *_weight(model.name, model.path, timed), scores, model.summary])
    rows += [[name, "any", "pillow", *[""] * len(cost), "interpolation"] for name in catalog.INTERPOLATIONS]
    imported = [["imported", "scale", *cost, "network", "licence", "from", "authors"]]
    for card in store.cards().values():
        weight = _weight(card.name, card.path, timed)
        about = [card.architecture, card.licence or "unknown", _short(card.source), card.authors]
        imported.append([card.name, f"x{card.scale}", *weight, *about])
    tables = [_aligned(rows), *([_aligned(imported)] if len(imported) > 1 else []), *_others()]
    return "\n\n".join(tables)


def _aligned(rows: list[list[str]]) -> str:
    """Columns beside each other."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _short(source: str) -> str:
    """The file that a model was made of; of an archive its name alone, of a wheel the package's and the version."""
    archive = source.partition(":")[0]
    return " ".join(archive.split("-")[:2]) if archive.endswith(".whl") else archive


def _weight(name: str, path: Path, timed: bool) -> list[str]:
    """The engine that runs a model on the CPU, MFLOP for an input pixel and, if timed, seconds for a megapixel."""
    runs_on, mflop = cost(path)
    if mflop is None:
        return [runs_on, *[""] * (1 + timed)]
    return [runs_on, f"{mflop:.3g}", *([_seconds(name)] if timed else [])]


def cost(path: Path) -> tuple[str, float | None]:
    """The engine that runs a model on the CPU, and MFLOP for an input pixel; "unreadable" and None for no model."""
    from fastsr.engines import runtime_choice
    from fastsr.engines.native import engine
    from fastsr.network import arithmetic, onnx_reader

    try:
        graph = onnx_reader.read(path)
    except ModelError:
        return "unreadable", None
    runs_on = "cpu" if engine.unsupported(graph) is None else runtime_choice.remembered(graph)
    return runs_on, arithmetic.mflop_per_pixel(graph)


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
    return f"{np.median(taken) / TIMED_SIDE**2 * 1e6:.3g}"


def _others() -> list[str]:
    """Models of packages that were not imported yet: a paragraph for each package."""
    import importlib.metadata  # takes a while

    made = []
    for extra in packages.EXTRAS:
        names = [m.name for m in packages.models().values() if m.extra == extra and store.card(m.name) is None]
        if not names:
            continue
        try:
            importlib.metadata.version(packages.package_of(extra))
        except importlib.metadata.PackageNotFoundError:
            text = f"not installed ({packages.remedy(extra)}): {', '.join(names)}"
        else:
            text = f"imported on first use: {', '.join(names)}"
        made.append(textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False))
    return made
