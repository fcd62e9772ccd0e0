"""A Graph as the steps of the native CPU engine: convolutions with what follows them folded in, and little else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.engines.native import convolution_forms
from fastsr.engines.native.draft import MAX_CHANNELS, Draft, Unsupported, straight
from fastsr.engines.native.operator_patterns import NORMALIZATION, recognized
from fastsr.engines.native.program import (
    Array,
    Bilinear,
    Conv,
    Epilogue,
    Normalization,
    Pad,
    Pointwise,
    Program,
    Remap,
    RowReduction,
    Size,
    SpaceToDepth,
)
from fastsr.engines.native.ring_ranges import RingRanges, shared_ranges
from fastsr.engines.native.single_values import (
    Affine,
    Change,
    SingleValues,
    Slopes,
    Sum,
    clamped,
    extended,
    into_epilogue,
    multiplies,
)
from fastsr.network import borders, quantization
from fastsr.network.graph import Graph, Node
from fastsr.network.output_head import MAX_RUN, HeadlessGraph, without_weighted_head
from fastsr.network.resize_kind import resize_kind

MAX_KERNEL = 17
MAX_FACTOR = 16
MAX_REACH = 1024  # rows or columns that are added to an image, or that lie between a kernel's first and last
MAX_AHEAD = 8  # operators that are run before their turn for a product's other operand
BASES = ("nearest", "bilinear", "bicubic")  # ways of enlarging the input that the store knows


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
    graph = convolution_forms.in_plain_forms(graph, precision)
    headless = without_weighted_head(graph, BASES, _fold(graph, others=True))
    fold = _fold(headless.body)
    if fold == 1:
        headless = without_weighted_head(graph, BASES)
    try:
        return _Lowering(headless, precision, fold).program()
    except _NotLast:
        headless = without_weighted_head(graph, BASES, shuffled=False)
        return _Lowering(headless, precision, _fold(headless.body)).program()


def _fold(graph: Graph, others: bool = False) -> int:
    """Side of the blocks that a SpaceToDepth makes of the input's pixels; 1 where it has `others` that read it."""
    reading = [node for node in graph.nodes if graph.input in node.inputs]
    folding = [node for node in reading if node.op == "SpaceToDepth"]
    side = folding[0].attributes.get("blocksize", 0) if len(folding) == 1 and (others or len(reading) == 1) else 1
    return side if isinstance(side, int) and 1 < side <= MAX_FACTOR else 1


def _read_nodes(graph: Graph) -> list[Node]:
    """The operators that the output depends on."""
    read, kept = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.op != "Constant" and not read.isdisjoint(node.outputs):
            kept.append(node)
            read.update(node.inputs)
    return kept[::-1]


@dataclasses.dataclass(frozen=True)
class _Taps:
    """Which rows and columns a convolution reads: from so many `before` an output's own on, each so far `apart`."""

    before: tuple[int, int]
    apart: tuple[int, int]
    grown: tuple[int, int]  # rows and columns that it makes beyond its source's
    depthwise: bool  # each channel of its own


