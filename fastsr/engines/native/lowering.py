"""A Graph as the steps of the native CPU engine: convolutions with what follows them folded in, and little else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.engines.native.draft import MAX_CHANNELS, Draft, Unsupported, straight
from fastsr.engines.native.program import Array, Conv, Epilogue, Program, Remap, RowReduction
from fastsr.engines.native.ring_ranges import RingRanges, shared_ranges
from fastsr.network import quantization
from fastsr.network.graph import Graph, Node
from fastsr.network.output_head import MAX_RUN, HeadlessGraph, without_output_head
from fastsr.network.resize_kind import resize_kind

MAX_KERNEL = 9
MAX_FACTOR = 16
BASES = ("nearest", "bicubic")  # ways of enlarging the input that the store knows


class _NotLast(Exception):
    """The tensor before a last shuffle is not a convolution's own."""


def unsupported(graph: Graph) -> str | None:
    """What keeps the native engine from running a graph, or None."""
    try:
        lower(graph, "fp32")
    except Unsupported as reason:
        return str(reason)
    return None


def lower(graph: Graph, precision: str) -> Program:
    """The program of a graph at "fp32", "int8" (the graph must have ranges) or "bf16". Raises Unsupported."""
    if graph.dtype != np.float32:
        raise Unsupported(f"its input is {graph.dtype}")
    fold = _fold(graph)
    headless = without_output_head(graph, BASES, fold)
    try:
        return _Lowering(headless, precision, fold).program()
    except _NotLast:
        return _Lowering(HeadlessGraph(graph, 1, "none"), precision, fold).program()


def _fold(graph: Graph) -> int:
    """Side of the blocks that a first SpaceToDepth makes of the input's pixels; 1 without one."""
    folding = [node for node in graph.nodes if node.op == "SpaceToDepth" and node.inputs[0] == graph.input]
    side = folding[0].attributes.get("blocksize", 0) if len(folding) == 1 else 1
    return side if isinstance(side, int) and 1 < side <= MAX_FACTOR else 1


def _read_nodes(graph: Graph) -> list[Node]:
    """The operators that the output depends on."""
    read, kept = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.op != "Constant" and not read.isdisjoint(node.outputs):
            kept.append(node)
            read.update(node.inputs)
    return kept[::-1]


