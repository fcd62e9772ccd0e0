"""Convolutions of every form as plain ones, without strides and groups but with pads of any size; depthwise ones stay.

A graph is rewritten so before it is lowered:

- one in groups is several beside one another, but for depthwise ones;
- a transposed convolution is a plain one with as many outputs as sub-pixels, and a pixel shuffle behind it;
- one with strides reads blocks of pixels as single ones (SpaceToDepth);
- zeros around what a convolution reads, and rows that are cut off it, are a matter of its pads.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.network import borders, quantization
from fastsr.network.borders import Added
from fastsr.network.graph import RANGES, Graph, Node
from fastsr.network.resize_kind import resize_kind

Kernel = npt.NDArray[np.float32]
Growth = tuple[int, int]  # rows and columns of a tensor beyond a multiple of the input's

NONE: Added = (0, 0, 0, 0)
MIN_GROUP = 16  # channels that one convolution reads; smaller groups are put together, with zeros between them


def in_plain_forms(graph: Graph, precision: str) -> Graph:
    """The same network with plain convolutions where it had others; what cannot be written so stays as it is.

    It is no ONNX model any more: pads may be negative, and `serialized` is what the graph was read from.
    """
    return _Rewriting(graph, precision).graph()


def pads(node: Node, sides: tuple[int, ...]) -> Added | None:
    """The pads of a convolution with a kernel of such sides; None where they depend on the size of the image."""
    rule, strides = node.attributes.get("auto_pad", "NOTSET"), node.attributes.get("strides", (1, 1))
    if rule == "VALID":
        return NONE
    if rule == "NOTSET":
        above, left, below, right = node.attributes.get("pads", NONE)
        return above, left, below, right
    if rule not in ("SAME_UPPER", "SAME_LOWER") or max(strides) > 1 or node.op != "Conv":
        return None
    totals = [(side - 1) * apart for side, apart in zip(sides, _dilations(node), strict=True)]
    above, left = ((total + (rule == "SAME_LOWER")) // 2 for total in totals)
    return above, left, totals[0] - above, totals[1] - left


def _dilations(node: Node) -> tuple[int, int]:
    rows, columns = node.attributes.get("dilations", (1, 1))
    return rows, columns


class _Rewriting:
    """Goes through the operators in their order; what a tensor is replaced by keeps its name."""

    def __init__(self, graph: Graph, precision: str) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._weights = dict(graph.weights)
        self._ranges = dict(graph.ranges) if precision == "int8" else {}
        self._growth: dict[str, Growth] = {graph.input: (0, 0)}
        self._padded: dict[str, tuple[str, Added]] = {}  # tensors that are others with zeros around them, or cut
        self._blocks: dict[tuple[str, int], str] = {}  # of a tensor, by their side

    def graph(self) -> Graph:
        for node in self._graph.nodes:
            self._add(node)
        if self._nodes == list(self._graph.nodes):
            return self._graph
        nodes, read = [], {self._graph.output}
        for node in reversed(self._nodes):
            if read.intersection(node.outputs):
                nodes.append(node)
                read.update(node.inputs)
        made = {self._graph.input, *(name for node in nodes for name in node.outputs)}
        ranges = {name: limits for name, limits in self._ranges.items() if name in made}
        metadata = self._graph.metadata | ({RANGES: json.dumps(ranges)} if self._ranges else {})
        return dataclasses.replace(self._graph, nodes=tuple(nodes[::-1]), weights=self._weights, metadata=metadata)

    def _add(self, node: Node) -> None:
        source = next((name for name in node.inputs if name in self._growth), None)
        if source is None:
            self._nodes.append(node)
        elif node.op in ("Conv", "ConvTranspose"):
            self._convolution(node)
        elif node.op in ("Pad", "Slice"):
            self._border(node)
        else:
            self._put(node, self._resized(node, self._growth[source]))

    def _put(self, node: Node, growth: Growth) -> None:
        self._nodes.append(node)
        self._growth.update(dict.fromkeys(node.outputs, growth))

    def _resized(self, node: Node, growth: Growth) -> Growth:
        if node.op == "SpaceToDepth":
            return self._in_blocks(growth, node.attributes["blocksize"])
        factor = 1.0
        if node.op == "DepthToSpace":
            factor = node.attributes["blocksize"]
        elif node.op == "Resize":
            factor = resize_kind(node, self._weights)[1] or 1
        return int(growth[0] * factor), int(growth[1] * factor)

    @staticmethod
    def _in_blocks(growth: Growth, side: int) -> Growth:
        """Of blocks that cover a tensor."""
        return -(-growth[0] // side), -(-growth[1] // side)

    def _border(self, node: Node) -> None:
        """A Pad, or a Slice of rows and columns, which is one that takes away."""
        source, made, added = node.inputs[0], node.outputs[0], borders.added(node, self._weights)
        if added is None:
            return self._put(node, self._growth[source])
        rows, columns = self._growth[source]
        if node.op == "Slice":
            node = Node("Pad", (source, self._weight(f"{made}/pads", _amounts(added))), (made,), {"mode": "constant"})
        if borders.kind(node, self._weights) == "zeros":
            self._padded[made] = (source, added)
        self._put(node, (rows + added[0] + added[2], columns + added[1] + added[3]))

    def _convolution(self, node: Node) -> None:
        kernel, strides = self._weights.get(node.inputs[1]), set(node.attributes.get("strides", (1,)))
        known = kernel is not None and kernel.ndim == 4 and kernel.dtype == np.float32 and len(strides) == 1
        known = known and all(name in self._weights for name in node.inputs[2:] if name)
        around = pads(node, kernel.shape[2:]) if kernel is not None and known else None
        if kernel is None or around is None or node.inputs[0] not in self._growth:
            return self._put(node, self._growth.get(node.inputs[0], (0, 0)))
        if node.attributes.get("group", 1) != 1:
            return self._grouped(node, kernel, around, max(strides))
        if node.op == "ConvTranspose":
            return self._transposed(node, kernel, around, strides.pop())
        source, around = self._without_pads(node.inputs[0], around)
        if strides != {1}:
            return self._strided(node, source, kernel, around, strides.pop())
        self._plain(node, source, node.inputs[1], around)

    def _grouped(self, node: Node, kernel: Kernel, around: Added, stride: int) -> None:
        """Depthwise with all its pixels, of which those a stride apart are kept; or a convolution for each group."""
        groups, name, upward = node.attributes["group"], node.outputs[0], node.op == "ConvTranspose"
        outputs = kernel.shape[1] if upward else len(kernel) // groups  # of a group
        if kernel.shape[1] == outputs == 1 and not upward:
            source, around = self._without_pads(node.inputs[0], around)
            if stride == 1:
                return self._plain(node, source, node.inputs[1], around)
            every, blocks, rest = f"{name}/every pixel", f"{name}/blocks", f"{name}/others"
            self._plain(node, source, node.inputs[1], around, every, _dilations(node))
            growth = self._in_blocks(self._growth[every], stride)
            self._put(Node("SpaceToDepth", (every,), (blocks,), {"blocksize": stride}), growth)
            sizes = self._weight(f"{name}/sizes", np.array([groups, groups * (stride**2 - 1)]))
            return self._put(Node("Split", (blocks, sizes), (name, rest), {"axis": 1}), growth)
        inputs = len(kernel) // groups if upward else kernel.shape[1]
        together = next(n for n in range(1, groups + 1) if groups % n == 0 and (n * inputs >= MIN_GROUP or n == groups))
        count = groups // together
        attributes = {key: value for key, value in node.attributes.items() if key != "group"}
        source = node.inputs[0]
        if not upward:
            source, around = self._without_pads(source, around)
            attributes |= {"pads": around, "auto_pad": "NOTSET"}
        read, made = self._parts(source, count, inputs * together), []
        bias = self._weights[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else None
        for i, part in enumerate(read):
            of_group = kernel[i * together * len(kernel) // groups :][: together * len(kernel) // groups]
            names = [part, self._weight(f"{name}/kernel {i}", _side_by_side(of_group, together))]
            if bias is not None:
                names.append(self._weight(f"{name}/bias {i}", bias[i * together * outputs :][: together * outputs]))
            made.append(name if count == 1 else f"{name}/group {i}")
            self._convolution(Node(node.op, tuple(names), (made[-1],), attributes))
        if count > 1:
            self._put(Node("Concat", tuple(made), (name,), {"axis": 1}), self._growth[made[0]])

    def _parts(self, source: str, count: int, channels: int) -> list[str]:
        """As many tensors of so many of a tensor's channels."""
        if count == 1:
            return [source]
        made = [f"{source}/{i} of {count}" for i in range(count)]
        if made[0] not in self._growth:
            sizes = self._weight(f"{source}/sizes of {count}", np.full(count, channels))
            self._put(Node("Split", (source, sizes), tuple(made), {"axis": 1}), self._growth[source])
            if source in self._ranges:
                self._ranges |= dict.fromkeys(made, self._ranges[source])
        return made

    def _without_pads(self, source: str, around: Added) -> tuple[str, Added]:
        """What is read behind zeros and cuts that pads can be, and those pads."""
        name, added = self._padded.get(source, (source, NONE))
        # Behind a cut, zeros would stand where the pixels are that were cut off.
        if name == source or any(more < 0 < pad for more, pad in zip(added, around, strict=True)):
            return source, around
        if source in self._ranges:
            self._ranges.setdefault(name, self._ranges[source])
        above, left, below, right = (more + pad for more, pad in zip(added, around, strict=True))
        return self._without_pads(name, (above, left, below, right))

    def _plain(
        self,
        node: Node,
        source: str,
        kernel: str,
        around: Added,
        output: str | None = None,
        dilations: tuple[int, int] = (1, 1),
    ) -> None:
        """A convolution without strides; with the node's own dilations, unless it has another `output`."""
        dilations = _dilations(node) if output is None else dilations
        reach = [(n - 1) * d for n, d in zip(self._weights[kernel].shape[2:], dilations, strict=True)]
        rows, columns = self._growth[source]
        growth = (rows + around[0] + around[2] - reach[0], columns + around[1] + around[3] - reach[1])
        if output is None and source == node.inputs[0]:
            return self._put(node, growth)
        rules: dict[str, Any] = {"pads": around, "dilations": dilations, "group": node.attributes.get("group", 1)}
        self._put(Node("Conv", (source, kernel, *node.inputs[2:]), (output or node.outputs[0],), rules), growth)

    def _strided(self, node: Node, source: str, kernel: Kernel, around: Added, stride: int) -> None:
        """Taps that are a stride apart lie in neighbouring blocks, at the same place of each."""
        if source in self._ranges:
            kernel = self._quantized(node, source, kernel)
        (out, deep, *sides), dilations, growth = kernel.shape, _dilations(node), self._growth[source]
        places = [
            [divmod(k * apart - before, stride) for k in range(side)]
            for side, apart, before in zip(sides, dilations, around, strict=False)
        ]
        first = [min(block for block, _ in axis) for axis in places]
        counts = [max(block for block, _ in axis) - start + 1 for axis, start in zip(places, first, strict=True)]
        made = np.zeros((out, stride, stride, deep, *counts), np.float32)
        for (ky, (y, dy)), (kx, (x, dx)) in itertools.product(*map(enumerate, places)):
            made[:, dy, dx, :, y - first[0], x - first[1]] = kernel[:, :, ky, kx]
        blocks = self._in_blocks(growth, stride)
        behind = []
        for axis in (0, 1):
            reach = (sides[axis] - 1) * dilations[axis] + 1
            length = (growth[axis] + around[axis] + around[axis + 2] - reach) // stride + 1
            behind.append(length - blocks[axis] + first[axis] + counts[axis] - 1)
        read = self._folded(source, stride)
        name = self._weight(f"{node.outputs[0]}/kernel", made.reshape(out, -1, *counts))
        self._plain(node, read, name, (-first[0], -first[1], behind[0], behind[1]), node.outputs[0])

    def _quantized(self, node: Node, source: str, kernel: Kernel) -> Kernel:
        """The kernel as int8 has it, which rounds so that sums over it are kept: those of single blocks are others."""
        bias = self._weights[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else np.zeros(len(kernel))
        scale, _ = quantization.activation_parameters(*self._ranges[source])
        scales = quantization.weight_scales(kernel, bias.astype(np.float32), scale)
        return quantization.dequantized_weights(quantization.quantized_weights(kernel, scales), scales)

    def _folded(self, source: str, side: int) -> str:
        if (source, side) not in self._blocks:
            made = self._blocks[source, side] = f"{source}/blocks of {side}"
            rules = {"blocksize": side}
            self._put(Node("SpaceToDepth", (source,), (made,), rules), self._in_blocks(self._growth[source], side))
            if source in self._ranges:
                self._ranges[made] = self._ranges[source]
        return self._blocks[source, side]

    def _transposed(self, node: Node, kernel: Kernel, around: Added, stride: int) -> None:
        """Each sub-pixel has the taps that reach it: every so many of the kernel's."""
        (deep, out, *sides), dilations = kernel.shape, _dilations(node)
        extra = node.attributes.get("output_padding", (0, 0))
        if "output_shape" in node.attributes:
            return self._put(node, self._growth[node.inputs[0]])
        taps = [
            [
                (k, phase, (phase + before - k * apart) // stride)
                for k, phase in itertools.product(range(side), range(stride))
                if (phase + before - k * apart) % stride == 0
            ]
            for side, apart, before in zip(sides, dilations, around, strict=False)
        ]
        first = [min(place for _, _, place in axis) for axis in taps]
        counts = [max(place for _, _, place in axis) - start + 1 for axis, start in zip(taps, first, strict=True)]
        made = np.zeros((out, stride, stride, deep, *counts), np.float32)
        for (ky, dy, y), (kx, dx, x) in itertools.product(*taps):
            made[:, dy, dx, :, y - first[0], x - first[1]] = kernel[:, :, ky, kx].T
        # Rows (and columns) of the output beyond `stride` for each of the source's.
        more = [
            (sides[axis] - 1) * dilations[axis] + 1 - around[axis] - around[axis + 2] + extra[axis] - stride
            for axis in (0, 1)
        ]
        cut = [n % -stride for n in more]  # the last cells' that are too many
        behind = [-(-n // stride) + start + count - 1 for n, start, count in zip(more, first, counts, strict=True)]
        name = node.outputs[0]
        cells, shuffled = f"{name}/cells", f"{name}/whole cells" if any(cut) else name
        inputs = [node.inputs[0], self._weight(f"{name}/kernel", made.reshape(out * stride**2, deep, *counts))]
        if len(node.inputs) > 2 and node.inputs[2]:
            inputs.append(self._weight(f"{name}/bias", self._weights[node.inputs[2]].repeat(stride**2)))
        reads = dataclasses.replace(node, inputs=tuple(inputs))
        self._plain(reads, inputs[0], inputs[1], (-first[0], -first[1], behind[0], behind[1]), cells)
        growth = self._growth[cells]
        shuffle = Node("DepthToSpace", (cells,), (shuffled,), {"blocksize": stride, "mode": "CRD"})
        self._put(shuffle, (growth[0] * stride, growth[1] * stride))
        if any(cut):
            amounts = self._weight(f"{name}/pads", _amounts((0, 0, cut[0], cut[1])))
            self._border(Node("Pad", (shuffled, amounts), (name,), {"mode": "constant"}))

    def _weight(self, name: str, value: npt.NDArray[Any]) -> str:
        self._weights[name] = value
        return name


def _side_by_side(kernel: Kernel, groups: int) -> Kernel:
    """Kernels of groups, one after the other, as one with zeros from each group to the others."""
    first, second, *sides = kernel.shape
    made = np.zeros((groups, first // groups, groups, second, *sides), np.float32)
    for i, group in enumerate(kernel.reshape(groups, -1, second, *sides)):
        made[i, :, i] = group
    return made.reshape(first, groups * second, *sides)


def _amounts(added: Added) -> npt.NDArray[np.int64]:
    """Of a Pad, as ONNX has them."""
    above, left, below, right = added
    return np.array([0, 0, above, left, 0, 0, below, right], np.int64)
