"""A generator whose result is mixed with what bicubic interpolation makes of the same image: its strength, 0 to 1.

The mixture is part of the graph, in its last operators, so that any engine runs it and windows stay exact. Engines that
have a store of their own do it there (`output_head`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.errors import ModelError
from fastsr.network import onnx_messages, onnx_reader
from fastsr.network.graph import Graph, Node
from fastsr.network.onnx_messages import Message
from fastsr.network.resize_kind import resize_kind

_PREFIX = "blend/"  # of the names that are added
_EMPTY_ROI = 13  # opset from which Resize may leave out what it does not read


def blended(graph: Graph, blend: float) -> Graph:
    """`graph` with the output blend * its own + (1 - blend) * the input enlarged by cubic convolution; itself for 1.

    Raises ModelError for a graph that has no fixed scale to enlarge by, or has been blended already.
    """
    if blend == 1:
        return graph
    if any(name.startswith(_PREFIX) for node in graph.nodes for name in node.outputs):
        raise ModelError(f"{graph.path}: is blended already; take the model that it was made from")
    model = onnx_messages.parse(graph.serialized)
    _Blending(graph, model, blend).apply()
    for entry in model.metadata_props:
        if entry.key == "name":
            model.metadata_props.remove(entry)
            break
    entry = model.metadata_props.add()
    entry.key, entry.value = "name", f"{graph.name} (blend {blend:g})"
    return onnx_reader.parsed(graph.path, model.SerializeToString())


class _Blending:
    """Adds the operators of a mixture to a model's message."""

    def __init__(self, graph: Graph, model: Message, blend: float) -> None:
        self.graph, self.model, self.blend = graph, model, blend
        self.makers = {name: node for node in graph.nodes for name in node.outputs}
        self.reads = [name for node in graph.nodes for name in node.inputs]

    def apply(self) -> None:
        output = self.graph.output
        last = self.makers.get(output)
        if last is None:
            raise ModelError(f"{self.graph.path}: its output is its input, which leaves nothing to blend")
        own = _PREFIX + "own"
        self._rename(output, own)
        sum_of = self._sum_with_input(last)
        if sum_of is not None:
            shuffle, enlarged = sum_of
            self._scale_before(shuffle.outputs[0])
            if resize_kind(enlarged, self.graph.weights)[0] == "bicubic":  # of which there is a whole one again then
                self._rename(own, output)
                return self._sort()
            self._scale_behind(enlarged.outputs[0], self.blend)
        elif last.op == "DepthToSpace":
            self._scale_before(own)
        else:
            own = self._product(own, self.blend, "weighted")
        self._node("Add", [own, self._product(self._enlarged(), 1 - self.blend, "rest")], output)
        self._sort()

    def _sum_with_input(self, last: Node) -> tuple[Node, Node] | None:
        """Of an addition of a pixel shuffle and the enlarged input, these two."""
        if last.op != "Add":
            return None
        for one, other in (last.inputs, last.inputs[::-1]):
            shuffle, enlarged = self.makers.get(one), self.makers.get(other)
            if shuffle is None or enlarged is None or shuffle.op != "DepthToSpace":
                continue
            kind, factor = resize_kind(enlarged, self.graph.weights)
            alone = self.reads.count(one) == self.reads.count(other) == 1
            if kind and factor == self.graph.scale and enlarged.inputs[0] == self.graph.input and alone:
                return shuffle, enlarged
        return None

    def _scale_before(self, shuffled: str) -> None:
        """Weight what the pixel shuffle that makes a tensor reads: a convolution takes it up, at low resolution."""
        shuffle = next(node for node in self.model.graph.node if shuffled in node.output)
        shuffle.input[0] = self._product(shuffle.input[0], self.blend, "weighted")

    def _scale_behind(self, name: str, weight: float) -> None:
        """Weight a tensor for all that read it."""
        maker = next(node for node in self.model.graph.node if name in node.output)
        maker.output[list(maker.output).index(name)] = _PREFIX + name
        self._node("Mul", [_PREFIX + name, self._constant("input_weight", np.asarray(weight))], name)

    def _enlarged(self) -> str:
        scale, name = self.graph.scale, _PREFIX + "bicubic"
        factors = self._constant("factors", np.array([1, 1, scale, scale], np.float32), np.dtype(np.float32))
        roi = ""
        if self.graph.opset < _EMPTY_ROI:
            roi = self._constant("roi", np.empty(0), np.dtype(np.float32))
        node = self._node("Resize", [self.graph.input, roi, factors], name)
        attributes = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}
        for key, value in attributes.items():
            made = node.attribute.add()
            made.name = key
            if isinstance(value, str):
                made.type, made.s = made.STRING, value.encode()
            else:
                made.type, made.f = made.FLOAT, value
        return name

    def _product(self, name: str, weight: float, label: str) -> str:
        made = _PREFIX + label
        self._node("Mul", [name, self._constant(f"{label}_weight", np.asarray(weight))], made)
        return made

    def _constant(self, label: str, value: npt.NDArray[Any], dtype: np.dtype[Any] | None = None) -> str:
        """A stored tensor, of the image's element type where none is given; its name."""
        dtype = self.graph.dtype if dtype is None else dtype
        tensor = self.model.graph.initializer.add()
        tensor.name = _PREFIX + label
        tensor.data_type = onnx_messages.FLOAT16 if dtype == np.float16 else onnx_messages.FLOAT
        tensor.dims.extend(value.shape)
        tensor.raw_data = value.astype(dtype.newbyteorder("<")).tobytes()
        return str(tensor.name)

    def _node(self, op: str, inputs: list[str], output: str) -> Message:
        node = self.model.graph.node.add()
        node.op_type = op
        node.input.extend(inputs)
        node.output.append(output)
        return node

    def _sort(self) -> None:
        """Put each operator behind those whose results it reads."""
        waiting = list(self.model.graph.node)
        made = {name for node in waiting for name in node.output}
        ordered: list[Message] = []
        while waiting:
            at = next((i for i, node in enumerate(waiting) if made.isdisjoint(node.input)), None)
            if at is None:
                raise ModelError(f"{self.graph.path}: not a valid ONNX model: its operators go round in a circle")
            ordered.append(waiting.pop(at))
            made.difference_update(ordered[-1].output)
        self.model.graph.ClearField("node")
        self.model.graph.node.extend(ordered)

    def _rename(self, name: str, other: str) -> None:
        for node in self.model.graph.node:
            for names in (node.input, node.output):
                for i, found in enumerate(names):
                    if found == name:
                        names[i] = other
