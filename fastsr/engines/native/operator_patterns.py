"""Chains of operators that exporters write for one function or one normalization, as one operator each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.network.graph import Node

NORMALIZATION = "ChannelNormalization"  # attributes: centred, epsilon; gains and offsets, None where there are none
FUSED_FUNCTIONS = {"Silu": "silu", "CentredSigmoid": "centred_sigmoid", "GeluTanh": "gelu_tanh", "GeluErf": "gelu"}
_NOTHING = ("Identity", "Dropout")
_FLOAT = 1  # ONNX's number of the type
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # channels
_CLOSE = 1e-3
_MAX_DEPTH = 3  # of products in one function

Array = npt.NDArray[Any]
_Found = tuple[Node, list[Node]]  # the one operator, and those of the chain but the last


def recognized(nodes: list[Node], weights: Mapping[str, Array], output: str) -> tuple[list[Node], dict[str, str]]:
    """The same network in fewer operators; and what each name of a tensor that is another one's stands for."""
    kept, same = _without_nothing(nodes, output)
    return _Patterns(kept, weights, output).fused(), same


def _without_nothing(nodes: list[Node], output: str) -> tuple[list[Node], dict[str, str]]:
    same: dict[str, str] = {}
    kept = []
    for node in nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        nothing = node.op in _NOTHING or (node.op == "Cast" and node.attributes.get("to") == _FLOAT)
        if nothing and node.outputs[0] != output:
            same[node.outputs[0]] = inputs[0]
        else:
            op = "Identity" if nothing else node.op
            kept.append(Node(op, inputs, node.outputs[:1] if nothing else node.outputs, node.attributes))
    return kept, same