class _Lowering:
    """Walks a graph's operators once, folding into each convolution what only its output's reader does."""

    def __init__(self, headless: HeadlessGraph, precision: str, fold: int = 1) -> None:
        self.headless, self.graph, self.precision, self.fold = headless, headless.body, precision, fold
        self.nodes, same = recognized(_read_nodes(self.graph), self.graph.weights, self.graph.output)
        self.ranges = shared_ranges(self.graph) if precision == "int8" else {}
        self.ranges |= {name: self.ranges[other] for other, name in same.items() if other in self.ranges}
        # In bf16 the first and the last convolutions stay in float: what they round is seen, pixels most of all.
        self.last = next((n for n in reversed(self.nodes) if n.op == "Conv"), None)
        name = self.graph.input
        if fold > 1:
            (folding,) = (n for n in self.nodes if n.op == "SpaceToDepth" and n.inputs[0] == name)
            self.nodes.remove(folding)
            name = folding.outputs[0]
        blocks = self.graph.alignment // fold if self.graph.alignment % fold == 0 else 1
        self.draft = Draft(name, self.graph.channels * fold**2, blocks)
        self.tensors, self.steps, self.numbers = self.draft.tensors, self.draft.steps, self.draft.numbers
        self.ring_ranges = RingRanges(self.draft)
        self.single_values = SingleValues(self.graph, self.draft)
        self.readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        self.places = {name: i for i, node in enumerate(self.nodes) for name in node.outputs}
        self.done: set[str] = set()
        self.ahead = False  # whether operators are run before their turn

    def program(self) -> Program:
        for node in self.nodes:
            self._make(node)
        output = self.numbers.get(self.graph.output, 0)
        if output == 0:
            raise Unsupported("its output is its input")
        output = self.draft.apart(output)
        made = self.tensors[output]
        factor = self.headless.factor
        if made.channels != self.graph.channels * factor**2 or self.graph.channels * factor > MAX_RUN:
            raise Unsupported(f"its output has {made.channels} channels")
        if made.factor * factor % (self.fold * self.tensors[0].factor):
            raise Unsupported("its output is no multiple of its input")
        if made.growth != (0, 0):
            raise Unsupported(f"its output has {-made.growth[0]} rows and {-made.growth[1]} columns too few")
        made.floats = True
        self._order_output(output)
        self.ring_ranges.settle()
        head = self.headless
        return Program(
            self.tensors, self.steps, output, factor, head.residual, self.fold, head.gain, repeated=head.repeated
        )

    def _order_output(self, output: int) -> None:
        """Give the last tensor its channels in the order in which the store writes them: (dy, dx, colour)."""
        factor, step = self.headless.factor, self.steps[-1]
        if factor == 1:
            return
        order = np.arange(self.tensors[output].channels).reshape(-1, factor, factor).transpose(1, 2, 0).reshape(-1)
        if not isinstance(step, Conv) or step.target != output or self.graph.output in self.readers:
            raise _NotLast
        if step.factor != 1 or step.epilogue.add >= 0 or step.follows is not None:
            raise _NotLast
        _permute(step, order)

    def _make(self, node: Node) -> None:
        if node.outputs[0] not in self.done:
            self.done |= self._node(node)

    def _node(self, node: Node) -> set[str]:
        """Add the steps of an operator; returns the names of the tensors that are made then."""
        if node.op == "Conv":
            return self._conv(node)
        name = self.single_values.source(node)
        source = self.draft.number(node, name)
        if node.op == "Identity":
            self.numbers[node.outputs[0]] = source
            return {node.outputs[0]}
        if node.op == "Concat":
            return self.ring_ranges.concat(node)
        if node.op == "Split":
            return self.ring_ranges.split(node, source, self.graph.weights)
        if node.op == "Slice":
            return self.ring_ranges.slice(node, source, self.graph.weights)
        if node.op == NORMALIZATION:
            return self._normalization(node, source)
        if node.op == "Pad":
            return self._pad(node, source)
        if node.op == "SpaceToDepth":
            return self._space_to_depth(node, source)
        channels, size = self.tensors[source].channels, self.tensors[source].size
        if node.op in ("DepthToSpace", "Resize"):
            return self._moved(node, source)
        values = Pointwise()
        changes = self.single_values.changes(node, name, channels)
        if changes is None or not extended(values, changes, node, self.draft, (channels, size)):
            raise Unsupported(f"operator {node.op}")
        return self._add(Remap(source, -1, straight(channels), values), node.outputs[0], (channels, size))

    def _pad(self, node: Node, source: int) -> set[str]:
        added, border = borders.added(node, self.graph.weights), borders.kind(node, self.graph.weights)
        if added is None or not border or max(map(abs, added)) > MAX_REACH:
            raise Unsupported(f"{node.outputs[0]}: a Pad of this kind")
        above, left, below, right = added
        padded = self.tensors[source]
        target = self.draft.tensor(node.outputs[0], padded.channels, padded.size.grown(above + below, left + right))
        self.draft.add(Pad(source, target, (above, left), border))
        return {node.outputs[0]}

    def _space_to_depth(self, node: Node, source: int) -> set[str]:
        side = node.attributes["blocksize"]
        read = self.tensors[source]
        if side > MAX_FACTOR or read.channels * side**2 > MAX_CHANNELS or read.factor % side:
            raise Unsupported(f"{node.outputs[0]}: SpaceToDepth of {read.channels} channels by {side}")
        source = self.draft.copied(source) if read.is_view else source
        rows, columns = (-(-n // side) for n in read.growth)
        made = self.draft.tensor(node.outputs[0], read.channels * side**2, Size(read.factor // side, (rows, columns)))
        self.draft.add(SpaceToDepth(source, made, side))
        return {node.outputs[0]}

    def _moved(self, node: Node, source: int) -> set[str]:
        """A step of what moves values: a pixel shuffle, an enlargement."""
        channels, size = self.tensors[source].channels, self.tensors[source].size
        kind, times = resize_kind(node, self.graph.weights)
        if node.op == "Resize":
            if kind not in ("nearest", "bilinear"):
                raise Unsupported(f"{node.outputs[0]}: a Resize that is neither bilinear nor repeats pixels")
            if times % 1 or not 1 <= times <= MAX_FACTOR:
                raise Unsupported(f"{node.outputs[0]}: a Resize by {times:g}")
        if kind == "bilinear":
            enlarged = Bilinear(self.draft.apart(source), -1, int(times))
            return self._add(enlarged, node.outputs[0], (channels, size.times(int(times))))
        table = self._shuffle(node, channels) if node.op == "DepthToSpace" else _repeated(channels, int(times))
        return self._add(Remap(source, -1, table), node.outputs[0], (table.shape[2], size.times(len(table))))

    def _normalization(self, node: Node, source: int) -> set[str]:
        channels = self.tensors[source].channels
        given = (node.attributes["gains"], node.attributes["offsets"])
        gains, offsets = (
            np.full(channels, other, np.float32) if v is None else v for v, other in zip(given, (1, 0), strict=True)
        )
        if {gains.shape, offsets.shape} != {(channels,)}:
            raise Unsupported(f"{node.outputs[0]}: a normalization of {channels} channels by other weights")
        name, made = node.outputs[0], {node.outputs[0]}
        while (following := self._only_reader(name)) is not None:
            changes = self.single_values.changes(following, name, channels)
            if changes is None or not all(isinstance(change, Affine) for change in changes):
                break
            for change in changes:
                assert isinstance(change, Affine)
                gains, offsets = gains * change.gains, offsets * change.gains + change.offsets
            name = following.outputs[0]
            made.add(name)
        step = Normalization(
            self.draft.apart(source), -1, node.attributes["centred"], node.attributes["epsilon"], gains, offsets
        )
        return made | self._add(step, name, (channels, self.tensors[source].size))

    def _add(self, step: Remap | Bilinear | Normalization, name: str, target: tuple[int, Size]) -> set[str]:
        """Add a step that makes `name` of so many channels and such a size, and does what follows it."""
        values = step.pointwise if isinstance(step, Remap) else Pointwise()
        last = self._following(name, values, target)
        if isinstance(step, (Bilinear, Normalization)) and last[-1] != name:
            step.follows = values
        step.target = self.draft.tensor(last[-1], *target)
        self.draft.add(step)
        return set(last)

    def _following(self, name: str, values: Pointwise, target: tuple[int, Size], sums: bool = True) -> list[str]:
        """Gather what follows `name` and changes single values into `values`; returns the names that are made then.

        `sums`: whether a tensor may be added.
        """
        names = [name]
        while (following := self._only_reader(name)) is not None:
            if following.op == "Mul" and multiplies(values):
                self._make_operands(following, set(names))
            changes = self.single_values.changes(following, name, target[0])
            if changes is None or (not sums and any(isinstance(change, Sum) for change in changes)):
                break
            if not extended(values, changes, following, self.draft, target):
                break
            name = following.outputs[0]
            names.append(name)
        return names

    def _make_operands(self, node: Node, chain: set[str]) -> None:
        """Make what a product reads beside the chain of names that leads to it, where it does not depend on that.

        So the product is done by the step that makes the chain.
        """
        if self.ahead:
            return
        self.ahead = True
        for name in node.inputs:
            if name not in chain and name not in self.numbers:
                for needed in self._needed(name, chain):
                    self._make(needed)
        self.ahead = False

    def _needed(self, name: str, chain: set[str]) -> list[Node]:
        """The operators that must still be run for a tensor, in order; none where it depends on names of the chain."""
        wanted, order = {name}, []
        for node in reversed(self.nodes[: self.places.get(name, -1) + 1]):
            if not wanted.intersection(node.outputs):
                continue
            order.append(node)
            wanted |= {n for n in node.inputs if n in self.places and n not in self.numbers}
            if wanted & chain or len(order) > MAX_AHEAD:
                return []
        return order[::-1]

    def _conv(self, node: Node) -> set[str]:
        """Add a convolution and what is done while its sums are in registers: activation, shuffle, addition, clamp."""
        kernel, bias, taps = self._kernel(node)
        source = self.draft.number(node, node.inputs[0])
        if self.tensors[source].channels != (len(kernel) if taps.depthwise else kernel.shape[1]):
            raise Unsupported(f"{node.outputs[0]}: a kernel for {kernel.shape[1]} channels")
        size = self.tensors[source].size.grown(*taps.grown)
        made, epilogue, factor = {node.outputs[0]}, Epilogue(), 1
        order: npt.NDArray[Any] = np.arange(len(kernel))
        name = node.outputs[0]
        while (following := self._only_reader(name)) is not None:
            channels = len(kernel) // factor**2
            if following.op == "DepthToSpace" and factor == 1 and epilogue.add < 0 and not taps.depthwise:
                table = self._shuffle(following, len(kernel))
                factor, order = len(table), table.reshape(-1)
                epilogue.slopes = None if epilogue.slopes is None else epilogue.slopes[order]
            else:
                changes = self.single_values.changes(following, name, channels)
                folded = _Folded(kernel, bias, dataclasses.replace(epilogue))
                if changes is None or not all(
                    self._fold(folded, change, following, order, (channels, size.times(factor))) for change in changes
                ):
                    break
                kernel, bias, epilogue = folded.kernel, folded.bias, folded.epilogue
            name = following.outputs[0]
            made.add(name)
        shape = (len(kernel) // factor**2, size.times(factor))
        values, names = Pointwise(), [name]
        if not _by_rows(kernel, factor, taps):
            names = self._following(name, values, shape, epilogue.add < 0)
        target = self.draft.tensor(names[-1], *shape)
        step = self._step(node, source, target, kernel, bias, epilogue, factor, taps)
        _permute(step, order, slopes=False)
        if len(names) > 1:
            step.follows, self.tensors[target].floats = values, True
        return made | set(names)

    def _fold(
        self, folded: _Folded, change: Change, node: Node, order: npt.NDArray[Any], target: tuple[int, Size]
    ) -> bool:
        """Whether a convolution can make a change while its sums are in registers; if so it does from here on."""
        epilogue, repeats = folded.epilogue, len(order) // target[0]
        plain, alone = epilogue.slopes is None, epilogue.add < 0 and not clamped(epilogue)
        match change:
            case Affine() if alone:
                gains, offsets = (np.tile(v, repeats)[np.argsort(order)] for v in (change.gains, change.offsets))
                # An activation keeps positive factors, so they may come before it as well.
                if not plain and ((gains <= 0).any() or offsets.any()):
                    return False
                with np.errstate(all="ignore"):
                    folded.kernel = folded.kernel * gains[:, None, None, None]
                    folded.bias = folded.bias * gains + offsets
            case Slopes(values) if alone and plain:
                epilogue.slopes = np.tile(values, repeats)
            case _:
                return into_epilogue(epilogue, change, node, self.draft, target)
        return True

    def _step(
        self,
        node: Node,
        source: int,
        target: int,
        kernel: Array,
        bias: Array,
        epilogue: Epilogue,
        factor: int,
        taps: _Taps,
    ) -> Conv:
        scales = None
        if taps.depthwise:
            source = self.draft.apart(source)
            self.tensors[source].floats = True
            made = Conv(
                source, target, kernel, bias, None, epilogue, before=taps.before, dilation=taps.apart, depthwise=True
            )
            self.steps.append(made)
            return made
        read = self.tensors[source]
        int8 = node.inputs[0] in self.ranges
        if int8:
            scale, zero = quantization.activation_parameters(*self.ranges[node.inputs[0]])
            read.packed, read.quantization = True, (float(scale), int(zero))
        elif self.precision == "bf16" and source != 0 and node is not self.last:
            read.packed = True
        else:
            read.floats = True
        if _by_rows(kernel, factor, taps):
            unit = read.quantization[0] if int8 else None
            return self._in_rows(source, target, kernel, bias, unit, epilogue, taps.before)
        if int8:
            weight_scale = quantization.weight_scales(kernel, bias, scale)
            scales = (scale * weight_scale).astype(np.float32)
            kernel = quantization.quantized_weights(kernel, weight_scale)
            bias = quantization.quantized_bias(bias, scales)
        made = Conv(source, target, kernel, bias, scales, epilogue, factor, before=taps.before, dilation=taps.apart)
        self.steps.append(made)
        return made

    def _in_rows(
        self,
        source: int,
        target: int,
        kernel: Array,
        bias: Array,
        scale: float | None,
        epilogue: Epilogue,
        before: tuple[int, int],
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
        growth = self.tensors[source].growth[0], made.growth[1]
        partial = self.draft.tensor(f"{made.name}/rows", len(flat), Size(made.factor, growth))
        self.tensors[partial].floats = True
        nothing = np.zeros(len(flat), np.float32 if scale is None else np.int32)
        conv = Conv(source, partial, flat, nothing, None, Epilogue(), before=(0, before[1]))
        self.steps.append(conv)
        plain = epilogue.slopes is None and epilogue.add < 0 and not clamped(epilogue)
        summed = target if plain else self.draft.tensor(f"{made.name}/sum", out, made.size)
        self.tensors[summed].floats = True
        self.steps.append(RowReduction(partial, summed, rows, bias, scales, before=before[0]))
        if not plain:
            self.draft.add(Remap(summed, target, straight(out), Pointwise(epilogue)))
        return conv

    def _kernel(self, node: Node) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], _Taps]:
        a = node.attributes
        kernel = self._stored(node, 1)
        bias = self._stored(node, 2) if len(node.inputs) > 2 and node.inputs[2] else None
        if kernel.ndim != 4:
            raise Unsupported(f"{node.outputs[0]}: not a convolution in two dimensions")
        rows, columns = kernel.shape[2:]
        if max(rows, columns) > MAX_KERNEL:
            raise Unsupported(f"{node.outputs[0]}: a kernel of {rows}x{columns}")
        depthwise = a.get("group", 1) == len(kernel) > 1 == kernel.shape[1]
        if a.get("group", 1) != 1 and not depthwise:
            raise Unsupported(f"{node.outputs[0]}: a convolution in groups")
        around = convolution_forms.pads(node, (rows, columns))
        if around is None or set(a.get("strides", (1,))) != {1}:
            raise Unsupported(f"{node.outputs[0]}: a convolution with strides of this kind")
        apart = tuple(a.get("dilations", (1, 1)))
        reach = ((rows - 1) * apart[0], (columns - 1) * apart[1])
        if max(map(abs, (*around, *reach))) > MAX_REACH:
            raise Unsupported(f"{node.outputs[0]}: a convolution that reaches {max(*around, *reach)} pixels")
        if max(kernel.shape[:2]) > MAX_CHANNELS:
            raise Unsupported(f"{node.outputs[0]}: {max(kernel.shape[:2])} channels")
        grown = around[0] + around[2] - reach[0], around[1] + around[3] - reach[1]
        taps = _Taps((around[0], around[1]), (apart[0], apart[1]), grown, depthwise)
        return kernel, np.zeros(len(kernel), np.float32) if bias is None else bias, taps

    def _stored(self, node: Node, index: int) -> npt.NDArray[np.float32]:
        value = self.graph.weights.get(node.inputs[index])
        if value is None or value.dtype != np.float32:
            raise Unsupported(f"{node.outputs[0]}: {node.op} with weights that are not stored as float32")
        return value

    def _shuffle(self, node: Node, channels: int) -> npt.NDArray[np.int32]:
        factor = node.attributes["blocksize"]
        if factor > MAX_FACTOR or channels % factor**2:
            raise Unsupported(f"{node.outputs[0]}: DepthToSpace of {channels} channels by {factor}")
        index = np.arange(channels, dtype=np.int32)
        if node.attributes.get("mode", "DCR") == "CRD":
            return np.ascontiguousarray(index.reshape(-1, factor, factor).transpose(1, 2, 0))
        return index.reshape(factor, factor, -1)

    def _only_reader(self, name: str) -> Node | None:
        readers = self.readers.get(name, [])
        return (
            readers[0]
            if len(readers) == 1 and name != self.graph.output and readers[0].inputs.count(name) == 1
            else None
        )


@dataclasses.dataclass
class _Folded:
    """A convolution with what has been folded into it."""

    kernel: Array
    bias: Array
    epilogue: Epilogue


def _by_rows(kernel: Array, factor: int, taps: _Taps) -> bool:
    """Whether a kernel's rows are computed apart."""
    return quantization.by_rows(kernel.shape) and factor == 1 and taps.apart == (1, 1) and not taps.depthwise


def _repeated(channels: int, factor: int) -> npt.NDArray[np.int32]:
    """The table of pixels that are repeated."""
    return np.ascontiguousarray(np.broadcast_to(np.arange(channels, dtype=np.int32), (factor, factor, channels)))


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
