"""Operators that change each value on its own, and how they are gathered into as few steps as their order allows."""

from __future__ import annotations

import copy
import dataclasses
import enum

import numpy as np
import numpy.typing as npt

from fastsr.engines.native.draft import Draft, Unsupported
from fastsr.engines.native.operator_patterns import FUSED_FUNCTIONS
from fastsr.engines.native.program import Array, Epilogue, Pointwise, Size
from fastsr.network.graph import Graph, Node

Floats = npt.NDArray[np.float32]

_FUNCTIONS = {
    "Abs": "abs",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exp",
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Reciprocal": "reciprocal",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Tanh": "tanh",
    **FUSED_FUNCTIONS,
}
_POWERS = {1.0: "none", 2.0: "square", 3.0: "cube", 0.5: "sqrt", -1.0: "reciprocal"}
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


@dataclasses.dataclass
class Affine:
    """value * gains + offsets."""

    gains: Array  # per channel
    offsets: Array


@dataclasses.dataclass
class Function:
    """A function by its name in csrc/cpu/conv/kernels/functions.h."""

    name: str


@dataclasses.dataclass
class Slopes:
    """Negative values times these."""

    values: Floats  # per channel


@dataclasses.dataclass
class Product:
    """Times a tensor."""

    name: str


@dataclasses.dataclass
class Sum:
    """Plus a tensor."""

    name: str


@dataclasses.dataclass
class Clamp:
    """Within bounds."""

    low: float
    high: float


Change = Affine | Function | Slopes | Product | Sum | Clamp


