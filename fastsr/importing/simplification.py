"""Exported ONNX models in fewer and plainer operators: what depends on the shape alone becomes constant.

An exporter writes pixel (un)shuffles as Reshape and Transpose, and computes with shapes. A model that was exported for
one size has constants in their place; where all that remains of them can be told from the operators, the model fits any
size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, helper, numpy_helper

from fastsr.importing.crops import with_crops

MAX_FOLDED = 1 << 20  # values of a tensor that is computed ahead
_SHAPES = frozenset(("Shape", "Size"))  # known from the size alone
_NEVER = frozenset(
    ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
)
_NOTHING = frozenset(("Identity", "Dropout"))
_RESHAPING = frozenset(("Slice", "Reshape", "Expand", "Pad", "Tile"))

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in plainer operators; for a model of a fixed size also without computing with shapes."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    before = math.inf
    while len(made.graph.node) < before:  # shapes that were constants by then tell more of them
        before = len(made.graph.node)
        _Simplification(made).run()
    return made


def for_any_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with free height, width and number of images; right where no operator holds its size any more."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.ClearField("value_info")
    for value, sides in ((made.graph.input[0], ("N", None, "H", "W")), (made.graph.output[0], ("N", None, "Y", "X"))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, sides, strict=True):
            if name is not None:
                dimension.Clear()
                dimension.dim_param = name
    return made


def for_one_size(model: onnx.ModelProto, height: int, width: int) -> onnx.ModelProto:
    """`model` for one image of a size."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.ClearField("value_info")
    for dimension, side in zip(made.graph.input[0].type.tensor_type.shape.dim, (1, None, height, width), strict=True):
        if side is not None:
            dimension.Clear()
            dimension.dim_value = side
    for dimension in made.graph.output[0].type.tensor_type.shape.dim:
        dimension.Clear()
    return made


