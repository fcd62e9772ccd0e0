"""The cards of shipped models: what is written into fastsr/models/models.toml, all of it measured or recorded."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import fastsr
from fastsr import catalog, graph
from training import evaluate, recipe
from training.data import find_images
from training.files import replacing

HEADER = """\
# The shipped generators. Written by `python -m training card`: the training line comes from the checkpoint, the scores
# from runs through the fastsr runtime (luma, border of `scale` pixels cut off; see docs/models.md).
"""
ORDER = ("srresnet-x4", "srgan-x4", "photo-x4", "fast-x4", "fast-x2")


def make(name: str, folders: list[Path], table: Path = catalog.FOLDER / "models.toml") -> dict[str, Any]:
    """Measure the shipped `name` on `folders` of high-resolution images and write its card into `table`."""
    network = graph.read(catalog.FOLDER / f"{name}.onnx")
    upscaler = fastsr.load(network.path)
    card: dict[str, Any] = {
        "scale": network.scale,
        "summary": recipe.read(name).summary,
        "training": network.metadata["training"],
        "licence": network.metadata["licence"],
        "scores": {},
    }
    for folder in folders:
        values = evaluate.score(upscaler, find_images([folder]), network.scale)
        card["scores"][folder.name] = {"psnr": round(values["psnr"], 2), "ssim": round(values["ssim"], 4)}
    cards = tomllib.loads(table.read_text()) if table.exists() else {}
    cards[name] = card
    names = sorted(cards, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    with replacing(table) as temporary:
        temporary.write_text(HEADER + "".join("\n" + dump(n, cards[n]) for n in names))
    return card


def dump(name: str, card: dict[str, Any]) -> str:
    """One card as TOML."""
    plain = {k: v for k, v in card.items() if not isinstance(v, dict)}
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    for group, values in ((k, v) for k, v in card.items() if isinstance(v, dict)):
        lines += [f"{group}.{key} = {_inline(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)
