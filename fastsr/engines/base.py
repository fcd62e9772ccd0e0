"""The Engine protocol, the registry of engines, and the choice that "auto" stands for."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from fastsr import environment
from fastsr.engines import gpus
from fastsr.errors import EngineError, ModelError

if TYPE_CHECKING:
    from fastsr.graph import Graph

Pixels = npt.NDArray[Any]
Progress = Callable[[int, int], None]  # (tiles or rows done, in all)

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Device = Literal["auto", "cpu", "cuda"]
EngineName = Literal["auto", "cpu", "onnx", "torch", "tensorrt"]

PRECISIONS: tuple[str, ...] = get_args(Precision)
DEVICES: tuple[str, ...] = get_args(Device)

# Largest mean error against fp32, in levels of 255, that a precision may show on the probe.
PROBE_BOUNDS = {"fp16": 0.5, "bf16": 1.0, "int8": 2.0}


class Engine(Protocol):
    """Built for one Graph at one precision; safe to call from several threads."""

    @property
    def name(self) -> str:
        """As in the registry."""
        ...

    @property
    def precision(self) -> str:
        """One of PRECISIONS, but "auto"."""
        ...

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """H x W x C pixels (C-contiguous; uint8, uint16 or float32 in 0..1) to `scale` times as high and wide."""
        ...


Build = Callable[["Graph", str, str, "int | None"], Engine]  # (graph, device, precision, tile) -> engine


@dataclasses.dataclass(frozen=True)
class Kind:
    """A registered engine: where its code is, what it can be asked for. Its runtime is imported when it is chosen."""

    name: str
    module: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]  # the first is its "auto" on a CPU
    requirement: str  # the module it cannot do without
    install: str  # what gets it

    def builder(self) -> Build:
        """Import the engine. Raises EngineError, saying what to install, when its runtime is missing."""
        try:
            importlib.import_module(self.requirement)
        except ImportError as error:
            raise EngineError(f"engine {self.name!r} needs {self.requirement} ({error}); {self.install}") from None
        build: Build = importlib.import_module(self.module).build
        return build


REGISTRY: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("cpu", "fastsr.engines.cpu", ("cpu",), ("fp32", "int8", "bf16"), "fastsr._core", "reinstall fastsr"),
        Kind(
            "onnx",
            "fastsr.engines.onnx",
            ("cpu",),
            ("fp32", "int8"),
            "onnxruntime",
            'run: pip install "fastsr[onnx]"',
        ),
        Kind(
            "torch",
            "fastsr.engines.torch",
            ("cpu", "cuda"),
            ("fp32", "bf16", "fp16"),
            "torch",
            'run: pip install "fastsr[torch]"',
        ),
        Kind(
            "tensorrt",
            "fastsr.engines.tensorrt_frames",
            ("cuda",),
            ("fp16", "fp32", "bf16", "int8"),
            "cuda.core",
            'run: pip install "fastsr[tensorrt]"',
        ),
    )
}


GPU_PRECISION = "fp16"  # what "auto" stands for on a GPU
ON_GPU = ("tensorrt", "torch")  # in order of preference
NEXT = {"int8": ("fp16", "fp32"), "fp16": ("fp32",), "bf16": ("fp32",), "fp32": ()}  # when a precision fails its probe


def build(
    graph: Graph, device: str, precision: str, engine: str, tile: int | None, wait: bool = True, video: bool = False
) -> Engine:
    """The engine that was asked for, or for "auto" the first that serves the device, probed when below fp32.

    Device "auto" is a GPU where there is one and an engine for it, else the CPU. Precision "auto" is fp32 on a CPU; for
    `video` it may be a faster one that the model's card proves (`cpu.video_precision`). Without `wait`, an engine that
    takes long to build is built in the background while another serves. Raises EngineError as `check`, and for what
    is not available here.
    """
    check(device, precision, engine, tile)
    if engine != "auto":
        kind = REGISTRY[engine]
        where = _gpu_first(kind) if device == "auto" else device
        return _made(kind, graph, where, precision, tile, video)
    if device == "cuda" or (device == "auto" and gpus.present()):
        try:
            return _on_gpu(graph, precision, tile, wait)
        except EngineError as error:
            if device == "cuda":
                raise
            _say_once(f"the GPU is not used: {error}")
    return _made(_on_cpu(graph, precision), graph, "cpu", precision, tile, video)


def from_file(
    path: Path, device: str, precision: str, engine: str, tile: int | None, realism: float | None
) -> tuple[Graph, Engine]:
    """The generator and the engine of a file that `fastsr export --tensorrt` wrote. Raises EngineError; names it."""
    if realism is not None:
        raise EngineError(f"{path}: is an engine, whose weights are fixed; for a choice of realism load the ONNX model")
    from fastsr.engines import exported_engine

    return exported_engine.load(path, device, precision, engine, tile)


def _on_cpu(graph: Graph, precision: str) -> Kind:
    """The native engine where it knows the graph and the precision, else the one that does."""
    from fastsr.engines import cpu

    if precision != "auto" and precision not in cpu.precisions():
        return REGISTRY["torch"]
    reason = cpu.unsupported(graph)
    if reason is None:
        return REGISTRY["cpu"]
    other = REGISTRY["torch" if precision == "bf16" else "onnx"]
    try:
        other.builder()
    except EngineError as error:
        raise EngineError(f"{graph.path}: the native engine cannot run it ({reason}), and {error}") from None
    _say_once(f"{graph.path}: the native engine cannot run it ({reason}); {other.name} does, more slowly")
    return other


def _on_gpu(graph: Graph, precision: str, tile: int | None, wait: bool) -> Engine:
    """The first engine that serves the GPU; what is missing for a better one is said once."""
    reasons: list[str] = []
    best, *others = ON_GPU
    if not wait:
        from fastsr.engines.switching import SwitchingEngine

        try:
            first = _first(others, graph, precision, tile, reasons)
        except EngineError:
            reasons.clear()  # nothing can serve meanwhile
        else:
            return SwitchingEngine(first, lambda: _made(REGISTRY[best], graph, "cuda", precision, tile))
    return _first(ON_GPU, graph, precision, tile, reasons)


def _first(names: Iterable[str], graph: Graph, precision: str, tile: int | None, reasons: list[str]) -> Engine:
    for name in names:
        try:
            made = _made(REGISTRY[name], graph, "cuda", precision, tile)
        except (EngineError, ModelError) as error:
            reasons.append(str(error))
            continue
        if reasons:
            _say_once(f"the {name} engine is used: {'; '.join(reasons)}")
        return made
    raise EngineError("; ".join(reasons))


def _gpu_first(kind: Kind) -> str:
    return "cuda" if "cuda" in kind.devices and ("cpu" not in kind.devices or gpus.present()) else "cpu"


@functools.cache
def _say_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=6)


def _made(kind: Kind, graph: Graph, device: str, precision: str, tile: int | None, video: bool = False) -> Engine:
    """An engine of one kind, at the precision asked for or the next one that passes its probe."""
    if device not in kind.devices:
        raise EngineError(f"engine {kind.name!r} does not run on {device!r}; it runs on: {', '.join(kind.devices)}")
    chosen = precision
    if precision == "auto":
        chosen = GPU_PRECISION if device == "cuda" else _auto_precision(kind, graph, video)
    if chosen not in kind.precisions:
        raise EngineError(
            f"engine {kind.name!r} does not offer precision {chosen!r}; it offers: {', '.join(kind.precisions)}"
        )
    make = kind.builder()
    while True:
        try:
            made = make(graph, device, chosen, tile)
        except MemoryError:
            raise EngineError(f"{graph.path}: memory ran out while its engine was made; free some") from None
        fault = None if chosen == "fp32" else probe(made, _exact(kind, graph, device, tile), graph)
        if fault is None:
            return made
        following = next(p for p in NEXT[chosen] if p in kind.precisions)
        text = f"{graph.name}: {chosen} on {kind.name} {fault}; using {following} instead"
        warnings.warn(text, RuntimeWarning, stacklevel=5)
        chosen = following


def _auto_precision(kind: Kind, graph: Graph, video: bool) -> str:
    """What "auto" stands for on a CPU."""
    if kind.name != "cpu" or not video:
        return kind.precisions[0]
    from fastsr.engines import cpu

    return cpu.video_precision(graph)


def _exact(kind: Kind, graph: Graph, device: str, tile: int | None) -> Engine:
    """What a precision is probed against: fp32, for a GPU by the native engine, which takes no time to build."""
    from fastsr.engines import cpu

    if device == "cuda" and cpu.unsupported(graph) is None:
        kind, device, tile = REGISTRY["cpu"], "cpu", None
    return kind.builder()(graph, device, "fp32", tile)


def probe(engine: Engine, exact: Engine, graph: Graph) -> str | None:
    """What is wrong with `engine` on a small fixed picture, or None: NaN or black, or too far from the fp32 engine."""
    side = max(32, graph.alignment * 8)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [0.5 + 0.5 * np.sin(a * x + b * y) for a, b in ((9, 2), (3, 17), (25, 11))]
    picture = np.stack(waves[: graph.channels], axis=-1).astype(np.float32)
    made, expected = engine.run(picture), exact.run(picture)
    error = float(np.abs(made - expected).mean()) * 255
    bound = PROBE_BOUNDS[engine.precision]
    if np.isfinite(error) and error <= bound:
        return None
    if not made.any() and expected.any():
        return "gives a black picture"
    return f"is {error:.2f} levels of 255 away from fp32 (at most {bound})"


def check(device: str, precision: str, engine: str, tile: int | None) -> None:
    """Raise EngineError, naming what there is, for values that `build` does not know, in the environment too."""
    environment.check()
    _known("device", device, DEVICES)
    _known("precision", precision, PRECISIONS)
    if engine != "auto":
        _known("engine", engine, tuple(REGISTRY))
    if tile is not None and (not isinstance(tile, (int, np.integer)) or isinstance(tile, bool) or tile < 1):
        raise EngineError(f"tile {tile!r} is not a number of pixels; use a whole number such as 256")


def _known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise EngineError(f"unknown {what} {value!r}; known: {', '.join(known)}")
