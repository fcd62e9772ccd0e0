"""Which engine runs a model here, and at which precision: what "auto" stands for, and what happens when one fails."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from fastsr import environment
from fastsr.engines import runtime_choice
from fastsr.engines.gpu import discovery
from fastsr.engines.precision_probe import probe
from fastsr.engines.protocol import DEVICES, PRECISIONS, Engine, GpuEngine
from fastsr.engines.registry import REGISTRY, EngineSpec, current_name
from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds

GPU_PRECISION = "fp16"  # what "auto" stands for on a GPU
ON_GPU = ("tensorrt", "torch")  # in order of preference
FALLBACKS = {
    "int8": ("fp16", "fp32"),
    "fp16": ("fp32",),
    "bf16": ("fp32",),
    "fp32": (),
}  # when a precision fails its probe


def build(
    graph: Graph, device: str, precision: str, engine: str, bounds: Bounds, wait: bool = True, video: bool = False
) -> Engine:
    """The engine that was asked for, or for "auto" the first that serves the device, probed when below fp32.

    Device "auto" is a GPU where there is one and an engine for it, else the CPU. Precision "auto" is fp32 on a CPU; for
    `video` it may be a faster one that the model's card proves (`native.engine.video_precision`). Without `wait`, an
    engine that takes long to build is built in the background while another serves. Raises EngineError as `check`,
    and for what is not available here.
    """
    check(device, precision, engine)
    if engine != "auto":
        spec = REGISTRY[current_name(engine)]
        where = _gpu_first(spec) if device == "auto" else device
        return _build_with_fallback(spec, graph, where, precision, bounds, video)
    if device == "cuda" or (device == "auto" and discovery.present()):
        try:
            return _on_gpu(graph, precision, bounds, wait)
        except EngineError as error:
            if device == "cuda":
                raise
            _say_once(f"the GPU is not used: {error}")
    return _build_with_fallback(_on_cpu(graph, precision), graph, "cpu", precision, bounds, video)


def from_file(
    path: Path, device: str, precision: str, engine: str, bounds: Bounds, realism: float | None, blend: float
) -> tuple[Graph, Engine]:
    """The generator and the engine of a file that `fastsr export --tensorrt` wrote. Raises EngineError; names it."""
    if realism is not None or blend != 1:
        which = "blend" if realism is None else "realism"
        raise EngineError(f"{path}: is an engine, whose weights are fixed; for a choice of {which} load the ONNX model")
    from fastsr.engines.tensorrt import exported_engine

    return exported_engine.load(path, device, precision, engine, bounds)


def _on_cpu(graph: Graph, precision: str) -> EngineSpec:
    """The native engine where it knows the graph and the precision, else the one that does."""
    from fastsr.engines.native import engine

    if precision != "auto" and precision not in engine.precisions():
        return REGISTRY["torch"]
    reason = engine.unsupported(graph)
    if reason is None:
        return REGISTRY["cpu"]
    name = "torch" if precision == "bf16" else "onnxruntime"
    if precision in ("auto", "fp32"):
        name = runtime_choice.faster(graph)
    other = REGISTRY[name]
    try:
        other.builder()
    except EngineError as error:
        raise EngineError(f"{graph.path}: the native engine cannot run it ({reason}), and {error}") from None
    _say_once(f"{graph.path}: the native engine cannot run it ({reason}); {other.name} does, more slowly")
    return other


def _on_gpu(graph: Graph, precision: str, bounds: Bounds, wait: bool) -> GpuEngine:
    """The first engine that serves the GPU; what is missing for a better one is said once."""
    reasons: list[str] = []
    best, *others = ON_GPU
    if not wait:
        from fastsr.engines.background_build import UpgradingEngine

        try:
            first = _first(others, graph, precision, bounds, reasons)
        except EngineError:
            reasons.clear()  # nothing can serve meanwhile
        else:
            return UpgradingEngine(first, lambda: _gpu_engine(best, graph, precision, bounds))
    return _first(ON_GPU, graph, precision, bounds, reasons)


def _first(names: Iterable[str], graph: Graph, precision: str, bounds: Bounds, reasons: list[str]) -> GpuEngine:
    for name in names:
        try:
            made = _gpu_engine(name, graph, precision, bounds)
        except (EngineError, ModelError) as error:
            reasons.append(str(error))
            continue
        if reasons:
            _say_once(f"the {name} engine is used: {'; '.join(reasons)}")
        return made
    raise EngineError("; ".join(reasons))


def _gpu_engine(name: str, graph: Graph, precision: str, bounds: Bounds) -> GpuEngine:
    return cast(GpuEngine, _build_with_fallback(REGISTRY[name], graph, "cuda", precision, bounds))


def _gpu_first(spec: EngineSpec) -> str:
    return "cuda" if "cuda" in spec.devices and ("cpu" not in spec.devices or discovery.present()) else "cpu"


@functools.cache
def _say_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=6)


def _build_with_fallback(
    spec: EngineSpec, graph: Graph, device: str, precision: str, bounds: Bounds, video: bool = False
) -> Engine:
    """An engine of one spec, at the precision asked for or the next one that passes its probe."""
    if device not in spec.devices:
        raise EngineError(f"engine {spec.name!r} does not run on {device!r}; it runs on: {', '.join(spec.devices)}")
    chosen = precision
    if precision == "auto":
        chosen = GPU_PRECISION if device == "cuda" else _auto_precision(spec, graph, video)
    if chosen not in spec.precisions:
        raise EngineError(
            f"engine {spec.name!r} does not offer precision {chosen!r}; it offers: {', '.join(spec.precisions)}"
        )
    make = spec.builder()
    while True:
        try:
            made = make(graph, device, chosen, bounds)
        except MemoryError:
            raise EngineError(f"{graph.path}: memory ran out while its engine was made; free some") from None
        fault = None if chosen == "fp32" else probe(made, _exact(spec, graph, device, bounds), graph)
        if fault is None:
            return made
        following = next(p for p in FALLBACKS[chosen] if p in spec.precisions)
        text = f"{graph.name}: {chosen} on {spec.name} {fault}; using {following} instead"
        warnings.warn(text, RuntimeWarning, stacklevel=5)
        chosen = following


def _auto_precision(spec: EngineSpec, graph: Graph, video: bool) -> str:
    """What "auto" stands for on a CPU."""
    if spec.name != "cpu" or not video:
        return spec.precisions[0]
    from fastsr.engines.native import engine

    return engine.video_precision(graph)


def _exact(spec: EngineSpec, graph: Graph, device: str, bounds: Bounds) -> Engine:
    """What a precision is probed against: fp32, for a GPU by the native engine, which takes no time to build."""
    from fastsr.engines.native import engine

    if device == "cuda" and engine.unsupported(graph) is None:
        spec, device, bounds = REGISTRY["cpu"], "cpu", Bounds()
    return spec.builder()(graph, device, "fp32", bounds)


def check(device: str, precision: str, engine: str) -> None:
    """Raise EngineError, naming what there is, for values that `build` does not know, in the environment too."""
    environment.check()
    _known("device", device, DEVICES)
    _known("precision", precision, PRECISIONS)
    if engine != "auto":
        _known("engine", current_name(engine), tuple(REGISTRY))


def _known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise EngineError(f"unknown {what} {value!r}; known: {', '.join(known)}")
