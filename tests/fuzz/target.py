"""What a fuzz target is."""

import dataclasses
import importlib
import importlib.util
import random
from collections.abc import Callable
from pathlib import Path

from fastsr.errors import FastsrError

NAMES = (
    *("images", "onnx_models", "ncnn_models", "checkpoints", "cards", "recipes", "videos"),
    *("array_calls", "conv_programs"),
)
NATIVE = ("onnx_models", "array_calls", "conv_programs")
"""Targets whose work C++ does, so that each instruction set is worth a run."""
CORPUS = Path(__file__).parent / "corpus"


@dataclasses.dataclass(frozen=True)
class Target:
    """A part of fastsr that takes what others made.

    Attributes:
        make: a case of what a random generator draws. The same draws make the same case.
        run: takes a case; returns when it was accepted. The folder is for files and empty.
        refusals: the documented errors that a case may end in.
        megabytes: of memory that one case may take.
        seconds: of processor time that one case may take.

    """

    make: Callable[[random.Random], bytes]
    run: Callable[[bytes, Path], None]
    refusals: tuple[type[Exception], ...] = (FastsrError,)
    megabytes: int = 300
    seconds: float = 30


def load(name: str) -> Target:
    """The target of a name; its module is imported only here, in the worker."""
    module = name if "." in name else f"fuzz.targets.{name}"
    return importlib.import_module(module).TARGET


def missing(name: str) -> list[str]:
    """Packages that a target needs and that are not installed."""
    needed = {
        "checkpoints": ("torch", "spandrel", "safetensors"),
        "recipes": ("torch",),
        "videos": ("av",),
        "onnx_models": ("torch", "onnxruntime"),
    }
    return [package for package in needed.get(name, ()) if importlib.util.find_spec(package) is None]
