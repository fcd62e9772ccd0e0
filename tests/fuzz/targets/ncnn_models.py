"""ncnn's `.param` and `.bin`: read, converted, and read again as fastsr reads a model."""

import random

from support import ncnn_networks

from fastsr.importing import conversion, ncnn, ncnn_to_onnx
from fuzz import byte_mutations, text_mutations
from fuzz.target import Target

SEEDS = [made().files() for made in ncnn_networks.NETWORKS.values()]
HEAD = 8  # bytes of the magic number's line, which are changed seldom


def make(draw: random.Random) -> bytes:
    """Both files, behind a line that says how long the first is."""
    text, weights = draw.choice(SEEDS)
    if draw.random() < 0.9:
        text = text[:HEAD] + text_mutations.mutated(draw, text[HEAD:], [other[HEAD:] for other, _ in SEEDS])
    else:
        text = byte_mutations.mutated(draw, text)
    if draw.random() < 0.2 and weights:
        weights = byte_mutations.mutated(draw, weights)
    return b"%d\n" % len(text) + text + weights


def run(content: bytes, folder) -> None:
    """Convert, as `fastsr import` does."""
    size, _, rest = content.partition(b"\n")
    text, weights = rest[: int(size)], rest[int(size) :]
    made = ncnn_to_onnx.converted(ncnn.read(text, weights, "x"), "x")
    conversion._read("x", made.model)


TARGET = Target(make, run)
