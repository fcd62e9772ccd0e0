"""An ONNX file read into a Graph, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.errors import ModelError
from fastsr.network import catalog, file_kinds, half_weights, onnx_messages
from fastsr.network.graph import MAX_FIXED_SIDE, MAX_SCALE, SCALE, STANDARD, Graph, Node
from fastsr.network.onnx_messages import Message
from fastsr.network.receptive_field import Walk

MIN_OPSET = 11


def read(path: str | Path, as_stored: bool = False) -> Graph:
    """Read and check an ONNX generator; in float32 where it was exported in half floats or integers.

    With `as_stored`, its operators and weights stay as the file has them.
    Expected: one NCHW float input of 1 or 3 channels in 0..1, one output of as many channels, an integer factor larger.
    Raises ModelError, naming the file, when it is missing, not ONNX, no generator, or keeps data outside its folder.
    """
    path = Path(path)
    return parsed(path, catalog.content(path), as_stored)


def parsed(path: Path, content: bytes, as_stored: bool = False) -> Graph:
    """`read` for a file's content; `path` goes before messages."""
    try:
        return _read(path, content, as_stored)
    except MemoryError:
        raise ModelError(f"{path}: memory ran out while it was read; free some, or take a smaller model") from None
    except RecursionError:
        raise ModelError(f"{path}: not a valid ONNX model: it is nested too deeply") from None


def _read(path: Path, content: bytes, as_stored: bool) -> Graph:
    model, opset = _load(path, content, as_stored)
    nodes = tuple(_node(path, n) for n in model.graph.node)
    weights = {t.name: _array(path, t) for t in model.graph.initializer}
    for node in nodes:
        kinds = {"value", "value_float", "value_floats", "value_int", "value_ints"} & node.attributes.keys()
        if node.op == "Constant" and kinds and node.outputs:
            weights[node.outputs[0]] = np.asarray(node.attributes[kinds.pop()])
        elif node.op == "Identity" and node.inputs[0] in weights:  # how exporters share one weight
            weights[node.outputs[0]] = weights[node.inputs[0]]
    nodes = tuple(node for node in nodes if node.op != "Identity" or node.inputs[0] not in weights)
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{path}: has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "a generator has one image in and one out"
        )
    batch, channels, height, width = _input_shape(path, inputs[0])
    if model.graph.output[0].type.tensor_type.elem_type not in _FLOATS:
        raise ModelError(f"{path}: its output is not float; export a float32 model with pixels in 0..1")
    output = model.graph.output[0].name
    metadata = {p.key: p.value for p in model.metadata_props}
    try:
        walk = Walk(path, nodes, weights, inputs[0].name, channels)
        scale, alignment = _scale(walk, output, metadata), walk.alignment()
        radius, cost = walk.radius(output, scale), walk.cost()
    except ModelError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:  # one pad for two axes ...
        raise ModelError(f"{path}: not a valid ONNX model: an operator's attributes make no sense ({error})") from None
    if walk.channels.get(output, channels) != channels and not walk.opaque:
        raise ModelError(
            f"{path}: {channels} channels in, {walk.channels[output]} out; fastsr needs as many as came in"
        )
    return Graph(
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        nodes=nodes,
        weights=weights,
        opset=opset,
        input=inputs[0].name,
        output=output,
        channels=channels,
        dtype=_FLOATS[inputs[0].type.tensor_type.elem_type],
        fixed_size=(height, width) if height and width else None,
        fixed_batch=batch,
        scale=scale,
        radius=radius,
        alignment=alignment,
        cost=cost,
        metadata=metadata,
        serialized=model.SerializeToString(),
    )


def _scale(walk: Walk, output: str, metadata: dict[str, str]) -> int:
    """The factor that the operators tell; where some of them do not, the metadata's, if it is there."""
    told = metadata.get(SCALE, "")
    if walk.opaque and told.isdecimal() and len(told) < 9 and 1 <= int(told) <= MAX_SCALE:
        return int(told)
    return walk.scale(output)


def _load(path: Path, content: bytes, as_stored: bool) -> tuple[Message, int]:
    """A file's model, checked, with its weights; and the opset of its standard operators."""
    if file_kinds.is_engine(content):
        raise ModelError(f"{path}: is a TensorRT engine, not an ONNX model; name the model that it was built from")
    try:
        model = onnx_messages.parse(content)
    except MemoryError:
        raise
    except Exception:  # protobuf's parsers differ in what they raise
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export") from None
    if not model.graph.node or not model.opset_import:
        raise ModelError(f"{path}: not an ONNX model; export one with: python -m training export")
    opset = max((o.version for o in model.opset_import if o.domain in STANDARD), default=0)
    if opset < MIN_OPSET:
        raise ModelError(f"{path}: opset {opset} is too old; export it with opset {MIN_OPSET} or newer")
    shipped = catalog.card(path) is not None
    if not shipped:  # what ships was checked when it was made, and the checker takes long to import
        _check(path, model)
    half_weights.widened(model)
    if not shipped and not as_stored:
        from fastsr.network import exported_onnx_reader  # onnx takes a while to import

        model = exported_onnx_reader.restored(model) or model
    return model, opset


