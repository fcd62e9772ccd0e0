"""The engine files of `fastsr export --tensorrt`: what they say of their generator, and such a file as an engine."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsr.engines.gpu import discovery
from fastsr.engines.protocol import Engine
from fastsr.engines.tensorrt import engine_file
from fastsr.engines.tensorrt.engine_file import Description
from fastsr.errors import EngineError
from fastsr.network.graph import MAX_ALIGNMENT, MAX_FIXED_SIDE, MAX_SCALE, Graph
from fastsr.network.output_head import MAX_RUN, HeadlessGraph
from fastsr.tiling.bounds import Bounds

if TYPE_CHECKING:
    from fastsr.engines.gpu.device import Device, Network
    from fastsr.engines.tensorrt.network import TensorRTNetwork

KEY = "generator"  # of the description
MAX_RADIUS = 1 << 20
SIDE = 32  # of the image that a loaded engine is tried on


def described(graph: Graph, headless: HeadlessGraph) -> Description:
    """What running an engine takes to know of the generator: `graph`, of which the engine is `headless.body`."""
    return {
        KEY: {
            "channels": graph.channels,
            "scale": graph.scale,
            "radius": graph.radius,
            "alignment": graph.alignment,
            "fixed_size": None if graph.fixed_size is None else list(graph.fixed_size),
            "fixed_batch": graph.fixed_batch,
            "cost": graph.cost,
            "factor": headless.factor,
            "residual": headless.residual,
        }
    }


def load(path: Path, device: str, precision: str, engine: str, bounds: Bounds) -> tuple[Graph, Engine]:
    """A generator, without its operators, and the engine of a file.

    Args:
        path: of the file.
        device: "auto" or "cuda".
        precision: "auto", or what the engine was built at.
        engine: "auto" or "tensorrt".
        bounds: as for `fastsr.load`.

    Raises:
        EngineError: the file is not whole, was built for something else than what is asked for or is there, or makes
            no image; names the file.

    """
    description, content = engine_file.read(path)
    graph, headless = _generator(path, description)
    built = str(description.get("precision"))
    if device not in ("auto", "cuda") or engine not in ("auto", "tensorrt"):
        asked = f"device {device!r}" if device not in ("auto", "cuda") else f"engine {engine!r}"
        raise EngineError(
            f"{path}: is a TensorRT engine, which {asked} cannot run; leave it out, or load an ONNX model"
        )
    if precision not in ("auto", built):
        raise EngineError(
            f"{path}: was built at {built}, not at {precision}; leave the precision out, or export it anew"
        )
    try:
        discovery.find()
    except EngineError as error:
        raise EngineError(
            f"{path}: is a TensorRT engine, which runs on an NVIDIA GPU alone ({error}); "
            "elsewhere load the ONNX model that it was built from"
        ) from None
    from fastsr.engines.gpu.frame_engine import FrameEngine
    from fastsr.engines.tensorrt.network import loaded

    network = loaded(path, description, content)
    _check_shapes(path, network, headless)
    made = FrameEngine("tensorrt", graph, headless, *_on_gpu(network, headless), built, *bounds)
    _try(path, made, graph)
    return graph, made


def _generator(path: Path, description: Description) -> tuple[Graph, HeadlessGraph]:
    """A graph with all but operators and weights, and what the engine leaves to the store."""
    try:
        told = description[KEY]
        numbers = {key: _whole(told[key]) for key in ("channels", "scale", "alignment", "factor")}
        channels, scale, alignment, factor = numbers.values()
        radius = None if told["radius"] is None else _whole(told["radius"], 0)
        batch = None if told["fixed_batch"] is None else _whole(told["fixed_batch"])
        fixed = None if told["fixed_size"] is None else tuple(_whole(side) for side in told["fixed_size"])
        cost, residual, name = float(told["cost"]), told["residual"], str(description["name"])
        right = (
            channels in (1, 3)
            and max(scale / MAX_SCALE, alignment / MAX_ALIGNMENT, (radius or 0) / MAX_RADIUS) <= 1
            and (fixed is None or (len(fixed) == 2 and max(fixed) <= MAX_FIXED_SIDE))
            and batch in (None, 1)
            and math.isfinite(cost)
            and residual in ("none", "nearest", "bilinear")
            and scale % factor == 0
            and (factor == 1 or factor * channels <= MAX_RUN)
            and (residual == "none" or factor == scale)
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        right = False
    if not right:
        raise EngineError(f"{path}: does not say what generator it is, as one of this fastsr does; export it anew")
    graph = Graph(
        path=path,
        digest=str(description.get("model")),
        nodes=(),
        weights={},
        opset=0,
        input="",
        output="",
        channels=channels,
        dtype=np.dtype(np.float32),
        fixed_size=fixed,  # type: ignore[arg-type]
        fixed_batch=batch,
        scale=scale,
        radius=radius,
        alignment=alignment,
        cost=cost,
        metadata={"name": name},
        serialized=engine_file.canonical(description),
    )
    return graph, HeadlessGraph(dataclasses.replace(graph, scale=scale // factor), factor, residual)


def _on_gpu(network: TensorRTNetwork, headless: HeadlessGraph) -> tuple[Network, Device]:
    from fastsr.engines.gpu.cuda_core import CoreDevice  # it needs cuda-core
    from fastsr.engines.tensorrt.engine import TensorRTBatches

    core = CoreDevice()
    return TensorRTBatches(network, headless, core), core


def _whole(value: Any, least: int = 1) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!r} is no number from {least}")
    return value


def _check_shapes(path: Path, network: TensorRTNetwork, headless: HeadlessGraph) -> None:
    """Raise EngineError unless the engine makes what the store is going to read."""
    batch, height, width = network.least
    body = headless.body
    x, y = network.shapes(batch, height, width)
    expected = (batch, body.channels * headless.factor**2, height * body.scale, width * body.scale)
    if x != (batch, body.channels, height, width) or y != expected:
        raise EngineError(f"{path}: makes {y} of {x} where {expected} was expected; export it anew")


def _try(path: Path, engine: Engine, graph: Graph) -> None:
    """Raise EngineError where the engine makes no image; it has no fp32 form to be compared with."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    image = np.stack([(x + y) / 2] * graph.channels, axis=-1).astype(np.float32)
    made = engine.run(image)
    if not np.isfinite(made).all() or not made.any():
        raise EngineError(f"{path}: makes no image but black or NaN here; export it anew, or at fp32")
