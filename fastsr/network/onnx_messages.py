"""ONNX's protobuf messages and the plain values in them, without importing the whole onnx package.

`import onnx` takes longer than a first image's convolutions. What a shipped model needs of it is the one generated
module with the messages, which is loaded from the package by itself; onnx follows where a file holds anything rarer.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Message = Any  # a protobuf message: ModelProto, NodeProto, ...

FLOAT, INT64, FLOAT16 = 1, 7, 10  # TensorProto.DataType
_PLAIN: dict[int, str] = {FLOAT: "f4", INT64: "i8", FLOAT16: "f2"}
_FIELDS = ("", "f", "i", "s", "t", "g", "floats", "ints", "strings")  # of an attribute, by AttributeProto.AttributeType


@functools.cache
def messages() -> Any:
    """The module with the message classes: onnx itself where it is imported already, else its generated part alone."""
    if "onnx" not in sys.modules:
        package = importlib.util.find_spec("onnx")
        for folder in package.submodule_search_locations or () if package else ():
            file = Path(folder) / "onnx_ml_pb2.py"
            if file.is_file():
                # Under its own name, or a later `import onnx` would find itself half done; protobuf shares the classes.
                loader = importlib.machinery.SourceFileLoader("fastsr._onnx_ml_pb2", str(file))
                module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))  # type: ignore[arg-type]
                loader.exec_module(module)
                return module
    import onnx

    return onnx


def parse(serialized: bytes) -> Message:
    """A ModelProto from a file's bytes. Raises what protobuf raises where they are something else."""
    return messages().ModelProto.FromString(serialized)


def array(tensor: Message) -> npt.NDArray[Any]:
    """A TensorProto's values; its data must be in it."""
    plain = _PLAIN.get(tensor.data_type)
    if plain is not None and tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, f"<{plain}").reshape(tuple(tensor.dims)).astype(plain)
    from onnx import numpy_helper

    return np.asarray(numpy_helper.to_array(tensor))


def attribute(proto: Message) -> Any:
    """An AttributeProto's value as onnx gives it: a number, bytes, a message, or a list of these."""
    if not proto.ref_attr_name and 0 < proto.type < len(_FIELDS):
        value = getattr(proto, _FIELDS[proto.type])
        return list(value) if _FIELDS[proto.type].endswith("s") and proto.type != _FIELDS.index("s") else value
    from onnx import helper

    return helper.get_attribute_value(proto)


def image_value(name: str, element: int, channels: int) -> Message:
    """A ValueInfoProto for N x channels x H x W of one element type."""
    made = messages().ValueInfoProto(name=name)
    made.type.tensor_type.elem_type = element
    for side in (None, channels, None, None):
        dimension = made.type.tensor_type.shape.dim.add()
        if side is not None:
            dimension.dim_value = side
    return made
