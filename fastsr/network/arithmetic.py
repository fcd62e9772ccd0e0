"""How much arithmetic a network is."""

from __future__ import annotations

import math

from fastsr.network.graph import Graph
from fastsr.network.receptive_field import Walk


def mflop_per_pixel(graph: Graph) -> float:
    """Millions of multiplications and additions for one input pixel, of convolutions alone, which are nearly all."""
    walk = Walk(graph.path, graph.nodes, graph.weights, graph.input, graph.channels)
    products = 0.0
    for node in graph.nodes:
        if node.op not in ("Conv", "ConvTranspose") or len(walk.shapes.get(node.inputs[1], ())) != 4:
            continue
        # each sample that a convolution makes, or that a transposed one reads, meets the whole kernel once
        at = node.outputs[0] if node.op == "Conv" else node.inputs[0]
        products += math.prod(walk.shapes[node.inputs[1]]) * float(walk.resolution.get(at, 0)) ** 2
    return 2 * products / 1e6
