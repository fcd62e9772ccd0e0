"""What is known of models: models.toml, and the cards of imported models."""

import dataclasses
import json
import os
import random
from pathlib import Path

from fastsr.cli import model_list
from fastsr.importing import lookup, store
from fastsr.network import catalog
from fuzz import text_mutations
from fuzz.target import Target

SHIPPED = catalog.FOLDER
TABLE = (SHIPPED / "models.toml").read_bytes()
model_list._weight = lambda name, path, timed: ["cpu", "1"]  # the networks are not what is read here
CARD = store.Card("mine", 4, "ESRGAN", "mine.pth", "0" * 64, "MIT", "Somebody", "PyTorch, off by 1e-6")
CARDS = [json.dumps(dataclasses.asdict(CARD), indent=1).encode(), b'{"name": "mine", "scale": 2}']


def make(draw: random.Random) -> bytes:
    """A file behind a line with its name."""
    if draw.random() < 0.6:
        return b"models.toml\n" + text_mutations.mutated(draw, TABLE)
    return b"mine.json\n" + text_mutations.mutated(draw, draw.choice(CARDS), CARDS)


def run(content: bytes, folder: Path) -> None:
    """List the models and look one up, as the command does."""
    name, _, data = content.partition(b"\n")
    (folder / name.decode()).write_bytes(data)
    if name == b"mine.json":
        (folder / "mine.onnx").write_bytes(b"")  # unreadable, so that none is analysed
        os.environ["FASTSR_MODELS"] = str(folder)
        catalog.FOLDER = SHIPPED
    else:
        os.environ["FASTSR_MODELS"] = str(folder / "none")
        catalog.FOLDER = folder
    catalog.models.cache_clear()
    for model in catalog.models().values():
        model.proves("int8")
    model_list.models_table()
    catalog.default(3)
    lookup.find("mine" if name == b"mine.json" else "fast-x4")


TARGET = Target(make, run)
