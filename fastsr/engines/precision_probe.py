"""Whether a reduced precision can be trusted with a model on this machine: tried on a small image, against fp32."""

from __future__ import annotations

import numpy as np

from fastsr.engines.protocol import Engine
from fastsr.network.graph import Graph

# Largest mean error against fp32, in levels of 255, that a precision may show.
PROBE_BOUNDS = {"fp16": 0.5, "bf16": 1.0, "int8": 2.0}


def probe(engine: Engine, exact: Engine, graph: Graph) -> str | None:
    """What is wrong with `engine` on a small fixed image, or None: NaN or black, or too far from the fp32 engine."""
    side = max(32, graph.alignment * 8)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [0.5 + 0.5 * np.sin(a * x + b * y) for a, b in ((9, 2), (3, 17), (25, 11))]
    image = np.stack(waves[: graph.channels], axis=-1).astype(np.float32)
    made, expected = engine.run(image), exact.run(image)
    error = float(np.abs(made - expected).mean()) * 255
    bound = PROBE_BOUNDS[engine.precision]
    if np.isfinite(error) and error <= bound:
        return None
    if not made.any() and expected.any():
        return "gives a black image"
    return f"is {error:.2f} levels of 255 away from fp32 (at most {bound})"