class SingleValues:
    """Reads off a graph's operators what they do to single values."""

    def __init__(self, graph: Graph, draft: Draft) -> None:
        self._graph, self._draft = graph, draft

    def source(self, node: Node) -> str:
        """The tensor whose values a step of the operator changes, of those that it reads."""
        made = [name for name in node.inputs if name in self._draft.numbers]
        if not node.inputs:
            raise Unsupported(f"operator {node.op}")
        if not made:
            return node.inputs[0]
        if node.op in ("Sub", "Div") and len(made) == 2:  # -b + a, 1 / b * a
            return made[1]
        return max(made, key=lambda name: self._draft.tensors[self._draft.numbers[name]].channels)

    def changes(self, node: Node, name: str, channels: int) -> list[Change] | None:
        """What an operator does to the values of `name`, of so many channels, one after the other.

        None where it does something else, or needs a tensor that is not made yet. Raises Unsupported for operands that
        do not fit.
        """
        a = node.attributes
        if node.op in _ARITHMETIC or node.op == "Neg":
            return self._arithmetic(node, name, channels)
        if node.op in _FUNCTIONS:
            function = Function(_FUNCTIONS[node.op])
            alpha = a.get("alpha", 1.0) if node.op == "Elu" else 1.0
            return [function] if alpha == 1 else [function, Slopes(np.full(channels, alpha, np.float32))]
        if node.op == "Gelu":
            return [Function("gelu_tanh" if a.get("approximate", "none") == "tanh" else "gelu")]
        if node.op == "Pow":
            return self._power(node, name)
        if node.op == "HardSigmoid":
            return [_affine(channels, a.get("alpha", 0.2), a.get("beta", 0.5)), Clamp(0.0, 1.0)]
        if node.op == "BatchNormalization":
            scale, bias, mean, variance = (self.stored(node, i).astype(np.float64) for i in range(1, 5))
            if a.get("training_mode", 0) or scale.shape != (channels,):
                raise Unsupported(f"{node.outputs[0]}: BatchNormalization of the image at hand, or of other channels")
            gains = scale / np.sqrt(variance + a.get("epsilon", 1e-5))
            return [Affine(gains.astype(np.float32), (bias - mean * gains).astype(np.float32))]
        return self._activation(node, name, channels)

    def stored(self, node: Node, index: int) -> Floats:
        """An operand that the file holds."""
        value = self._graph.weights.get(node.inputs[index])
        if value is None or value.dtype != np.float32:
            raise Unsupported(f"{node.outputs[0]}: {node.op} with weights that are not stored as float32")
        return value

    def _channels(self, name: str) -> int:
        return self._draft.tensors[self._draft.numbers[name]].channels

    def _arithmetic(self, node: Node, name: str, channels: int) -> list[Change] | None:
        if node.op == "Neg":
            return [_affine(channels, -1.0, 0.0)]
        if any(n in self._graph.weights for n in node.inputs):
            return self._with_constant(node, channels)
        first, second = node.inputs
        other = second if name == first else first
        if other not in self._draft.numbers or self._channels(other) not in (1, channels):
            return None
        if node.op in ("Add", "Mul"):
            return [Sum(other) if node.op == "Add" else Product(other)]
        if name != second:
            return None
        if node.op == "Sub":
            return [_affine(channels, -1.0, 0.0), Sum(other)]
        return [Function("reciprocal"), Product(other)]

    def _with_constant(self, node: Node, channels: int) -> list[Change]:
        """Of operators with one stored operand: a number, or one for each channel."""
        first = node.inputs[0] in self._graph.weights
        value = self.stored(node, 0 if first else 1)
        if value.size != 1 and (value.size != channels or value.shape[-3:] != (channels, 1, 1)):
            raise Unsupported(f"{node.outputs[0]}: {node.op} of a constant of shape {value.shape}")
        value = np.broadcast_to(value.reshape(-1), (channels,))
        one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        if node.op == "Add":
            return [Affine(one, value)]
        if node.op == "Sub":
            return [Affine(-one, value) if first else Affine(one, -value)]
        if node.op == "Mul":
            return [Affine(value, zero)]
        with np.errstate(all="ignore"):
            inverse = (1 / value.astype(np.float64)).astype(np.float32)
        if not np.isfinite(inverse).all():
            raise Unsupported(f"{node.outputs[0]}: Div of or by zero")
        return [Affine(inverse, zero), Function("reciprocal")] if first else [Affine(inverse, zero)]

    def _power(self, node: Node, name: str) -> list[Change]:
        exponent = self._graph.weights.get(node.inputs[1])
        if name != node.inputs[0] or exponent is None or exponent.size != 1:
            raise Unsupported(f"{node.outputs[0]}: Pow by other than a number")
        power = float(exponent.reshape(-1)[0])
        if power not in _POWERS:
            raise Unsupported(f"{node.outputs[0]}: Pow by {power:g}")
        return [Function(_POWERS[power])]

    def _activation(self, node: Node, name: str, channels: int) -> list[Change] | None:
        a = node.attributes
        if node.op in ("Clip", "Min", "Max"):
            return self._clamp(node, name)
        if node.op == "PRelu":
            slopes = self.stored(node, 1)
            if slopes.size not in (1, channels) or (slopes.size > 1 and slopes.shape[-3:] != (channels, 1, 1)):
                raise Unsupported(f"{node.outputs[0]}: PRelu slopes of shape {slopes.shape}")
            return [Slopes(np.ascontiguousarray(np.broadcast_to(slopes.reshape(-1), (channels,))))]
        if node.op in ("Relu", "LeakyRelu"):
            slope = a.get("alpha", 0.01) if node.op == "LeakyRelu" else 0.0
            return [Slopes(np.full(channels, slope, np.float32))]
        return None

    def _clamp(self, node: Node, name: str) -> list[Change] | None:
        if node.op == "Clip":
            return [Clamp(self._bound(node, 1, "min", -np.inf), self._bound(node, 2, "max", np.inf))]
        bounds = [i for i, other in enumerate(node.inputs) if other != name]
        if any(node.inputs[i] not in self._graph.weights for i in bounds):
            return None
        values = [self.stored(node, i) for i in bounds]
        if any(value.size != 1 for value in values):
            raise Unsupported(f"{node.outputs[0]}: {node.op} with a bound for each channel")
        numbers = [float(value.reshape(-1)[0]) for value in values]
        if node.op == "Min":
            return [Clamp(-np.inf, min(numbers, default=np.inf))]
        return [Clamp(max(numbers, default=-np.inf), np.inf)]

    def _bound(self, node: Node, index: int, key: str, unbounded: float) -> float:
        if len(node.inputs) > index and node.inputs[index]:
            value = self.stored(node, index)
            if value.size != 1:
                raise Unsupported(f"{node.outputs[0]}: Clip with a bound for each sample")
            return float(value.reshape(-1)[0])
        return float(node.attributes.get(key, unbounded))


