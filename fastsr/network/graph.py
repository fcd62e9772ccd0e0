"""A generator as data: its operators and weights, its scale, and how far around a pixel it looks."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.errors import ModelError

STANDARD = ("", "ai.onnx")  # domains of operators that need no name
MAX_SCALE = 64
MAX_ALIGNMENT = 1024
MAX_FIXED_SIDE = 1 << 14  # pixels; a file that fixes more has every image filled up to it
SCALE = "scale"  # metadata key of the factor, read where operators are in the way that do not tell it
DEFAULT_SCALE = "default_scale"  # metadata key of the factor to enlarge by where none is asked for
RANGES = "ranges"  # metadata key of the calibrated ranges: JSON, tensor -> [low, high]
_CALIBRATE_AGAIN = "calibrate it again: python -m training quantize MODEL --data FOLDER"
_FLOAT32 = np.finfo(np.float32)


@dataclasses.dataclass(frozen=True)
class Node:
    """One operator (foreign ones as "domain.name"): what it reads and makes, and its attributes as Python values."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A generator as its ONNX file describes it."""

    path: Path
    digest: str  # SHA-256 of the file, hexadecimal
    nodes: tuple[Node, ...]
    weights: dict[str, npt.NDArray[Any]]
    opset: int  # of the standard operators
    input: str
    output: str
    channels: int  # of the input and the output
    dtype: np.dtype[Any]  # of the input
    fixed_size: tuple[int, int] | None  # height and width, where the file fixes them
    fixed_batch: int | None
    scale: int
    radius: int | None  # input pixels around a pixel that its output depends on; None: the whole frame
    alignment: int  # input sides must be multiples of this
    cost: float  # floats held per input pixel by the widest operator (its inputs and outputs)
    metadata: dict[str, str]
    serialized: bytes = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The name in the file's metadata, else the file's own."""
        return self.metadata.get("name", self.path.stem)

    @property
    def default_scale(self) -> int:
        """The factor to enlarge by where none is asked for: the metadata's, where it is no more than `scale`."""
        text = self.metadata.get(DEFAULT_SCALE, "")
        return int(text) if text.isdecimal() and len(text) < 9 and 1 <= int(text) <= self.scale else self.scale

    @property
    def operators(self) -> frozenset[str]:
        """Operator types in use."""
        return frozenset(node.op for node in self.nodes)

    @functools.cached_property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value that the int8 form keeps of a tensor, by its name; empty where the file has none.

        Raises ModelError when the metadata holds something else, or a range without 0, or of a tensor that is not here.
        """
        try:
            stored = json.loads(self.metadata.get(RANGES, "{}"))
            ranges = {name: (float(low), float(high)) for name, (low, high) in stored.items()}
        except (AttributeError, TypeError, ValueError, OverflowError, RecursionError):
            raise ModelError(
                f"{self.path}: its metadata key {RANGES!r} is not {{tensor: [low, high]}}; {_CALIBRATE_AGAIN}"
            ) from None
        tensors = {self.input, *(name for node in self.nodes for name in node.outputs)}
        for name, (low, high) in ranges.items():
            if name not in tensors:
                raise ModelError(
                    f"{self.path}: has a range for {name!r}, which is none of its tensors; {_CALIBRATE_AGAIN}"
                )
            if not (low <= 0 <= high and _FLOAT32.tiny <= (high - low) / 255 <= _FLOAT32.max):
                raise ModelError(f"{self.path}: {low:g} to {high:g} is no range for {name!r}; {_CALIBRATE_AGAIN}")
        return ranges
