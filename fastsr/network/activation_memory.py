"""How much a runtime holds at once while it runs a graph operator by operator: by the tensors that are still read."""

from __future__ import annotations

from collections import Counter

from fastsr.network.graph import Graph
from fastsr.network.receptive_field import Walk


def held_floats(graph: Graph) -> float:
    """Floats for each input pixel that live at the same time, at the operator where these are most.

    Behind an operator whose effect is not known the sizes are guesses.
    """
    walk = Walk(graph.path, graph.nodes, graph.weights, graph.input, graph.channels)

    def size(name: str) -> float:
        return float(walk.channels[name] * walk.resolution[name] ** 2) if name in walk.resolution else 0.0

    readers = Counter(name for node in graph.nodes for name in {*node.inputs})
    readers[graph.output] += 1
    held = most = size(graph.input)
    for node in graph.nodes:
        held += sum(size(name) for name in node.outputs if name)
        most = max(most, held)
        for name in {*node.inputs}:
            readers[name] -= 1
            if readers[name] == 0:
                held -= size(name)
        held -= sum(size(name) for name in node.outputs if name and not readers[name])
    return most
