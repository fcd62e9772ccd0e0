"""Models as nobody would write them: small ones, changed in their bytes and in their fields, by a seed."""

import json
import random

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto
from support.native_networks import gates, normalized, sliced
from support.small_models import Builder, compact, deconvolved, downsampling, gated, mixed, rrdb, srresnet

from fastsr.network import exported_onnx, onnx_reader

NUMBERS = (0, 1, -1, 2, -2, 3, 7, 64, 255, 4096, 2**31 - 1, 2**31, -(2**31), 2**62, -(2**62))
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    "",
    "nearest",
    "linear",
    "cubic",
    "asymmetric",
    "half_pixel",
    "CRD",
    "DCR",
    "SAME_UPPER",
    "VALID",
    "\0",
    "a" * 300,
)
PLACES = ("", "weights.bin", "../weights.bin", "/etc/hostname", "a" * 5000, "a\0b", ".", "gone.bin")
OPERATORS = ("Conv", "ConvTranspose", "PRelu", "Clip", "DepthToSpace", "SpaceToDepth", "Resize", "Add", "Mul", "Concat")
OPERATORS += ("Slice", "ReduceMean", "Transpose", "LayerNormalization", "BatchNormalization", "Sigmoid", "Elu", "Pow")
OPERATORS += ("Sub", "Div", "Min", "Max", "Sqrt", "Softplus", "Erf", "Reciprocal", "Dropout", "ScatterND")
OPERATORS += ("Split", "Pad", "MaxPool", "Relu", "Identity", "Cast", "QuantizeLinear", "DequantizeLinear", "Constant")


def _with_ranges(builder):
    model = builder.model()
    read = [n.input[0] for n in model.graph.node if n.op_type == "Conv"]
    onnx.helper.set_model_props(model, {"ranges": json.dumps({name: (-2, 3) for name in read})})
    return model


def _split_and_joined():
    b = Builder().conv(8)
    b.nodes.append(onnx.helper.make_node("Split", [b.x, b.weight(np.array([3, 5]))], ["s0", "s1"], axis=1))
    b.nodes.append(onnx.helper.make_node("Concat", ["s1", "s0"], ["joined"], axis=1))
    b.x = "joined"
    b.add("Pad", b.weight(np.array([0, 0, 1, 1, 0, 0, 1, 1])), mode="edge")
    return b.add("MaxPool", kernel_shape=[3, 3], strides=[1, 1]).conv(12).shuffle(2)


def _exported(folder, precision):
    path = folder / "whole.onnx"
    path.write_bytes(_with_ranges(srresnet(2)).SerializeToString())
    return exported_onnx.form(onnx_reader.read(path), precision)


def originals(folder):
    """The models that are changed; `folder` is for files on the way."""
    builders = [compact(2), compact(3, inputs=1), srresnet(), mixed(), deconvolved(), downsampling()]
    builders += [_split_and_joined(), rrdb(8, 4, 1), gated(8, 1), gates(), normalized(), sliced()]
    return [*map(_with_ranges, builders), *(_exported(folder, precision) for precision in ("fp16", "bf16", "int8"))]


def mutated(original, seed):
    """The bytes of `original` (a ModelProto) after one to three changes drawn by `seed`."""
    draw = random.Random(seed)
    model = onnx.ModelProto()
    model.CopyFrom(original)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        draw.choice(_CHANGES)(draw, model)
    content = bytearray(model.SerializeToString())
    if draw.random() < 0.1:
        _bytes(draw, content)
    return bytes(content)


def _bytes(draw, content):
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content))
        kind = draw.randrange(3)
        if kind == 0:
            content[at] = draw.randrange(256)
        elif kind == 1:
            del content[at : at + draw.randint(1, 16)]
        else:
            content[at:at] = draw.randbytes(draw.randint(1, 16))


