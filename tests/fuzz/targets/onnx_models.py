"""ONNX files: read, lowered, run on the engines of a CPU, exported in the types of a precision."""

import functools
import random
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch  # noqa: F401 - once, before the first case that needs it

import fastsr
from fastsr.engines import runtime_choice
from fastsr.network import exported_onnx, exported_onnx_reader, onnx_reader
from fuzz.onnx_mutations import mutated, originals
from fuzz.target import Target

IMAGE = np.random.default_rng(0).integers(0, 256, (13, 11, 3), np.uint8)
WAYS = (*["auto"] * 3, *["cpu"] * 2, "onnxruntime", "torch", "export")

runtime_choice.faster = lambda graph: runtime_choice.USUAL  # how fast runtimes are here changes no case


@functools.cache
def _originals():
    with tempfile.TemporaryDirectory() as folder:
        return originals(Path(folder))


def make(draw: random.Random) -> bytes:
    """A model with a few changes."""
    return mutated(draw.choice(_originals()), draw.random())


def run(content: bytes, folder: Path) -> None:
    """Run a file, or export it, in a way that follows from its content."""
    path = folder / "m.onnx"
    path.write_bytes(content)
    draw = random.Random(zlib.crc32(content))
    way, tile, overlap = draw.choice(WAYS), draw.choice((None, None, 33, 64)), draw.choice((None, None, None, 2))
    if way == "export":
        exported_onnx.form(onnx_reader.read(path), draw.choice(exported_onnx_reader.MARKED))
        return
    precision = draw.choice(("fp32", "fp32", "bf16", "int8", "auto"))
    image = IMAGE if draw.random() < 0.9 else IMAGE[..., :1]
    fastsr.load(path, "cpu", precision, way, tile, overlap=overlap).upscale(image)


TARGET = Target(make, run, megabytes=600, seconds=60)