class _Simplification:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._shapes = dict(shapes(model))
        self._constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in self._graph.initializer}
        self._same: dict[str, str] = {}
        self._opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._made: set[str] = set()  # constants that came about here

    def run(self) -> None:
        nodes = []
        for node in self._graph.node:
            node.input[:] = [self._same.get(name, name) for name in node.input]
            if not self._folded(node) and not self._needless(node):
                nodes += self._joined_channels(node) or [node]
        nodes = self._with_splits(self._with_plain_chains(nodes))
        nodes = with_crops(nodes, self._shapes, self._constants, self._keep)
        self._name_output(nodes)
        self._store(_needed(nodes, self._graph.output[0].name))

    def _folded(self, node: NodeProto) -> bool:
        """Whether an operator's results are constants."""
        if node.op_type in _SHAPES:
            shape = self._shapes.get(node.input[0])
            if shape is None or node.op_type == "Size" or node.attribute:
                return False
            self._keep(node.output[0], np.array(shape, np.int64))
            return True
        if node.op_type == "Constant":
            value = node.attribute[0]
            if value.name != "value":
                value = helper.make_attribute("value", numpy_helper.from_array(_plain(value)))
            self._keep(node.output[0], numpy_helper.to_array(value.t))
            return True
        if node.op_type in _NEVER or not all(name in self._constants for name in node.input if name):
            return False
        if any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute) or node.domain not in ("", "ai.onnx"):
            return False
        if any(self._size(name) > MAX_FOLDED for name in (*node.input, *node.output)):
            return False
        for name, value in zip(node.output, _evaluated(node, self._constants, self._opset), strict=True):
            self._keep(name, value)
        return True

    def _size(self, name: str) -> int:
        if name in self._constants:
            return self._constants[name].size
        return math.prod(self._shapes.get(name, (0,)))

    def _keep(self, name: str, value: Array) -> None:
        self._constants[name] = value
        self._shapes[name] = value.shape
        self._made.add(name)

    def _needless(self, node: NodeProto) -> bool:
        """Whether an operator gives back what it reads."""
        if not (node.op_type in _NOTHING or self._keeps_all(node)) or len([n for n in node.output if n]) != 1:
            return False
        self._same[node.output[0]] = node.input[0]
        return True

    def _keeps_all(self, node: NodeProto) -> bool:
        """Whether an operator that cuts, pads, repeats or reshapes does none of it."""
        before, after = (self._shapes.get(name) for name in (node.input[0] if node.input else "", node.output[0]))
        if node.op_type not in _RESHAPING or before is None or before != after:
            return False
        if node.op_type == "Slice" and len(node.input) > 4:  # a step of -1 turns the order around
            return bool((self._constants.get(node.input[4], np.array(0)) == 1).all())
        if node.op_type == "Pad":  # as many may be cut off on one side as are added on the other
            return len(node.input) > 1 and not self._constants.get(node.input[1], np.array(1)).any()
        return True

    def _joined_channels(self, node: NodeProto) -> list[NodeProto]:
        """An assignment to a run of channels, as slices of the others joined with what is assigned."""
        indices = self._constants.get(node.input[1]) if node.op_type == "ScatterND" and not node.attribute else None
        shape = self._shapes.get(node.input[0], ())
        if indices is None or len(shape) != 4 or indices.shape[::2] != (1, 2) or indices[..., 0].any():
            return []
        first, count = int(indices[0, 0, 1]), indices.shape[1]
        if first < 0 or (indices[0, :, 1] != np.arange(first, first + count)).any():
            return []
        source, assigned, made = node.input[0], node.input[2], []
        parts = [(0, first), (first + count, shape[1])]
        for low, high in parts:
            name = f"{node.output[0]}/from{low}"
            bounds = [f"{name}/low", f"{name}/high", f"{name}/axis"]
            for bound, value in zip(bounds, (low, high, 1), strict=True):
                self._keep(bound, np.array([value], np.int64))
            if low < high:
                made.append(helper.make_node("Slice", [source, *bounds], [name]))
        names = [n.output[0] for n in made]
        joined = [*names[: first > 0], assigned, *names[first > 0 :]]
        return [*made, helper.make_node("Concat", joined, [node.output[0]], axis=1)]

    def _with_plain_chains(self, nodes: list[NodeProto]) -> list[NodeProto]:
        """Three operators that reorder or repeat what they read as those that say so."""
        readers = Counter(name for node in nodes for name in node.input)
        makers = {name: node for node in nodes for name in node.output}
        replaced: dict[str, list[NodeProto]] = {}  # by the output of the last of three
        for node in nodes:
            chain = [node]
            while len(chain) < 3 and chain[0].input and chain[0].input[0] in makers:
                before = makers[chain[0].input[0]]
                if readers[before.output[0]] != 1:
                    break
                chain.insert(0, before)
            kinds = [n.op_type for n in chain]
            made: list[NodeProto] = []
            if kinds == ["Reshape", "Transpose", "Reshape"]:
                made = self._shuffle(chain)
            elif len(kinds) == 3 and kinds[1] in ("Tile", "Expand") and kinds[2] == "Reshape":
                made = self._repeated_channels(chain)
            if made:
                replaced[node.output[0]] = made
        return [new for node in nodes for new in (replaced.get(node.output[0], [node]) if node.output else [node])]

    def _repeated_channels(self, chain: list[NodeProto]) -> list[NodeProto]:
        """A convolution that gives every channel several times, one after the other."""
        shapes = [self._shapes.get(name, ()) for name in (chain[0].input[0], *(n.output[0] for n in chain))]
        if [len(s) for s in shapes] != [4, 5, 5, 4]:
            return []
        count, deep, *sides = shapes[0]
        times = shapes[2][2]
        if shapes[1:] != [(count, deep, 1, *sides), (count, deep, times, *sides), (count, deep * times, *sides)]:
            return []
        source, result = chain[0].input[0], chain[2].output[0]
        self._keep(f"{result}/copies", np.eye(deep, dtype=np.float32).repeat(times, 0).reshape(-1, deep, 1, 1))
        return [helper.make_node("Conv", [source, f"{result}/copies"], [result], kernel_shape=[1, 1])]

    def _with_splits(self, nodes: list[NodeProto]) -> list[NodeProto]:
        """Slices of channels that are, together, all of what they read as one Split."""
        parts: dict[str, list[tuple[int, int, NodeProto]]] = {}
        for node in nodes:
            limits = self._channel_limits(node)
            if limits is not None:
                parts.setdefault(node.input[0], []).append((*limits, node))
        replaced: dict[int, NodeProto | None] = {}  # by the identity of a slice; the first becomes the split
        for source, slices in parts.items():
            ordered = sorted(slices, key=lambda part: part[:2])
            edges = [0, *(high for _, high, _ in ordered)]
            if [low for low, _, _ in ordered] != edges[:-1] or edges[-1] != self._shapes[source][1]:
                continue
            sizes = f"{source}/parts"
            self._keep(sizes, np.diff(np.array(edges, np.int64)))
            names = [node.output[0] for _, _, node in ordered]
            replaced |= {id(node): None for _, _, node in slices}
            replaced[id(slices[0][2])] = helper.make_node("Split", [source, sizes], names, axis=1)
        made = [replaced.get(id(node), node) for node in nodes]
        return [node for node in made if node is not None]

    def _channel_limits(self, node: NodeProto) -> tuple[int, int] | None:
        """First and last channel (exclusive) that a Slice takes; None for anything else."""
        shape = self._shapes.get(node.input[0], ()) if node.op_type == "Slice" else ()
        if len(shape) != 4 or len(node.input) < 4 or any(name not in self._constants for name in node.input[1:]):
            return None
        start, end, axes, *steps = (self._constants[name].tolist() for name in node.input[1:])
        if axes not in ([1], [-3]) or any(step != [1] for step in steps):
            return None
        low, high, _ = slice(start[0], end[0]).indices(shape[1])
        return (low, high) if low < high else None

    def _shuffle(self, chain: list[NodeProto]) -> list[NodeProto]:
        shapes = [self._shapes.get(name, ()) for name in (chain[0].input[0], *(n.output[0] for n in chain))]
        order = next((tuple(a.ints) for a in chain[1].attribute if a.name == "perm"), ())
        if [len(s) for s in shapes] != [4, 6, 6, 4]:
            return []
        (count, deep, height, width), apart, _, after = shapes
        names = (chain[0].input[0], chain[2].output[0])
        block = after[2] // height
        if order == (0, 1, 4, 2, 5, 3) and apart == (count, deep // max(block, 1) ** 2, block, block, height, width):
            return [helper.make_node("DepthToSpace", [names[0]], [names[1]], blocksize=block, mode="CRD")]
        block = height // max(after[2], 1)
        if order != (0, 1, 3, 5, 2, 4) or block < 2:
            return []
        if apart != (count, deep, height // block, block, width // block, block):
            return []
        # ONNX has the pixels of a block before the channels, PyTorch the channels before the pixels
        places = np.arange(deep * block**2).reshape(block**2, deep).T.ravel()
        order_of, blocks = f"{names[1]}/order", f"{names[1]}/blocks"
        self._keep(order_of, np.eye(deep * block**2, dtype=np.float32)[places].reshape(-1, deep * block**2, 1, 1))
        return [
            helper.make_node("SpaceToDepth", [names[0]], [blocks], blocksize=block),
            helper.make_node("Conv", [blocks, order_of], [names[1]], kernel_shape=[1, 1]),
        ]

    def _name_output(self, nodes: list[NodeProto]) -> None:
        """Let the model's output keep its name where what made it is gone."""
        output = self._graph.output[0].name
        made = self._same.get(output)
        if made is None:
            return
        if not any(made in node.output for node in nodes):
            nodes.append(helper.make_node("Identity", [made], [output]))
            return
        for node in nodes:
            for names in (node.input, node.output):
                names[:] = [output if name == made else name for name in names]

    def _store(self, nodes: list[NodeProto]) -> None:
        nodes = _with_reordered_weights(nodes, self._constants, self._made)
        read = {name for node in nodes for name in node.input}
        tensors = [t for t in self._graph.initializer if t.name in read and t.name not in self._made]
        tensors += [numpy_helper.from_array(self._constants[name], name) for name in sorted(self._made & read)]
        inputs = [i for i in self._graph.input if i.name in read and i.name not in self._constants]
        for field, values in (("node", nodes), ("initializer", tensors), ("input", inputs), ("value_info", [])):
            kept = list(values)  # type: ignore[call-overload]
            self._graph.ClearField(field)
            getattr(self._graph, field).extend(kept)


def _with_reordered_weights(nodes: list[NodeProto], constants: dict[str, Array], made: set[str]) -> list[NodeProto]:
    """Nodes without a convolution that only reorders channels, where the convolution behind it can do so itself."""
    readers: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    dropped = []
    for node in nodes:
        if node.op_type != "Conv" or not node.input[1].endswith("/order"):
            continue
        following = readers.get(node.output[0], [])
        plain = all(n.op_type == "Conv" and n.input[1] in constants and _group(n) == 1 for n in following)
        if not plain or any(len(readers[n.input[1]]) != 1 for n in following):
            continue
        order = constants[node.input[1]][:, :, 0, 0]
        for n in following:
            kernel = np.einsum("oiyx,ij->ojyx", constants[n.input[1]], order).astype(np.float32)
            constants[n.input[1]] = kernel
            made.add(n.input[1])
            n.input[0] = node.input[0]
        dropped.append(node)
    return [node for node in nodes if not any(node is d for d in dropped)]


def _group(node: NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _needed(nodes: list[NodeProto], output: str) -> list[NodeProto]:
    """The nodes that the output depends on."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        inside = [name for a in node.attribute if a.type == a.GRAPH for n in a.g.node for name in n.input]
        if wanted.intersection(node.output):
            wanted.update(node.input, inside)
            kept.append(node)
    return kept[::-1]


def shapes(model: onnx.ModelProto) -> Iterator[tuple[str, Shape]]:
    """The shapes of tensors that are known wholly, for one image at a time."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in (*single.graph.input, *single.graph.output):
        sides = value.type.tensor_type.shape.dim
        if sides and not sides[0].HasField("dim_value"):
            sides[0].dim_value = 1
    graph = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            yield value.name, tuple(d.dim_value for d in kind.shape.dim)
    yield from ((t.name, tuple(t.dims)) for t in graph.initializer)


def _plain(attribute: onnx.AttributeProto) -> Array:
    """The value of a Constant that is written as a number or a list of them."""
    value = helper.get_attribute_value(attribute)
    return np.asarray(value, np.float32 if "float" in attribute.name else np.int64)


def _evaluated(node: NodeProto, constants: dict[str, Array], opset: int) -> list[Array]:
    from onnx.reference import ReferenceEvaluator

    inputs = [name for name in dict.fromkeys(node.input) if name]
    graph = helper.make_graph(
        [node],
        "folded",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(constants[n].dtype), None) for n in inputs],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made = ReferenceEvaluator(model).run(None, {name: constants[name] for name in inputs})
    return [np.asarray(value) for value in made]
