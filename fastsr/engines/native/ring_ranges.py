"""Concatenations and splits as ranges of channels of one ring, so that nothing is copied for them."""

from __future__ import annotations

from collections.abc import Mapping

from fastsr.engines.native.draft import MAX_CHANNELS, Draft, Unsupported
from fastsr.engines.native.program import Array, Conv, Step, Tensor, pointwise
from fastsr.network.channel_slice import channel_slice
from fastsr.network.graph import Graph, Node


class RingRanges:
    """The views of a draft: tensors side by side, and some channels of a tensor."""

    def __init__(self, draft: Draft) -> None:
        self._draft, self._tensors, self._steps = draft, draft.tensors, draft.steps
        self._by_part: dict[int, list[int]] = {}  # of each tensor in a concatenation: the longest one's parts

    def concat(self, node: Node) -> set[str]:
        """Tensors side by side: from here on ranges of one ring, if they are not of another one already."""
        if node.attributes.get("axis") not in (1, -3):
            raise Unsupported(f"{node.outputs[0]}: Concat of other than channels")
        joined = [self._draft.number(node, name) for name in node.inputs]
        parts = [part for number in joined for part in self._tensors[number].parts or (number,)]
        sizes = {self._tensors[part].size for part in parts}
        channels = sum(self._tensors[part].channels for part in parts)
        if len(sizes) != 1 or channels > MAX_CHANNELS:
            raise Unsupported(f"{node.outputs[0]}: Concat of different sizes, or to {channels} channels")
        # A tensor lies in one ring, and once.
        parts = [
            self._draft.copied(part) if part == 0 or self._tensors[part].source >= 0 or part in parts[:i] else part
            for i, part in enumerate(parts)
        ]
        rings = {id(ring): ring for part in parts if (ring := self._by_part.get(part)) is not None}
        (ring,) = rings.values() if len(rings) == 1 else ([],)
        if len(rings) > 1 or not (_is_run(ring, parts) or _is_run(parts, ring)):
            parts = [self._draft.copied(part) if part in self._by_part else part for part in parts]
            ring = []
        if len(ring) <= len(parts):
            self._by_part.update(dict.fromkeys(parts, parts))
        made = self._draft.tensor(node.outputs[0], channels, sizes.pop())
        self._tensors[made].parts = tuple(parts)
        return {node.outputs[0]}

    def split(self, node: Node, source: int, weights: Mapping[str, Array]) -> set[str]:
        """Runs of a tensor's channels, as ranges of its ring."""
        if node.attributes.get("axis", 0) not in (1, -3):
            raise Unsupported(f"{node.outputs[0]}: Split of other than channels")
        source = self._draft.copied(source) if source == 0 else source
        channels, sizes = self._tensors[source].channels, node.attributes.get("split")
        if len(node.inputs) > 1 and node.inputs[1]:
            stored = weights.get(node.inputs[1])
            sizes = None if stored is None else [int(size) for size in stored.reshape(-1)]
        elif sizes is None:
            most = -(-channels // len(node.outputs))
            sizes = [min(most, channels - i * most) for i in range(len(node.outputs))]
        if sizes is None or len(sizes) != len(node.outputs) or sum(sizes) != channels or min(sizes) < 1:
            raise Unsupported(f"{node.outputs[0]}: Split of {channels} channels into {sizes}")
        first = 0
        for name, size in zip(node.outputs, sizes, strict=True):
            if name:
                self._view(name, source, first, size)
            first += size
        return set(node.outputs)

    def slice(self, node: Node, source: int, weights: Mapping[str, Array]) -> set[str]:
        """A run of a tensor's channels, as a range of its ring."""
        limits = channel_slice(node, weights, self._tensors[source].channels)
        if limits is None:
            raise Unsupported(f"{node.outputs[0]}: Slice of other than channels")
        low, high = limits
        self._view(node.outputs[0], self._draft.copied(source) if source == 0 else source, low, high - low)
        return {node.outputs[0]}

    def _view(self, name: str, source: int, first: int, channels: int) -> None:
        made = self._draft.tensor(name, channels, self._tensors[source].size)
        self._tensors[made].source, self._tensors[made].first = source, first

    def settle(self) -> None:
        """What can be told when all steps are there: what lies in a ring of its own too, and how rings are held."""
        self._copy_far_operands()
        self._hold_views()

    def _copy_far_operands(self) -> None:
        """Have what is added long after its concatenations were read lie in a ring of its own too.

        Its rows would else be kept for as long in a ring as wide as all parts together.
        """
        for ring in self._rings():
            views = {i for i, t in enumerate(self._tensors) if t.parts and self._by_part[t.parts[0]] is ring}
            read = max((i for i, step in enumerate(self._steps) if step.source in views), default=0)
            wide = sum(self._tensors[part].channels for part in ring)
            for part in ring:
                made = next(i for i, step in enumerate(self._steps) if step.target == part)
                far = [step for step in self._steps[read + 1 :] if part in _operands(step)]
                last = max((i for i, step in enumerate(self._steps) if part in _operands(step)), default=0)
                # Each convolution keeps a row more.
                if not far or (last - read) * wide <= 1.5 * (last - made) * self._tensors[part].channels:
                    continue
                copy = self._draft.copied(part)
                self._steps.insert(made + 1, self._steps.pop())
                read += 1
                for step in far:
                    _replace_operand(step, part, copy)

    def _rings(self) -> list[list[int]]:
        return list({id(ring): ring for ring in self._by_part.values()}.values())

    def _hold_views(self) -> None:
        """Have every ring that views lie in hold what any of them is read as."""
        for view in reversed(self._tensors):
            if view.source >= 0:
                view.floats |= not view.packed
                _hold(self._tensors[view.source], [view])
        for ring in self._rings():
            views = [t for t in self._tensors if t.parts and self._by_part[t.parts[0]] is ring]
            whole = max(views, key=lambda view: len(view.parts))
            _hold(whole, views)
            whole.floats |= not whole.packed
            for view in views:
                view.quantization = whole.quantization
                if not view.floats and not view.packed:  # read as part of longer ones alone
                    view.floats, view.packed = whole.floats, whole.packed
            for part in ring:
                _hold(self._tensors[part], [whole])


def _operands(step: Step) -> set[int]:
    """The tensors that are added or multiplied."""
    values = pointwise(step)
    found = {step.epilogue.add} if isinstance(step, Conv) else set()
    return found if values is None else found | {values.epilogue.add, values.times}


def _replace_operand(step: Step, old: int, new: int) -> None:
    if isinstance(step, Conv) and step.epilogue.add == old:
        step.epilogue.add = new
    values = pointwise(step)
    if values is not None:
        values.epilogue.add = new if values.epilogue.add == old else values.epilogue.add
        values.times = new if values.times == old else values.times


def _is_run(part: list[int], whole: list[int]) -> bool:
    """Whether a list is found in another, in one piece."""
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def _hold(held: Tensor, read: list[Tensor]) -> None:
    """Have a tensor held in every way in which one of others is."""
    held.floats |= any(t.floats for t in read)
    for t in read:
        if t.packed:
            held.packed, held.quantization = True, t.quantization


def shared_ranges(graph: Graph) -> dict[str, tuple[float, float]]:
    """A graph's ranges, but tensors that may lie in one ring, and are thus quantized alike, have their widest."""
    groups: dict[str, set[str]] = {}
    ranges = graph.ranges
    for node in graph.nodes:
        if node.op in ("Concat", "Split", "Slice", "Identity"):
            names = [*(node.inputs if node.op == "Concat" else node.inputs[:1]), *node.outputs]
            names = [name for name in names if name != graph.input]  # it lies in none but its own
            joined = set().union(*(groups.get(name, {name}) for name in names))
            groups.update(dict.fromkeys(joined, joined))
    made = {}
    for name in ranges:
        near = [ranges[other] for other in groups.get(name, {name}) if other in ranges]
        made[name] = (min(low for low, _ in near), max(high for _, high in near))
    return made
