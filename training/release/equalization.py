"""Channels made equally large before they are quantized, by factors that are folded into weights.

All channels of a tensor are quantized with one scale, and so are all tensors of a concatenation, which lie in one ring
(docs/cpu-engine.md). Small ones then have few values: in an RRDB the dense layers' outputs reach up to forty times as
far as the trunk beside them. What a convolution makes may be multiplied by a factor for each channel if those that read
it divide their weights by it (Nagel et al. 2019). Factors are powers of two, which change no digit of a float: in fp32
the network gives the same bits as before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx

from fastsr.network.graph import Graph, Node

Array = npt.NDArray[np.float32]
Peaks = dict[str, npt.NDArray[np.float64]]  # of each channel of a tensor, the largest magnitude

# Operators whose result grows with what they read, each channel by itself.
_PROPORTIONAL = ("Relu", "LeakyRelu", "PRelu", "Resize", "Identity", "Dropout")
_LARGEST = 10  # of a factor, as a power of two


def parts(graph: Graph, name: str) -> list[str]:
    """The tensors that a concatenation consists of; a tensor alone where it is none, or one with the input in it."""
    joined = {node.outputs[0]: node.inputs for node in graph.nodes if _concatenates(node)}

    def flattened(tensor: str) -> list[str]:
        return [part for n in joined[tensor] for part in flattened(n)] if tensor in joined else [tensor]

    found = flattened(name)
    return [name] if graph.input in found else found


def rings(graph: Graph, names: Iterable[str]) -> dict[str, list[str]]:
    """Of the tensors that those of `names` consist of: which are concatenated with one another, itself among them."""
    made: dict[str, list[str]] = {}
    for name in names:
        near = parts(graph, name)
        ring = list(dict.fromkeys(n for part in near for n in made.get(part, [part])))
        made.update(dict.fromkeys(ring, ring))
    return made


def equalized(graph: Graph, peaks: Peaks) -> tuple[Graph, dict[str, Array]]:
    """The network with channels of equal size, and the factors of each tensor of `peaks`, which are those in `rings`.

    Without concatenations it stays as it is: the scales of weights then do the same for each output.
    """
    if all(len(ring) == 1 for ring in rings(graph, peaks).values()) and not any(map(_concatenates, graph.nodes)):
        return graph, {name: np.ones(len(values), np.float32) for name, values in peaks.items()}
    model = onnx.load_model_from_string(graph.serialized)
    stored = {w.name: w for w in model.graph.initializer if w.data_type == onnx.TensorProto.FLOAT}
    streams = _Streams(graph, stored.keys())
    factors = streams.factors(peaks)
    weights = streams.weights(factors)
    for name, values in weights.items():
        stored[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    made = dataclasses.replace(graph, weights=graph.weights | weights, serialized=model.SerializeToString())
    return made, factors


def _concatenates(node: Node) -> bool:
    return node.op == "Concat" and node.attributes.get("axis") in (1, -3)


@dataclasses.dataclass
class _Stream:
    """Tensors whose channels have the same factors, because they are added to one another or made of one another."""

    channels: int
    tensors: set[str]
    fixed: bool = False  # without factors


class _Streams:
    """A network's streams, and the convolutions that begin and end them."""

    def __init__(self, graph: Graph, replaceable: Iterable[str]) -> None:
        """`replaceable`: the names of the weights that may be changed."""
        self._graph = graph
        self._streams: dict[str, _Stream] = {}
        self._parts: dict[str, list[str]] = {}  # of concatenations
        self._convolutions: list[Node] = []
        used = [name for node in graph.nodes for name in node.inputs]
        self._free = {name for name in replaceable if name in graph.weights and used.count(name) == 1}
        for node in graph.nodes:
            self._follow(node)
        self._fix(graph.output)

    def _fix(self, name: str) -> None:
        for part in self._parts.get(name, [name]):
            if part in self._streams:
                self._streams[part].fixed = True

    def _follow(self, node: Node) -> None:
        read = [name for name in node.inputs if name in self._streams or name in self._parts]
        if node.op == "Conv" and node.attributes.get("group", 1) == 1 and {*node.inputs[1:]} - {""} <= self._free:
            self._convolutions.append(node)
            channels = len(self._graph.weights[node.inputs[1]])
            self._streams[node.outputs[0]] = _Stream(channels, {node.outputs[0]})
        elif _concatenates(node) and read == list(node.inputs):
            self._parts[node.outputs[0]] = [part for name in read for part in self._parts.get(name, [name])]
        elif self._is_proportional(node, read):
            self._join(node.outputs[0], read)
        else:
            for name in read:
                self._fix(name)

    def _is_proportional(self, node: Node, read: list[str]) -> bool:
        """Whether what an operator makes is of the same stream as what it reads."""
        channels = {self._streams[name].channels if name in self._streams else 0 for name in read}
        if len(channels) != 1 or 0 in channels:
            return False
        if node.op in ("Add", "Sub"):
            return read == list(node.inputs)
        constants = all(name in self._graph.weights for name in node.inputs[1:] if name)
        if node.op == "Mul" and read == [node.inputs[1]]:
            return node.inputs[0] in self._graph.weights
        return node.op in (*_PROPORTIONAL, "Mul", "Div") and read == [node.inputs[0]] and constants

    def _join(self, made: str, read: list[str]) -> None:
        stream = self._streams[read[0]]
        for name in read[1:]:
            other = self._streams[name]
            if other is not stream:
                stream.fixed |= other.fixed
                stream.tensors |= other.tensors
                self._streams.update(dict.fromkeys(other.tensors, stream))
        stream.tensors.add(made)
        self._streams[made] = stream

    def factors(self, peaks: Peaks) -> dict[str, Array]:
        """Of each tensor of `peaks` the factors with which its channels are about as large as the ring's largest."""
        near = rings(self._graph, [*self._parts, *peaks])
        free = {id(s): s for s in self._streams.values() if not s.fixed}
        held = {key: [name for name in peaks if name in stream.tensors] for key, stream in free.items()}
        decided = {name: values for name, values in peaks.items() if id(self._streams.get(name)) not in free}
        exponents: dict[int, npt.NDArray[np.float64]] = {}
        # What lies in the most rings first: the others suit it.
        for key in sorted(held, key=lambda key: -len(held[key])):
            wanted = []
            for name in held[key]:
                ring = [decided[n] for n in near[name] if n in decided] or [peaks[name]]
                target = max(float(values.max()) for values in ring)
                if target > 0:
                    wanted.append(np.log2(target / np.where(peaks[name] > 0, peaks[name], target)))
            if wanted:
                exponents[key] = np.clip(np.floor(np.mean(wanted, axis=0)), -_LARGEST, _LARGEST)
                decided |= {name: peaks[name] * 2 ** exponents[key] for name in held[key]}
        made = {}
        for name, values in peaks.items():
            exponent = exponents.get(id(self._streams.get(name)), np.zeros(len(values)))
            made[name] = np.exp2(exponent).astype(np.float32)
        return made

    def weights(self, factors: dict[str, Array]) -> dict[str, Array]:
        """The weights of the convolutions, by name, with such factors of what they make and read."""
        of_stream = {id(self._streams[name]): values for name, values in factors.items() if name in self._streams}

        def factor(name: str, channels: int) -> Array:
            stream = self._streams.get(name)
            ones = np.ones(channels if stream is None else stream.channels, np.float32)
            return of_stream.get(id(stream), ones)

        made = {}
        for node in self._convolutions:
            kernel = self._graph.weights[node.inputs[1]]
            read = self._parts.get(node.inputs[0], [node.inputs[0]])
            below = np.concatenate([factor(name, kernel.shape[1]) for name in read])
            above = factor(node.outputs[0], len(kernel))
            made[node.inputs[1]] = kernel * above[:, None, None, None] / below[:, None, None]
            if len(node.inputs) > 2 and node.inputs[2]:
                made[node.inputs[2]] = self._graph.weights[node.inputs[2]] * above
        return made
