"""The cards of shipped models: what is written into fastsr/models/models.toml, all of it measured or recorded."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import fastsr
from fastsr import files
from fastsr.engines.native import engine
from fastsr.engines.protocol import Precision
from fastsr.errors import ModelError
from fastsr.network import catalog, onnx_reader
from fastsr.network.graph import Graph
from training.data import synthetic_images
from training.measure import clips, evaluate, flicker, precision_cost
from training.measure.damage import NAMED, Damage

HEADER = """\
# The shipped generators. Written by `python -m training card`: the training line comes from the checkpoint, the scores
# from runs through the fastsr runtime (luma, border of `scale` pixels cut off; see docs/models.md).
"""
MEASURES = ("psnr", "ssim", "lpips")
ORDER = ("fast-x4", "fast-x2", "live-x4", "live-x2", "srresnet-x4", "srgan-x4", "photo-x4")


def make(
    name: str,
    folders: list[Path],
    weights: Path | None = None,
    table: Path = catalog.FOLDER / "models.toml",
    damages: tuple[Damage, ...] = (),
) -> dict[str, Any]:
    """Measure the shipped `name` on `folders` of high-resolution images and write its card into `table`.

    A folder may hold pairs (`training.data.pair_shards`), whose low-resolution images are damaged already. With
    `weights`, the folder of LPIPS' weights, it is measured too; with `damages`, also what the model scores where
    low-resolution images were damaged by each. What bf16 costs is measured where the native engine has it: on a
    processor with AVX512_BF16. Elsewhere `add_cost` does it with FASTSR_ISA=wide, the same in AVX2, slowly.
    What `add_flicker` has written stays if the weights are still the same by their training.
    """
    network = onnx_reader.read(catalog.FOLDER / f"{name}.onnx")
    upscaler = fastsr.load(network.path, precision="fp32")  # "auto" may be less on some machines
    lpips = None if weights is None else evaluate.perceptual(weights)
    card: dict[str, Any] = {
        "scale": network.scale,
        "summary": network.metadata["summary"],
        "training": network.metadata["training"],
        "licence": network.metadata["licence"],
        "scores": {},
    }
    if network.metadata.get("fidelity") in catalog.models():
        card["fidelity"] = network.metadata["fidelity"]
    pairs = [folder for folder in folders if evaluate.holds_pairs(folder)]
    folders = [folder for folder in folders if folder not in pairs]
    if damages or pairs:
        card["damaged"] = {str(damage): {} for damage in damages}
    exact = {}  # PSNR before rounding
    for folder in folders:
        paths = evaluate.files_of(folder)
        values = evaluate.score(upscaler, paths, network.scale, lpips)
        exact[folder.name] = values["psnr"]
        card["scores"][folder.name] = _worth_telling(values)
        for damage in damages:
            damaged = evaluate.score(upscaler, paths, network.scale, lpips, damage)
            card["damaged"][str(damage)][folder.name] = _worth_telling(damaged)
    for folder in pairs:
        values = evaluate.score(upscaler, evaluate.files_of(folder), network.scale, lpips)
        card["damaged"].setdefault(str(NAMED["video"]), {})[folder.name] = _worth_telling(values)
    if engine.unsupported(network) is None:
        offered: list[Precision] = ["int8", "bf16"] if network.ranges else ["bf16"]
        for precision in (p for p in offered if p in engine.precisions()):
            _add(card, precision, _cost(network, folders, exact, precision))
    before = _cards(table).get(name, {})
    if "flicker" in before and before["training"] == card["training"]:
        card["flicker"] = before["flicker"]
    return _written(table, name, card)


def add_flicker(
    name: str, files: list[Path], table: Path = catalog.FOLDER / "models.toml", frames: int = flicker.FRAMES
) -> dict[str, Any]:
    """Measure how the shipped `name` flickers on videos and photographs; write that alone into its card in `table`."""
    upscaler = fastsr.load(catalog.FOLDER / f"{name}.onnx", precision="fp32")
    card = tomllib.loads(table.read_text())[name]
    measured = [clips.opened(path, frames) for path in files]
    card["flicker"] = {clip.name: flicker.score(upscaler, clip) for clip in measured}
    return _written(table, name, card)


def add_cost(
    name: str, folders: list[Path], precision: Precision, table: Path = catalog.FOLDER / "models.toml"
) -> dict[str, Any]:
    """Measure what `precision` costs the shipped `name` and write that alone into its card in `table`."""
    network = onnx_reader.read(catalog.FOLDER / f"{name}.onnx")
    upscaler = fastsr.load(network.path, precision="fp32")
    exact = {f.name: evaluate.score(upscaler, evaluate.files_of(f), network.scale)["psnr"] for f in folders}
    card = tomllib.loads(table.read_text())[name]
    _add(card, precision, _cost(network, folders, exact, precision))
    return _written(table, name, card)


def _add(card: dict[str, Any], precision: str, cost: tuple[dict[str, float], int]) -> None:
    """Put what a precision costs into a card."""
    for key, value in zip(("precision_cost", "flat_error"), cost, strict=True):
        card[key] = card.get(key, {}) | {precision: value}


def _worth_telling(values: dict[str, float]) -> dict[str, float]:
    return {measure: value for measure, value in evaluate.rounded(values).items() if measure in MEASURES}


def _cards(table: Path) -> dict[str, Any]:
    return tomllib.loads(table.read_text()) if table.exists() else {}


def _written(table: Path, name: str, card: dict[str, Any]) -> dict[str, Any]:
    cards = _cards(table)
    cards[name] = card
    names = sorted(cards, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    with files.replacing(table) as temporary:
        temporary.write_text(HEADER + "".join("\n" + dump(n, cards[n]) for n in names))
    return card


def _cost(
    network: Graph, folders: list[Path], exact: dict[str, float], precision: Precision
) -> tuple[dict[str, float], int]:
    """What a precision of the native engine loses against fp32: PSNR by kind of image, dB; 8-bit steps in flat colours.

    Photographs: on the set where it loses most. The others are drawn (see `precision_cost.PrecisionCost`).
    """
    upscaler = fastsr.load(network.path, engine="cpu", precision=precision)
    if upscaler.precision != precision:
        raise ModelError(f"{network.path}: its {precision} form is too far from fp32; calibrate it again")
    made = {f.name: evaluate.score(upscaler, evaluate.files_of(f), network.scale)["psnr"] for f in folders}
    losses = precision_cost.PrecisionCost(
        network, engine.NativeEngine(network, "fp32", None).run, synthetic_images.MEASURED
    )
    reduced = engine.NativeEngine(network, precision, None).run
    costs = {"photographs": max(exact[name] - psnr for name, psnr in made.items()), **losses.costs(reduced)}
    return {kind: round(cost, 3) + 0.0 for kind, cost in costs.items()}, losses.flat_error(reduced)


def dump(name: str, card: dict[str, Any]) -> str:
    """One card as TOML."""
    plain = {k: v for k, v in card.items() if not isinstance(v, dict)}
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    for group, values in ((k, v) for k, v in card.items() if isinstance(v, dict)):
        lines += _lines(group, values)
    return "\n".join(lines) + "\n"


def _lines(group: str, values: dict[str, Any]) -> list[str]:
    """A line for each of the innermost tables, or of the values that lie in none."""
    lines = []
    for key, value in values.items():
        name = f"{group}.{key if re.fullmatch('[A-Za-z0-9_-]+', key) else json.dumps(key)}"
        nested = isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values())
        lines += _lines(name, value) if nested else [f"{name} = {_inline(value)}"]
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)