def _check(path: Path, model: Message) -> None:
    """Load what a user's file keeps outside, and have onnx check the whole."""
    import onnx

    _load_external(path, model)
    try:
        onnx.checker.check_model(model)
    except MemoryError:
        raise
    except Exception as error:  # its own, and protobuf's for models that are too large
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: not a valid ONNX model: {reason}") from None


def _tensors(graph: Message) -> Iterator[Message]:
    """Every tensor stored in a graph and in the graphs inside its operators."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _attached(graph.node)


def _attached(nodes: Iterable[Message]) -> Iterator[Message]:
    for attribute in (a for n in nodes for a in n.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _external(model: Message) -> list[Message]:
    stored = [*_tensors(model.graph), *(t for f in model.functions for t in _attached(f.node))]
    return [t for t in stored if t.data_location == t.EXTERNAL]


def _load_external(path: Path, model: Message) -> None:
    import onnx

    folder = path.resolve().parent
    for tensor in _external(model):
        place = {e.key: e.value for e in tensor.external_data}.get("location", "")
        target = _beside(path, folder, place)
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except MemoryError:
            raise
        except Exception as error:
            raise ModelError(f"{path}: cannot read its weights from {target}: {error}") from None
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def _beside(path: Path, folder: Path, place: str) -> Path:
    """The file of weights that a model names, which must be in its folder."""
    try:
        target = folder / place
        inside = bool(place) and not Path(place).is_absolute() and target.resolve().is_relative_to(folder)
        is_there = inside and target.is_file()
    except (OSError, RuntimeError, ValueError, TypeError):  # too long, a circle of links, a NUL, bytes that are no text
        raise ModelError(f"{path}: its weights file is named {place[:80]!r}, which no file can be") from None
    if not inside:
        raise ModelError(
            f"{path}: keeps weights outside its folder ({place or 'no file named'}), which is refused; "
            "put them beside the model or save it as one file"
        )
    if not is_there:
        raise ModelError(f"{path}: its weights file {target} is missing; put it beside the model")
    return target


def _array(path: Path, tensor: Message) -> npt.NDArray[Any]:
    try:
        return onnx_messages.array(tensor)
    except MemoryError:
        raise
    except Exception as error:  # of NumPy and of onnx, by the kind of tensor
        raise ModelError(
            f"{path}: not a valid ONNX model: the tensor {tensor.name!r} does not hold {list(tensor.dims)} values of "
            f"its type ({error}); export it again"
        ) from None


def _node(path: Path, proto: Message) -> Node:
    attributes = {}
    for a in proto.attribute:
        try:
            value = onnx_messages.attribute(a)
        except ValueError as error:  # a type that onnx does not know
            raise ModelError(f"{path}: not a valid ONNX model: the attribute {a.name!r}: {error}") from None
        if a.type == a.TENSOR:
            value = _array(path, value)
        elif isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, list):
            value = tuple(value)
        attributes[a.name] = value
    op = proto.op_type if proto.domain in STANDARD else f"{proto.domain}.{proto.op_type}"
    return Node(op, tuple(proto.input), tuple(proto.output), attributes)


_FLOATS: dict[int, np.dtype[Any]] = {
    onnx_messages.FLOAT: np.dtype(np.float32),
    onnx_messages.FLOAT16: np.dtype(np.float16),
}


def _input_shape(path: Path, value: Message) -> tuple[int | None, int, int | None, int | None]:
    kind = value.type.tensor_type
    if kind.elem_type not in _FLOATS:
        raise ModelError(f"{path}: its input is not float; export a float32 model with pixels in 0..1")
    sides = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    if len(sides) != 4 or sides[1] not in (1, 3):
        raise ModelError(f"{path}: its input is {sides}; fastsr needs N x 3 x H x W (or 1 channel)")
    if sides[0] not in (None, 1):
        raise ModelError(f"{path}: takes {sides[0]} images at once; export it with a batch of 1 or a free one")
    if (sides[2] is None) != (sides[3] is None):
        raise ModelError(f"{path}: fixes only one of height and width; export it with both free")
    if max(sides[2] or 0, sides[3] or 0) > MAX_FIXED_SIDE:
        raise ModelError(
            f"{path}: takes only {sides[3]}x{sides[2]} pixels; fastsr takes fixed sides up to {MAX_FIXED_SIDE}; "
            "export it with free height and width"
        )
    return sides[0], sides[1], sides[2], sides[3]
