"""Which runtime a generator goes to that the native engine does not run: tried once on this machine, and remembered."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import time
from typing import Any

import numpy as np

from fastsr import _core, files
from fastsr.engines.protocol import Engine
from fastsr.engines.registry import REGISTRY
from fastsr.errors import FastsrError
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds

USUAL, OTHER = "onnxruntime", "openvino"
SIDE = 64  # pixels of the image that both are timed on
RUNS = 3
LARGEST_DIFFERENCE = 1e-4  # between the two; where it is more, the usual one is taken
GAIN = 1.1  # times that the other one must be faster to be taken


def faster(graph: Graph) -> str:
    """The runtime to take in fp32: the usual one, unless another is installed, as exact and faster on this machine.

    Both are timed the first time; what came out is kept in `runtimes.json` in the folder of caches.
    """
    if importlib.util.find_spec(OTHER) is None:
        return USUAL
    if importlib.util.find_spec(USUAL) is None:
        return OTHER
    key = _key(graph)
    known = _known()
    if key not in known:
        known[key] = _measured(graph)
        with contextlib.suppress(OSError, RuntimeError):  # where it cannot be kept it is measured again
            files.cache_folder().mkdir(parents=True, exist_ok=True)
            files.replace(files.cache_folder() / "runtimes.json", json.dumps(known, indent=1).encode())
    return str(known[key]["runtime"])


def remembered(graph: Graph) -> str:
    """The runtime that `faster` has found for a generator before, else the usual one; nothing is timed."""
    installed = importlib.util.find_spec(OTHER) is not None and importlib.util.find_spec(USUAL) is not None
    entry = _known().get(_key(graph)) if installed else None
    return USUAL if entry is None else str(entry["runtime"])


def _key(graph: Graph) -> str:
    """All that the times depend on."""
    import importlib.metadata  # takes a while

    versions = [importlib.metadata.version(name) for name in (USUAL, OTHER)]
    told = [graph.digest, *versions, _core.active_isa(), _core.thread_count()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _known() -> dict[str, dict[str, Any]]:
    try:
        kept = json.loads((files.cache_folder() / "runtimes.json").read_bytes())
        return {key: entry for key, entry in kept.items() if entry["runtime"] in (USUAL, OTHER)}
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _measured(graph: Graph) -> dict[str, Any]:
    """Which one, and the seconds that each took."""
    height, width = graph.fixed_size or (-(-SIDE // graph.alignment) * graph.alignment,) * 2
    image = np.random.default_rng(0).random((height, width, graph.channels), np.float32)
    try:
        other = REGISTRY[OTHER].builder()(graph, "cpu", "fp32", Bounds())
        usual = REGISTRY[USUAL].builder()(graph, "cpu", "fp32", Bounds())
        apart = float(np.abs(other.run(image) - usual.run(image)).max())
    except FastsrError:
        return {"runtime": USUAL}
    seconds = {engine.name: _seconds(engine, image) for engine in (usual, other)}
    taken = OTHER if apart <= LARGEST_DIFFERENCE and seconds[USUAL] > GAIN * seconds[OTHER] else USUAL
    return {"runtime": taken, "seconds": seconds, "apart": apart}


def _seconds(engine: Engine, image: np.ndarray[Any, Any]) -> float:
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        engine.run(image)
        taken.append(time.perf_counter() - start)
    return min(taken)