class _Patterns:
    """Finds chains backward from their last operator; what is inside of one must be read by nothing else."""

    def __init__(self, nodes: list[Node], weights: Mapping[str, Array], output: str) -> None:
        self._nodes, self._weights = nodes, weights
        self._makers = {name: node for node in nodes for name in node.outputs}
        self._reads = Counter(name for node in nodes for name in node.inputs)
        self._reads[output] += 1

    def fused(self) -> list[Node]:
        finders: tuple[Callable[[Node], _Found | None], ...] = (
            self._silu,
            self._mish,
            self._centred_sigmoid,
            self._gelu,
            self._layer_normalization,
            self._transposed_normalization,
            self._normalization,
        )
        replaced: dict[int, Node] = {}
        dropped: set[int] = set()
        for node in reversed(self._nodes):
            if id(node) in dropped:
                continue
            for find in finders:
                found = find(node)
                if found is not None and self._whole(node, found[1]):
                    replaced[id(node)] = found[0]
                    dropped |= {id(inner) for inner in found[1]}
                    break
        return [replaced.get(id(node), node) for node in self._nodes if id(node) not in dropped]

    def _whole(self, root: Node, inner: list[Node]) -> bool:
        """Whether nothing but the chain itself reads what its inner operators make."""
        inside = Counter(name for node in [root, *{id(n): n for n in inner}.values()] for name in node.inputs)
        return all(self._reads[name] == inside[name] for node in inner for name in node.outputs)

    # ---- what is read ----

    def _maker(self, name: str, *ops: str) -> Node | None:
        node = self._makers.get(name)
        return node if node is not None and node.op in ops else None

    def _number(self, name: str) -> float | None:
        """A stored operand that is one number."""
        value = self._weights.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def _is(self, name: str, number: float) -> bool:
        value = self._number(name)
        return value is not None and math.isclose(value, number, rel_tol=_CLOSE)

    def _with_number(self, node: Node) -> tuple[str, float] | None:
        """The tensor and the number that an operator of two operands reads."""
        if len(node.inputs) != 2:
            return None
        for image, stored in (node.inputs, node.inputs[::-1]):
            value = self._number(stored)
            if value is not None and image not in self._weights:
                return image, value
        return None

    # ---- functions ----

    def _silu(self, root: Node) -> _Found | None:
        if root.op != "Mul":
            return None
        for gate, x in (root.inputs, root.inputs[::-1]):
            sigmoid = self._maker(gate, "Sigmoid")
            if sigmoid is not None and sigmoid.inputs[0] == x:
                return Node("Silu", (x,), root.outputs, {}), [sigmoid]
        return None

    def _mish(self, root: Node) -> _Found | None:
        if root.op != "Mul":
            return None
        for gate, x in (root.inputs, root.inputs[::-1]):
            tanh = self._maker(gate, "Tanh")
            softplus = None if tanh is None else self._maker(tanh.inputs[0], "Softplus")
            if tanh is not None and softplus is not None and softplus.inputs[0] == x:
                return Node("Mish", (x,), root.outputs, {}), [tanh, softplus]
        return None

    def _centred_sigmoid(self, root: Node) -> _Found | None:
        read = self._with_number(root) if root.op in ("Add", "Sub") else None
        if read is None or root.inputs[0] != read[0] or read[1] != (0.5 if root.op == "Sub" else -0.5):
            return None
        sigmoid = self._maker(read[0], "Sigmoid")
        return None if sigmoid is None else (Node("CentredSigmoid", sigmoid.inputs, root.outputs, {}), [sigmoid])

    def _gelu(self, root: Node) -> _Found | None:
        """Products of x, 0.5 and 1 + erf(x / sqrt 2) or 1 + tanh(...), in any order."""
        if root.op not in ("Mul", "Div"):
            return None
        factor, names, inner = self._factors(root)
        if len(names) != 2 or not math.isclose(factor, 0.5, rel_tol=_CLOSE):
            return None
        for gate, x in (names, names[::-1]):
            plus = self._maker(gate, "Add")
            read = None if plus is None else self._with_number(plus)
            if plus is None or read is None or read[1] != 1:
                continue
            curve = self._maker(read[0], "Erf", "Tanh")
            if curve is None:
                continue
            inside = self._scaled(curve.inputs[0], x) if curve.op == "Erf" else self._tanh_argument(curve.inputs[0], x)
            if inside is not None:
                op = "GeluErf" if curve.op == "Erf" else "GeluTanh"
                return Node(op, (x,), root.outputs, {}), [*inner, plus, curve, *inside]
        return None

    def _factors(self, node: Node, depth: int = 0) -> tuple[float, list[str], list[Node]]:
        """What a tree of products multiplies: a number and tensors; and the operators below the first."""
        number = 1.0
        names: list[str] = []
        inner: list[Node] = []
        read = self._with_number(node)
        if node.op == "Div":
            if read is None or node.inputs[0] != read[0] or read[1] == 0:
                return 1.0, [node.outputs[0]], []
            number /= read[1]
        elif read is not None:
            number *= read[1]
        for name in node.inputs if read is None else read[:1]:
            maker = self._maker(name, "Mul", "Div")
            if maker is None or self._reads[name] != 1 or depth == _MAX_DEPTH:
                names.append(name)
                continue
            below, more, nodes = self._factors(maker, depth + 1)
            number, names, inner = number * below, [*names, *more], [*inner, *nodes]
            if more != [name]:
                inner.append(maker)
        return number, names, inner

    def _scaled(self, name: str, x: str) -> list[Node] | None:
        """X / sqrt 2."""
        maker = self._maker(name, "Div", "Mul")
        read = None if maker is None else self._with_number(maker)
        if maker is None or read is None or read[0] != x:
            return None
        number = read[1] if maker.op == "Mul" else 1 / read[1] if read[1] and maker.inputs[0] == x else 0.0
        return [maker] if math.isclose(number, 0.5**0.5, rel_tol=_CLOSE) else None

    def _tanh_argument(self, name: str, x: str) -> list[Node] | None:
        """sqrt(2 / pi) (x + 0.044715 x^3)."""
        outer = self._maker(name, "Mul")
        read = None if outer is None else self._with_number(outer)
        if outer is None or read is None or not math.isclose(read[1], (2 / math.pi) ** 0.5, rel_tol=_CLOSE):
            return None
        plus = self._maker(read[0], "Add")
        if plus is None or x not in plus.inputs:
            return None
        scaled = self._maker(plus.inputs[1 - plus.inputs.index(x)], "Mul")
        term = None if scaled is None else self._with_number(scaled)
        if scaled is None or term is None or not math.isclose(term[1], 0.044715, rel_tol=_CLOSE):
            return None
        power = self._maker(term[0], "Pow")
        if power is None or power.inputs[0] != x or not self._is(power.inputs[1], 3):
            return None
        return [outer, plus, scaled, power]

    # ---- normalization over channels ----

    def _layer_normalization(self, root: Node) -> _Found | None:
        """LayerNormalization of the last axis, to which a transposition brings the channels and back."""
        if not _transposes(root, _TO_FIRST):
            return None
        node = self._maker(root.inputs[0], "LayerNormalization")
        first = None if node is None else self._maker(node.inputs[0], "Transpose")
        if (
            node is None
            or first is None
            or not _transposes(first, _TO_LAST)
            or len([n for n in node.outputs if n]) != 1
        ):
            return None
        if node.attributes.get("axis", -1) not in (-1, 3):
            return None
        gains, offsets = (self._weights.get(name) if name else None for name in (*node.inputs[1:], "")[:2])
        if gains is None:
            return None
        made = _normalization_node(first.inputs[0], root, True, node.attributes.get("epsilon", 1e-5), gains, offsets)
        return made, [node, first]

    def _transposed_normalization(self, root: Node) -> _Found | None:
        """The same written out: between transpositions, over the last axis, with gains and offsets behind it."""
        if not _transposes(root, _TO_FIRST):
            return None
        name, inner = root.inputs[0], []
        values: dict[str, Array | None] = {"Add": None, "Mul": None}
        for op in ("Add", "Mul"):
            node = self._maker(name, op)
            vector = None if node is None else next((n for n in node.inputs if n in self._weights), None)
            if node is None or vector is None or self._weights[vector].ndim > 1:
                continue
            values[op] = self._weights[vector]
            inner.append(node)
            name = node.inputs[1 - node.inputs.index(vector)]
        divided = self._makers.get(name)
        found = None if divided is None else self._divided(divided, (-1, 3))
        if divided is None or found is None:
            return None
        x, centred, epsilon, nodes = found
        first = self._maker(x, "Transpose")
        if first is None or not _transposes(first, _TO_LAST):
            return None
        made = _normalization_node(first.inputs[0], root, centred, epsilon, values["Mul"], values["Add"])
        return made, [*inner, divided, *nodes, first]

    def _normalization(self, root: Node) -> _Found | None:
        found = self._divided(root, (1, -3))
        if found is None:
            return None
        x, centred, epsilon, nodes = found
        return _normalization_node(x, root, centred, epsilon, None, None), nodes

    def _divided(self, root: Node, axes: tuple[int, int]) -> tuple[str, bool, float, list[Node]] | None:
        """X - mean over sqrt(variance + epsilon), or times its reciprocal, over one axis; or the same with no mean.

        Returns x, whether there is a mean, epsilon and the inner operators.
        """
        if root.op not in ("Div", "Mul"):
            return None
        pairs = (root.inputs,) if root.op == "Div" else (root.inputs, root.inputs[::-1])
        for apart, scale in pairs:
            under = self._under_root(scale, root.op == "Mul")
            if under is None:
                continue
            name, epsilon, inner = under
            mean = self._mean(name, axes)
            square = None if mean is None else self._squared(mean.inputs[0])
            if mean is None or square is None:
                continue
            squared, nodes = square
            inner = [*inner, mean, *nodes]
            above, below = (self._centred(n, axes) for n in (apart, squared))
            if above is not None and below is not None and above[0] == below[0]:
                return above[0], True, epsilon, [*inner, *above[1], *below[1]]
            if apart == squared:
                return apart, False, epsilon, inner
        return None

    def _under_root(self, name: str, inverse: bool) -> tuple[str, float, list[Node]] | None:
        """Of sqrt(value + epsilon), or of one over it, the value and epsilon."""
        inner = []
        if inverse:
            node = self._maker(name, "Reciprocal", "Div", "Pow")
            if node is None or (node.op == "Div" and not self._is(node.inputs[0], 1)):
                return None
            inner.append(node)
            name = node.inputs[1] if node.op == "Div" else node.inputs[0]
            root = node if node.op == "Pow" and self._is(node.inputs[1], -0.5) else self._maker(name, "Sqrt")
        else:
            root = self._maker(name, "Sqrt", "Pow")
            if root is not None and root.op == "Pow" and not self._is(root.inputs[1], 0.5):
                return None
        if root is None:
            return None
        plus = self._maker(root.inputs[0], "Add")
        read = None if plus is None else self._with_number(plus)
        return None if plus is None or read is None else (read[0], read[1], [*inner, root, plus])

    def _mean(self, name: str, axes: tuple[int, int]) -> Node | None:
        node = self._maker(name, "ReduceMean")
        if node is None or node.attributes.get("keepdims", 1) != 1:
            return None
        over = node.attributes.get("axes")
        if len(node.inputs) > 1:
            stored = self._weights.get(node.inputs[1])
            over = None if stored is None else stored.reshape(-1).tolist()
        return node if over is not None and len(over) == 1 and over[0] in axes else None

    def _squared(self, name: str) -> tuple[str, list[Node]] | None:
        node = self._maker(name, "Pow", "Mul")
        if node is None:
            return None
        square = self._is(node.inputs[1], 2) if node.op == "Pow" else node.inputs[0] == node.inputs[1]
        return (node.inputs[0], [node]) if square else None

    def _centred(self, name: str, axes: tuple[int, int]) -> tuple[str, list[Node]] | None:
        """Of a tensor less its mean, the tensor."""
        node = self._maker(name, "Sub")
        mean = None if node is None else self._mean(node.inputs[1], axes)
        if node is None or mean is None or mean.inputs[0] != node.inputs[0]:
            return None
        return node.inputs[0], [node, mean]


def _transposes(node: Node, order: tuple[int, ...]) -> bool:
    return node.op == "Transpose" and tuple(node.attributes.get("perm", ())) == order


def _normalization_node(
    source: str, root: Node, centred: bool, epsilon: float, gains: Array | None, offsets: Array | None
) -> Node:
    gains, offsets = (None if values is None else np.asarray(values, np.float32) for values in (gains, offsets))
    attributes = {"centred": centred, "epsilon": float(epsilon), "gains": gains, "offsets": offsets}
    return Node(NORMALIZATION, (source,), root.outputs, attributes)