class _Lowering:
    """Walks a graph's operators once, folding into each convolution what only its output's reader does."""

    def __init__(self, headless: HeadlessGraph, precision: str, fold: int = 1) -> None:
        self.headless, self.graph, self.precision, self.fold = headless, headless.body, precision, fold
        self.nodes = _read_nodes(self.graph)
        self.ranges = shared_ranges(self.graph) if precision == "int8" else {}
        # In bf16 the first and the last convolutions stay in float: what they round is seen, pixels most of all.
        self.last = next((n for n in reversed(self.nodes) if n.op == "Conv"), None)
        name = self.graph.input
        if fold > 1:
            (folding,) = (n for n in self.nodes if n.op == "SpaceToDepth" and n.inputs[0] == name)
            self.nodes.remove(folding)
            name = folding.outputs[0]
        self.draft = Draft(name, self.graph.channels * fold**2)
        self.tensors, self.steps, self.numbers = self.draft.tensors, self.draft.steps, self.draft.numbers
        self.ring_ranges = RingRanges(self.draft)
        self.readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)

    def program(self) -> Program:
        done: set[str] = set()
        for node in self.nodes:
            if node.outputs[0] not in done:
                done |= self._node(node)
        output = self.numbers.get(self.graph.output, 0)
        if output == 0:
            raise Unsupported("its output is its input")
        output = self.draft.apart(output)
        made = self.tensors[output]
        factor = self.headless.factor
        if made.channels != self.graph.channels * factor**2 or self.graph.channels * factor > MAX_RUN:
            raise Unsupported(f"its output has {made.channels} channels")
        if made.factor * factor % self.fold:
            raise Unsupported("its output is no multiple of its input")
        made.floats = True
        self._order_output(output)
        self.ring_ranges.settle()
        return Program(self.tensors, self.steps, output, factor, self.headless.residual, self.fold)

    def _order_output(self, output: int) -> None:
        """Give the last tensor its channels in the order in which the store writes them: (dy, dx, colour)."""
        factor, step = self.headless.factor, self.steps[-1]
        if factor == 1:
            return
        order = np.arange(self.tensors[output].channels).reshape(-1, factor, factor).transpose(1, 2, 0).reshape(-1)
        alone = isinstance(step, Conv) and step.target == output and step.factor == 1 and step.epilogue.add < 0
        if not alone or self.graph.output in self.readers:
            raise _NotLast
        _permute(step, order)  # type: ignore[arg-type]

    def _node(self, node: Node) -> set[str]:
        """Add the steps of an operator; returns the names of the tensors that are made then."""
        if node.op == "Conv":
            return self._conv(node)
        source = self.draft.number(node, next((name for name in node.inputs if name in self.numbers), node.inputs[0]))
        if node.op == "Identity":
            self.numbers[node.outputs[0]] = source
            return {node.outputs[0]}
        if node.op == "Concat":
            return self.ring_ranges.concat(node)
        if node.op == "Split":
            return self.ring_ranges.split(node, source, self.graph.weights)
        if node.op in ("DepthToSpace", "Resize"):
            move = self._shuffle if node.op == "DepthToSpace" else self._repeat
            table = move(node, self.tensors[source].channels)
            target = self.draft.tensor(node.outputs[0], table.shape[2], self.tensors[source].factor * len(table))
            self.draft.remap(Remap(source, target, table, Epilogue()))
            return {node.outputs[0]}
        return self._elementwise(node, source)

    def _elementwise(self, node: Node, source: int) -> set[str]:
        """A step of what changes each value on its own, and of what can be done behind it."""
        channels, factor = self.tensors[source].channels, self.tensors[source].factor
        epilogue, name, made = Epilogue(), node.outputs[0], {node.outputs[0]}
        step = Remap(source, -1, straight(channels), epilogue)
        if (affine := self._affine(node, channels)) is not None:
            gains, offsets = affine
            step.gains = None if (gains == 1).all() else gains
            step.offsets = offsets if offsets.any() else None
        elif node.op in ("Add", "Mul", "Sub"):
            operand = self._operand(node, node.inputs[1], channels, factor)
            if node.op == "Mul":
                step.times = operand
            else:
                epilogue.add = operand
            if node.op == "Sub":  # -b + a
                step.source, epilogue.add = operand, self._operand(node, node.inputs[0], channels, factor)
                step.gains = np.full(channels, -1, np.float32)
        elif node.op in _FUNCTIONS:
            step.function = _FUNCTIONS[node.op]
        else:
            self._activation(node, channels, epilogue)
        while (following := self._only_reader(name)) is not None:
            clamped = np.isfinite([epilogue.low, epilogue.high]).any()
            if following.op == "Mul" and step.times < 0 and epilogue.add < 0 and not clamped:
                other = following.inputs[1 - following.inputs.index(name)]
                if other not in self.numbers:  # made later, or stored
                    break
                step.times = self._operand(following, other, channels, factor)
            elif (following.op in _SLOPES and step.times >= 0) or not self._into_epilogue(
                following, name, epilogue, channels, factor
            ):
                break
            name = following.outputs[0]
            made.add(name)
        step.target = self.draft.tensor(name, channels, factor)
        self.draft.remap(step)
        return made

    def _affine(self, node: Node, channels: int) -> tuple[Array, Array] | None:
        """The gains and offsets of an operator with one stored operand, per channel; None for another operator."""
        stored = [i for i, name in enumerate(node.inputs) if name in self.graph.weights]
        if node.op not in ("Add", "Sub", "Mul", "Div") or len(stored) != 1:
            return None
        value = self._stored(node, stored[0])
        if value.size != 1 and (value.size != channels or value.shape[-3:] != (channels, 1, 1)):
            raise Unsupported(f"{node.outputs[0]}: {node.op} of a constant of shape {value.shape}")
        value = np.broadcast_to(value.reshape(-1), (channels,))
        one, zero, first = np.ones(channels, np.float32), np.zeros(channels, np.float32), stored[0] == 0
        if node.op == "Add":
            return one, value
        if node.op == "Sub":
            return (-one, value) if first else (one, -value)
        if node.op == "Mul":
            return value, zero
        with np.errstate(all="ignore"):
            inverse = (1 / value.astype(np.float64)).astype(np.float32)
        if first or not np.isfinite(inverse).all():
            raise Unsupported(f"{node.outputs[0]}: Div by an image or by zero")
        return inverse, zero

    # ---- steps ----

    def _into_epilogue(self, following: Node, name: str, epilogue: Epilogue, channels: int, factor: int) -> bool:
        """Add an operator to what follows a step that makes `name`, if it is one that can be and comes in order."""
        clamped = np.isfinite([epilogue.low, epilogue.high]).any()
        if following.op == "Clip" and not clamped:
            self._activation(following, 0, epilogue)
        elif following.op in _SLOPES and epilogue.slopes is None and epilogue.add < 0 and not clamped:
            self._activation(following, channels, epilogue)
        elif following.op == "Add" and epilogue.add < 0 and not clamped:
            other = following.inputs[1 - following.inputs.index(name)]
            if other not in self.numbers:  # made later, or stored: then the addition is a step of its own
                return False
            epilogue.add = self._operand(following, other, channels, factor)
        else:
            return False
        return True

    def _conv(self, node: Node) -> set[str]:
        """Add a convolution and what is done while its sums are in registers: activation, shuffle, addition, clamp."""
        kernel, bias = self._kernel(node)
        source = self.draft.number(node, node.inputs[0])
        if self.tensors[source].channels != kernel.shape[1]:
            raise Unsupported(f"{node.outputs[0]}: a kernel for {kernel.shape[1]} channels")
        resolution = self.tensors[source].factor
        made, epilogue, factor = {node.outputs[0]}, Epilogue(), 1
        order: npt.NDArray[Any] = np.arange(len(kernel))
        name = node.outputs[0]
        while (following := self._only_reader(name)) is not None:
            channels, plain = len(kernel) // factor**2, epilogue.slopes is None
            alone = epilogue.add < 0 and not np.isfinite([epilogue.low, epilogue.high]).any()
            if following.op == "DepthToSpace" and factor == 1 and epilogue.add < 0:
                table = self._shuffle(following, len(kernel))
                factor, order = len(table), table.reshape(-1)
                epilogue.slopes = None if epilogue.slopes is None else epilogue.slopes[order]
            elif alone and (affine := self._affine(following, channels)) is not None:
                gains, offsets = (np.tile(values, factor**2)[np.argsort(order)] for values in affine)
                # An activation keeps positive factors, so they may come before it as well.
                if not plain and ((gains <= 0).any() or offsets.any()):
                    break
                with np.errstate(all="ignore"):
                    kernel, bias = kernel * gains[:, None, None, None], bias * gains + offsets
            elif self._into_epilogue(following, name, epilogue, channels, resolution * factor):
                if plain and epilogue.slopes is not None:
                    epilogue.slopes = np.tile(epilogue.slopes, factor**2)
            else:
                break
            name = following.outputs[0]
            made.add(name)
        target = self.draft.tensor(name, len(kernel) // factor**2, resolution * factor)
        step = self._step(node, source, target, kernel, bias, epilogue, factor)
        _permute(step, order, slopes=False)
        return made

    def _step(
        self, node: Node, source: int, target: int, kernel: Array, bias: Array, epilogue: Epilogue, factor: int
    ) -> Conv:
        scales = None
        read = self.tensors[source]
        int8 = node.inputs[0] in self.ranges
        if int8:
            scale, zero = quantization.activation_parameters(*self.ranges[node.inputs[0]])
            read.packed, read.quantization = True, (float(scale), int(zero))
        elif self.precision == "bf16" and source != 0 and node is not self.last:
            read.packed = True
        else:
            read.floats = True
        if quantization.by_rows(kernel.shape) and factor == 1:
            return self._by_rows(source, target, kernel, bias, read.quantization[0] if int8 else None, epilogue)
        if int8:
            weight_scale = quantization.weight_scales(kernel, bias, scale)
            scales = (scale * weight_scale).astype(np.float32)
            kernel = quantization.quantized_weights(kernel, weight_scale)
            bias = quantization.quantized_bias(bias, scales)
        made = Conv(source, target, kernel, bias, scales, epilogue, factor)
        self.steps.append(made)
        return made

    def _by_rows(
        self, source: int, target: int, kernel: Array, bias: Array, scale: float | None, epilogue: Epilogue
    ) -> Conv:
        """A large kernel with few outputs: its rows become outputs of a flat one, then a row reduction adds them up.

        int8 (`scale` is the input's): each row has scales of its own, and what the middle one's quantized weights miss
        is computed beside them. It weighs most by far: where the trained kernels have taps near 1, those around are
        near 0.01.
        """
        out, deep, rows, columns = kernel.shape
        flat = np.ascontiguousarray(kernel.transpose(2, 0, 1, 3).reshape(rows * out, deep, 1, columns))
        scales = None
        if scale is not None:
            flat, steps = _quantized_by_rows(flat, slice(rows // 2 * out, (rows // 2 + 1) * out))
            scales = (np.float32(scale) * steps).astype(np.float32)
        made = self.tensors[target]
        partial = self.draft.tensor(f"{made.name}/rows", len(flat), made.factor)
        self.tensors[partial].floats = True
        nothing = np.zeros(len(flat), np.float32 if scale is None else np.int32)
        conv = Conv(source, partial, flat, nothing, None, Epilogue())
        self.steps.append(conv)
        plain = epilogue.slopes is None and epilogue.add < 0 and not np.isfinite([epilogue.low, epilogue.high]).any()
        summed = target if plain else self.draft.tensor(f"{made.name}/sum", out, made.factor)
        self.tensors[summed].floats = True
        self.steps.append(RowReduction(partial, summed, rows, bias, scales))
        if not plain:
            self.draft.remap(Remap(summed, target, straight(out), epilogue))
        return conv

    def _kernel(self, node: Node) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        a = node.attributes
        kernel = self._stored(node, 1)
        bias = self._stored(node, 2) if len(node.inputs) > 2 and node.inputs[2] else None
        if kernel.ndim != 4:
            raise Unsupported(f"{node.outputs[0]}: not a convolution in two dimensions")
        rows, columns = kernel.shape[2:]
        if rows % 2 == 0 or columns % 2 == 0 or max(rows, columns) > MAX_KERNEL:
            raise Unsupported(f"{node.outputs[0]}: a kernel of {rows}x{columns}")
        if a.get("group", 1) != 1:
            raise Unsupported(f"{node.outputs[0]}: a convolution in groups")
        if set(a.get("strides", (1,))) != {1} or set(a.get("dilations", (1,))) != {1}:
            raise Unsupported(f"{node.outputs[0]}: a convolution with strides or dilation")
        same = [rows // 2, columns // 2] * 2
        pads = same if a.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER") else list(a.get("pads", (0,) * 4))
        if pads != same or (a.get("auto_pad", "NOTSET") == "VALID" and same != [0] * 4):
            raise Unsupported(f"{node.outputs[0]}: a convolution that changes the size")
        if max(kernel.shape[:2]) > MAX_CHANNELS:
            raise Unsupported(f"{node.outputs[0]}: {max(kernel.shape[:2])} channels")
        return kernel, np.zeros(len(kernel), np.float32) if bias is None else bias

    def _stored(self, node: Node, index: int) -> npt.NDArray[np.float32]:
        value = self.graph.weights.get(node.inputs[index])
        if value is None or value.dtype != np.float32:
            raise Unsupported(f"{node.outputs[0]}: {node.op} with weights that are not stored as float32")
        return value

    def _activation(self, node: Node, channels: int, epilogue: Epilogue) -> None:
        """Add an activation of `channels` channels to what follows a step."""
        a = node.attributes
        if node.op == "Clip":
            bounds = [self._bound(node, i, key, v) for i, key, v in ((1, "min", -np.inf), (2, "max", np.inf))]
            epilogue.low, epilogue.high = bounds
            return
        if node.op == "PRelu":
            slopes = self._stored(node, 1)
            if slopes.size not in (1, channels) or (slopes.size > 1 and slopes.shape[-3:] != (channels, 1, 1)):
                raise Unsupported(f"{node.outputs[0]}: PRelu slopes of shape {slopes.shape}")
            epilogue.slopes = np.ascontiguousarray(np.broadcast_to(slopes.reshape(-1), (channels,)))
        elif node.op in ("Relu", "LeakyRelu"):
            slope = a.get("alpha", 0.01) if node.op == "LeakyRelu" else 0.0
            epilogue.slopes = np.full(channels, slope, np.float32)
        else:
            raise Unsupported(f"operator {node.op}")

    def _bound(self, node: Node, index: int, key: str, unbounded: float) -> float:
        if len(node.inputs) > index and node.inputs[index]:
            value = self._stored(node, index)
            if value.size != 1:
                raise Unsupported(f"{node.outputs[0]}: Clip with a bound for each sample")
            return float(value.reshape(-1)[0])
        return float(node.attributes.get(key, unbounded))

    def _shuffle(self, node: Node, channels: int) -> npt.NDArray[np.int32]:
        factor = node.attributes["blocksize"]
        if factor > MAX_FACTOR or channels % factor**2:
            raise Unsupported(f"{node.outputs[0]}: DepthToSpace of {channels} channels by {factor}")
        index = np.arange(channels, dtype=np.int32)
        if node.attributes.get("mode", "DCR") == "CRD":
            return np.ascontiguousarray(index.reshape(-1, factor, factor).transpose(1, 2, 0))
        return index.reshape(factor, factor, -1)

    def _repeat(self, node: Node, channels: int) -> npt.NDArray[np.int32]:
        kind, factor = resize_kind(node, self.graph.weights)
        if kind != "nearest":
            raise Unsupported(f"{node.outputs[0]}: a Resize that does not repeat pixels")
        if factor % 1 or not 1 <= factor <= MAX_FACTOR:
            raise Unsupported(f"{node.outputs[0]}: a Resize by {factor:g}")
        index = np.arange(channels, dtype=np.int32)
        return np.ascontiguousarray(np.broadcast_to(index, (int(factor), int(factor), channels)))

    def _only_reader(self, name: str) -> Node | None:
        readers = self.readers.get(name, [])
        return (
            readers[0]
            if len(readers) == 1 and name != self.graph.output and readers[0].inputs.count(name) == 1
            else None
        )

    def _operand(self, node: Node, name: str, channels: int, factor: int) -> int:
        """The number of a tensor that is added to one of so many channels at such a resolution, or multiplied by it."""
        number = self.draft.number(node, name)
        added = self.tensors[number]
        if (added.channels, added.factor) != (channels, factor):
            raise Unsupported(f"{node.outputs[0]}: {node.op} of different shapes")
        number = self.draft.apart(number)
        self.tensors[number].floats = True
        return number


_SLOPES = ("PRelu", "Relu", "LeakyRelu")
_FUNCTIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh"}


def _quantized_by_rows(
    flat: npt.NDArray[np.float32], middle: slice
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A kernel's rows quantized, then what the middle row's quantized weights miss; and each one's scales."""
    scales = quantization.weight_scales(flat, np.zeros(len(flat), np.float32), np.float32(1))
    values = quantization.quantized_weights(flat, scales)
    coarse = scales[middle]
    values[middle] = np.rint(flat[middle] / coarse[:, None, None, None])
    missed = flat[middle].astype(np.float64) - values[middle] * coarse[:, None, None, None].astype(np.float64)
    fine = (coarse / 254).astype(np.float32)  # half a step is 127 of these
    rest = np.clip(np.rint(missed / fine[:, None, None, None]), -127, 127).astype(np.int8)
    return np.concatenate([values, rest]), np.concatenate([scales, fine])


def _permute(step: Conv, order: npt.NDArray[Any], slopes: bool = True) -> None:
    """Reorder a convolution's outputs."""
    if (order == np.arange(len(order))).all():
        return
    step.kernel, step.bias = np.ascontiguousarray(step.kernel[order]), np.ascontiguousarray(step.bias[order])
    if step.scales is not None:
        step.scales = np.ascontiguousarray(step.scales[order])
    if slopes and step.epilogue.slopes is not None:
        step.epilogue.slopes = np.ascontiguousarray(step.epilogue.slopes[order])