def _affine(channels: int, gain: float, offset: float) -> Affine:
    return Affine(np.full(channels, gain, np.float32), np.full(channels, offset, np.float32))


def extended(values: Pointwise, changes: list[Change], node: Node, draft: Draft, target: tuple[int, Size]) -> bool:
    """Whether a step that does `values` can do an operator's changes too; if so it does from here on.

    `target`: channels and size of what the step makes.
    """
    made = copy.deepcopy(values)
    if not all(_gathered(made, change, node, draft, target) for change in changes):
        return False
    for field in dataclasses.fields(values):
        setattr(values, field.name, getattr(made, field.name))
    return True


class _Stage(enum.IntEnum):
    AFFINE, FUNCTION, ACTIVATION, PRODUCT, SUM, CLAMP = range(6)


def _stage(values: Pointwise) -> _Stage:
    """The last thing that a step does."""
    epilogue = values.epilogue
    done = {
        _Stage.CLAMP: clamped(epilogue),
        _Stage.SUM: epilogue.add >= 0,
        _Stage.PRODUCT: values.times >= 0,
        _Stage.ACTIVATION: epilogue.slopes is not None,
        _Stage.FUNCTION: values.function != "none",
    }
    return next((stage for stage, it_is in done.items() if it_is), _Stage.AFFINE)


def multiplies(values: Pointwise) -> bool:
    """Whether a step that does `values` can multiply by a tensor too."""
    return _stage(values) < _Stage.PRODUCT


def _gathered(values: Pointwise, change: Change, node: Node, draft: Draft, target: tuple[int, Size]) -> bool:
    stage, epilogue = _stage(values), values.epilogue
    match change:
        case Affine(gains, offsets):
            linear = values.function == "none" and stage <= _Stage.PRODUCT and not offsets.any()
            # An activation keeps positive factors, so they may come before it as well.
            if stage > _Stage.AFFINE and not (linear and (epilogue.slopes is None or (gains > 0).all())):
                return False
            with np.errstate(all="ignore"):
                values.gains = _plain(gains if values.gains is None else values.gains * gains, 1)
                values.offsets = _plain(offsets if values.offsets is None else values.offsets * gains + offsets, 0)
        case Function(name):
            if stage >= _Stage.FUNCTION:
                return False
            values.function = name
        case Product(name):
            if stage >= _Stage.PRODUCT:
                return False
            values.times = draft.operand(node, name, *target)
        case Slopes(slopes) if stage < _Stage.ACTIVATION:
            epilogue.slopes = slopes
        case _:
            return into_epilogue(epilogue, change, node, draft, target)
    return True


def into_epilogue(epilogue: Epilogue, change: Change, node: Node, draft: Draft, target: tuple[int, Size]) -> bool:
    """Whether an epilogue, behind its activation, can make a change; if so it does from here on."""
    match change:
        case Sum(name) if epilogue.add < 0 and not clamped(epilogue):
            epilogue.add = draft.operand(node, name, *target)
        case Clamp(low, high):
            epilogue.low, epilogue.high = (min(max(bound, low), high) for bound in (epilogue.low, epilogue.high))
        case Slopes(slopes) if not slopes.any():
            return into_epilogue(epilogue, Clamp(0.0, np.inf), node, draft, target)
        case _:
            return False
    return True


def clamped(epilogue: Epilogue) -> bool:
    """Whether an epilogue has a bound."""
    return bool(np.isfinite([epilogue.low, epilogue.high]).any())


def _plain(values: Array, nothing: float) -> Array | None:
    return None if (values == nothing).all() else np.ascontiguousarray(values, np.float32)