def _tensor(draw, model):
    t = draw.choice(model.graph.initializer)
    kind = draw.randrange(7)
    if kind == 0 and t.dims:
        t.dims[draw.randrange(len(t.dims))] = draw.choice(NUMBERS)
    elif kind == 1 and t.dims:
        del t.dims[draw.randrange(len(t.dims))]
    elif kind == 2:
        t.dims.append(draw.choice((1, 1, 2, 0)))
    elif kind == 3:
        t.raw_data = t.raw_data[: draw.randrange(len(t.raw_data) + 1)]
    elif kind == 4:
        t.data_type = draw.choice((TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8, TensorProto.STRING, 99))
    elif kind == 5:
        t.data_location = TensorProto.EXTERNAL
        t.external_data.add(key="location", value=draw.choice(PLACES))
        t.external_data.add(key="offset", value=draw.choice(("0", "-1", "1e9", str(2**62))))
    elif t.data_type == TensorProto.FLOAT and len(t.dims):
        plain = all(0 < side < 1 << 10 for side in t.dims) and np.prod(t.dims) < 1 << 20
        t.raw_data = np.full(tuple(t.dims), draw.choice(FLOATS), np.float32).tobytes() if plain else b""


def _reshaped(draw, model):
    """A weight of another shape that holds as many values as it says."""
    t = draw.choice(model.graph.initializer)
    shape = [draw.choice((1, 2, 3, 4, 5, 8, 12)) for _ in range(draw.randint(0, 5))]
    if np.prod(shape, dtype=int) < 1 << 14:
        t.CopyFrom(onnx.numpy_helper.from_array(np.ones(shape, np.float32), t.name))


def _attribute(draw, model):
    attributes = [a for n in model.graph.node for a in n.attribute]
    a = draw.choice(attributes)
    if a.type == AttributeProto.INT:
        a.i = draw.choice(NUMBERS)
    elif a.type == AttributeProto.FLOAT:
        a.f = draw.choice(FLOATS)
    elif a.type == AttributeProto.STRING:
        a.s = draw.choice(TEXTS).encode()
    elif a.type == AttributeProto.INTS and len(a.ints):
        kind = draw.randrange(3)
        if kind == 0:
            a.ints[draw.randrange(len(a.ints))] = draw.choice(NUMBERS)
        elif kind == 1:
            del a.ints[draw.randrange(len(a.ints))]
        else:
            a.ints.append(draw.choice(NUMBERS))


def _node(draw, model):
    nodes = model.graph.node
    node = draw.choice(nodes)
    names = [name for n in nodes for name in (*n.input, *n.output)]
    kind = draw.randrange(7)
    if kind == 0:
        node.op_type = draw.choice(OPERATORS)
    elif kind == 1 and node.input:
        node.input[draw.randrange(len(node.input))] = draw.choice(names)
    elif kind == 2 and node.input:
        del node.input[draw.randrange(len(node.input))]
    elif kind == 3:
        node.input.append(draw.choice(names))
    elif kind == 4 and node.attribute:
        del node.attribute[draw.randrange(len(node.attribute))]
    elif kind == 5 and node.output:
        node.output.append("more")
    elif len(nodes) > 1:
        del nodes[draw.randrange(len(nodes))]


def _input_or_output(draw, model):
    value = draw.choice((model.graph.input[0], model.graph.output[0])).type.tensor_type
    if draw.random() < 0.3:
        value.elem_type = draw.choice((TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8, 0))
    elif len(value.shape.dim):
        for _ in range(draw.randint(1, 2)):
            value.shape.dim[draw.randrange(len(value.shape.dim))].dim_value = draw.choice((*NUMBERS, 11, 13, 32))


def _setting(draw, model):
    kind = draw.randrange(3)
    if kind == 0:
        model.opset_import[0].version = draw.choice((0, 11, 12, 13, 18, 21, 25, 2**62))
    elif kind == 1:
        model.ir_version = draw.choice((0, 3, 8, 2**62))
    else:
        ranges = draw.choice(
            ("", "[", "{}", '{"input": [0, 1e400]}', '{"input": [0, 1]}', "[" * 100_000, '{"input": 3}')
        )
        onnx.helper.set_model_props(model, {"ranges": ranges, "precision": draw.choice(("int8", "fp16", "odd"))})


_CHANGES = (_tensor, _reshaped, *[_attribute] * 3, *[_node] * 3, _input_or_output, _setting)
