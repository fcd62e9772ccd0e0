"""Generators of sizes that no weights ship for, with random ones: time does not depend on the weights."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import torch

from training.networks import generators
from training.release import onnx_export

NAME = re.compile(r"compact-(?P<channels>\d+)x(?P<depth>\d+)")  # Compact x4, such as compact-64x16


def write(name: str, folder: Path) -> Path:
    """`name`.onnx in `folder`, the same weights every time. Raises ValueError for a name that is not of NAME's form."""
    shape = NAME.fullmatch(name)
    if shape is None:
        raise ValueError(f"{name!r} is not of the form compact-64x16")
    wanted = generators.GeneratorShape(4, "compact", int(shape["channels"]), int(shape["depth"]), expansion=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = generators.plain(generators.build(wanted))
    path = folder / f"{name}.onnx"
    onnx.save_model(onnx_export.to_onnx(network, {"name": name}), str(path))
    return path
