"""The typed form: element types throughout, numbers close to fp32, integers as integers, refusals."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support.small_models import MODELS, Builder, compact, srresnet

from fastsr.errors import EngineError, ModelError
from fastsr.network import catalog, onnx_reader, quantization, strong_typing

WIDE = (-2.0, 3.0)  # holds what small random models make
KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def read(builder, folder, ranges=None, **options):
    """The builder's graph with ranges in its file: WIDE for what convolutions read, unless given."""
    if ranges is None:
        bare = onnx_reader.read(builder.save(folder / "bare.onnx", **options))
        ranges = {name: WIDE for name in quantization.inputs(bare)} | {"input": (0.0, 1.0)}
    return onnx_reader.read(builder.save(folder / "m.onnx", metadata={"ranges": json.dumps(ranges)}, **options))


def run(model, x, tensor="output"):
    """One tensor of the model for x, as float32, computed with Q/DQ operators as they are written."""
    if tensor != "output":
        model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    half = session.get_inputs()[0].type == "tensor(float16)"
    return session.run([tensor], {"input": x.astype(np.float16 if half else np.float32)})[0].astype(np.float32)


def image(height=12, width=14, seed=0, channels=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (1, channels, height, width))
    return (pixels / np.float32(255)).astype(np.float32)


def element_types(model):
    """Of every tensor, as ONNX itself infers them, strictly."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    kinds = {t.name: t.data_type for t in inferred.initializer}
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return kinds | {v.name: v.type.tensor_type.elem_type for v in values}


def operators(model, op):
    return [n for n in model.graph.node if n.op_type == op]


@pytest.mark.parametrize("precision", strong_typing.PRECISIONS)
@pytest.mark.parametrize("name", MODELS)
def test_every_form_is_valid_onnx(name, precision, tmp_path):
    network = read(MODELS[name](), tmp_path)
    model = strong_typing.strongly_typed(network, precision)
    onnx.checker.check_model(model, full_check=True)
    kinds = element_types(model)
    io = helper.np_dtype_to_tensor_dtype(strong_typing.io_dtype(precision))
    assert (kinds["input"], kinds["output"]) == (io, io)
    body = KINDS.get(precision, TensorProto.FLOAT16)
    for node in operators(model, "Conv"):
        assert {kinds[n] for n in (*node.input, *node.output)} == {body}
    stored = {t.name for t in model.graph.initializer}
    assert stored == stored & {n for node in model.graph.node for n in node.input}  # nothing is kept that nobody reads
    quantized = {"int8": TensorProto.INT8, "fp8": TensorProto.FLOAT8E4M3FN}.get(precision)
    for node in operators(model, "QuantizeLinear"):
        assert kinds[node.output[0]] == quantized
    props = {p.key: p.value for p in model.metadata_props}
    assert props.get("precision") == (None if precision == "fp32" else precision)
    assert props["ranges"] == network.metadata["ranges"]


def test_io_dtypes():
    assert [strong_typing.io_dtype(p) for p in strong_typing.PRECISIONS] == [np.float32, *[np.float16] * 4]


def test_fp32_is_the_file_itself(tmp_path):
    network = read(compact(), tmp_path)
    assert strong_typing.strongly_typed(network, "fp32").SerializeToString() == network.serialized


# In 8-bit steps: the mean and the largest distance from fp32 that a precision may show on random networks.
@pytest.mark.parametrize(("precision", "mean", "most"), [("fp16", 0.1, 1.0), ("int8", 3.0, 40), ("fp8", 6.0, 80)])
@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_near_fp32(name, precision, mean, most, tmp_path):
    network = read(MODELS[name](), tmp_path)
    x = image()
    exact = run(strong_typing.strongly_typed(network, "fp32"), x)
    made = run(strong_typing.strongly_typed(network, precision), x)
    assert made.shape == exact.shape
    difference = np.abs(made - exact) * 255
    assert 0 < difference.mean() < mean
    assert difference.max() < most


def bf16(x):
    """Round float32 to the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


def widened(model):
    """The bf16 form with float32 in place of bf16 and no casts: ONNX Runtime has no bf16 on a CPU."""
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast":
            node.op_type = "Identity"
            del node.attribute[:]
        kept.append(node)
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.BFLOAT16, TensorProto.FLOAT16):
            values = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    model.opset_import[0].version = 17
    model.ir_version = 8
    return model


@pytest.mark.parametrize("name", ["compact-x2", "srresnet-x4", "mixed-x4", "deconvolved-x4"])
def test_bf16_holds_the_weights_rounded_and_is_otherwise_the_same_network(name, tmp_path):
    network = read(MODELS[name](), tmp_path)
    model = strong_typing.strongly_typed(network, "bf16")
    rounded = {t.name: np.asarray(numpy_helper.to_array(t)) for t in model.graph.initializer}
    for made, values in rounded.items():
        if made.endswith("/bf16"):
            expected = bf16(network.weights[made.removesuffix("/bf16")])
            np.testing.assert_array_equal(values.astype(np.float32), expected)
    assert any(made.endswith("/bf16") for made in rounded)
    x = image()
    difference = np.abs(run(widened(model), x) - run(strong_typing.strongly_typed(network, "fp32"), x)) * 255
    assert 0 < difference.mean() < 1.5


def test_after_the_last_convolution_bf16_is_fp16(tmp_path):
    """A step of bf16 near white would be a whole 8-bit step."""
    model = strong_typing.strongly_typed(read(compact(), tmp_path), "bf16")
    kinds = element_types(model)
    for op in ("DepthToSpace", "Resize", "Add"):
        (node,) = operators(model, op)
        assert kinds[node.output[0]] == TensorProto.FLOAT16
    assert {kinds[n.output[0]] for n in operators(model, "PRelu")} == {TensorProto.BFLOAT16}
    assert len(operators(model, "Cast")) == 2  # of the image on its way in, of the details on their way out


def test_transposed_convolutions_of_bf16_are_fp32(tmp_path):
    model = strong_typing.strongly_typed(read(MODELS["deconvolved-x4"](), tmp_path), "bf16")
    kinds = element_types(model)
    for node in operators(model, "ConvTranspose"):
        assert {kinds[n] for n in (*node.input, *node.output)} == {TensorProto.FLOAT}


def test_resize_factors_stay_float32(tmp_path):
    for precision in ("fp16", "bf16", "int8"):
        model = strong_typing.strongly_typed(read(MODELS["mixed-x4"](), tmp_path), precision)
        kinds = element_types(model)
        assert {kinds[n.input[2]] for n in operators(model, "Resize")} == {TensorProto.FLOAT}


@given(st.floats(0, 1e9))
def test_scales_are_held_by_fp16_and_reach_what_was_asked(wanted):
    scale = strong_typing.half_scale(wanted)
    assert scale.dtype == np.float32
    assert np.float32(np.float16(scale)) == scale > 0
    assert scale >= min(wanted, 65504)
    if 2**-14 <= wanted <= 65504:
        assert scale <= wanted * (1 + 2**-10)


def integer_conv(x, kernel, bias, low, high, pad):
    """A convolution in integers, from the definition: s8 x s8 summed, then one float scale a channel, then the bias."""
    step = float(strong_typing.half_scale(max(-low, high) / 127))
    quantized = np.clip(np.rint(x.astype(np.float64) / step), -128, 127).astype(np.int64)
    scale = strong_typing.half_scale([abs(k).max() / 127 for k in kernel]).astype(np.float64)
    weights = np.rint(kernel / scale.reshape(-1, 1, 1, 1)).astype(np.int64)
    assert abs(weights).max() <= 127
    padded = np.pad(quantized, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out, deep, size, _ = kernel.shape
    height, width = x.shape[2:]
    total = np.zeros((out, height, width), np.int64)
    for i, dy, dx in np.ndindex(deep, size, size):
        total += weights[:, i, dy, dx, None, None] * padded[0, i, dy : dy + height, dx : dx + width]
    return (total * (step * scale).reshape(-1, 1, 1) + bias.reshape(-1, 1, 1)).astype(np.float32)[None]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_convolution_of_int8_is_one_in_integers(size, tmp_path):
    b = Builder().conv(8).conv(6, size)
    kernel, bias = (numpy_helper.to_array(t) for t in b.weights[2:4])
    low, high = -0.4, 0.7
    network = read(b.conv(3), tmp_path, {"Conv0": (low, high)})
    x = image()
    features = run(strong_typing.strongly_typed(network, "int8"), x, "Conv0")
    made = run(strong_typing.strongly_typed(network, "int8"), x, "Conv1")
    assert (np.abs(features) > high).any()  # some values lie outside
    expected = integer_conv(features, kernel, bias, low, high, size // 2)
    # A value halfway between two steps may round to either when it was divided in fp16.
    steps = strong_typing.half_scale(high / 127) * np.abs(kernel).max()
    difference = np.abs(made - expected)
    assert (difference < 4e-3 * (1 + np.abs(expected))).mean() > 0.98
    assert difference.max() < 2 * steps + 4e-3 * np.abs(expected).max()


def test_int8_weights_are_integers_in_steps_of_fp16_and_biases_float(tmp_path):
    b = Builder().conv(8).conv(6)
    kernel, bias = (numpy_helper.to_array(t) for t in b.weights[2:4])
    model = strong_typing.strongly_typed(read(b.conv(3), tmp_path), "int8")
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    makers = {n.output[0]: n for n in model.graph.node}
    conv = operators(model, "Conv")[1]
    maker = makers[conv.input[1]]
    assert (maker.op_type, maker.attribute[0].name, maker.attribute[0].i) == ("DequantizeLinear", "axis", 0)
    quantized, scale = (tensors[i] for i in maker.input)
    assert (quantized.dtype, quantized.shape, scale.dtype, scale.shape) == (np.int8, kernel.shape, np.float16, (6,))
    wide = scale.astype(np.float32).reshape(-1, 1, 1, 1)
    assert (np.abs(quantized * wide - kernel) <= 1.001 * wide).all()
    assert (np.abs((quantized * wide - kernel).sum(axis=(2, 3))) <= 0.501 * wide[..., 0, 0]).all()
    assert (np.abs(quantized).max(axis=(1, 2, 3)) >= 126).all()
    np.testing.assert_array_equal(tensors[conv.input[2]], bias.astype(np.float16))
    reader = makers[conv.input[0]]
    assert reader.op_type == "DequantizeLinear"
    assert (tensors[reader.input[2]].dtype, tensors[reader.input[2]]) == (np.int8, 0)


def test_dead_channels_stay_dead(tmp_path):
    b = Builder().conv(4)
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[1:3] = 1e-12
    kernel[3] = 0.1
    bias = np.array([0, 0.5, 0, 0.5], np.float32)
    b.add("Conv", b.weight(kernel), b.weight(bias), pads=[1] * 4)
    network = read(b.conv(3), tmp_path)
    for precision in ("int8", "fp8"):
        made = run(strong_typing.strongly_typed(network, precision), image(), "Conv1")
        np.testing.assert_array_equal(made[0, 1], 0.5)
        np.testing.assert_array_equal(made[0, [0, 2]], 0)
        assert made[0, 3].std() > 0.01


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_only_convolutions_inside_with_a_range_are_quantized(precision, tmp_path):
    every = strong_typing.strongly_typed(read(srresnet(), tmp_path), precision)
    convolutions = operators(every, "Conv")
    assert convolutions[0].input[0] == "input"  # pixels are finer than s8 and fp8
    assert all(n.input[0].endswith("/dequantized") for n in convolutions[1:])
    one = strong_typing.strongly_typed(read(srresnet(), tmp_path, {"input": (0, 1), "PRelu1": WIDE}), precision)
    assert [n.input[0] for n in operators(one, "QuantizeLinear")] == ["PRelu1"]


def test_shipped_models_have_a_form_in_every_precision():
    for card in catalog.models().values():
        network = onnx_reader.read(card.path)
        for precision in strong_typing.PRECISIONS:
            if network.ranges or precision not in ("int8", "fp8"):
                onnx.checker.check_model(strong_typing.strongly_typed(network, precision), full_check=True)


def test_shipped_models_lose_little():
    losses = {"fp16": 0.2, "int8": 2.0}
    seen = 0
    for card in catalog.models().values():
        network = onnx_reader.read(card.path)
        x = np.repeat(np.repeat(image(8, 8), 4, 2), 4, 3)
        exact = run(strong_typing.strongly_typed(network, "fp32"), x)
        for precision, bound in losses.items():
            if precision == "fp16" or network.ranges:
                assert np.abs(run(strong_typing.strongly_typed(network, precision), x) - exact).mean() * 255 < bound
                seen += 1
    assert seen >= len(catalog.models())


def test_shapes_computed_inside_stay_exact(tmp_path):
    """Sizes that a model computes for itself are no images: in fp16, 4099 would become 4100."""
    b = compact()
    last = b.x
    b.nodes += [
        helper.make_node("Shape", ["input"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sides"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["sides", b.weight(np.float32(1))], ["same"]),
        helper.make_node("ReduceSum", ["same"], ["sum"], keepdims=0),
        helper.make_node("Sub", ["sum", b.weight(np.float32(4097 + 1 + 3))], ["rest"]),
    ]
    b.x = last
    b.add("Add", "rest")
    b.nodes[-1].input[:] = [last, "rest"]
    path = b.save(tmp_path / "m.onnx")
    model = strong_typing.strongly_typed(onnx_reader.read(path), "fp16")
    kinds = element_types(model)
    assert {kinds[n] for n in ("sides", "same", "sum", "rest")} == {TensorProto.FLOAT}
    narrow = np.full((1, 3, 1, 4097), 0.5, np.float32)
    np.testing.assert_allclose(
        run(model, narrow), run(strong_typing.strongly_typed(onnx_reader.read(path), "fp32"), narrow), atol=0.02
    )


def test_constants_made_by_operators_are_typed(tmp_path):
    b = compact()
    b.nodes.insert(0, helper.make_node("Constant", [], ["half"], value_float=0.5))
    b.add("Mul", "half")
    network = onnx_reader.read(b.save(tmp_path / "m.onnx"))
    model = strong_typing.strongly_typed(network, "fp16")
    onnx.checker.check_model(model, full_check=True)
    assert not operators(model, "Constant")
    np.testing.assert_allclose(
        run(model, image()), run(onnx.load_model_from_string(network.serialized), image()), atol=0.01
    )


def test_an_output_that_is_read_inside_is_cast_once(tmp_path):
    b = Builder().conv(3)
    b.conv(3)
    model = b.model()
    model.graph.node.append(helper.make_node("Relu", ["output"], ["unused"]))
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    made = strong_typing.strongly_typed(onnx_reader.read(tmp_path / "m.onnx"), "bf16")
    onnx.checker.check_model(made, full_check=True)
    assert element_types(made)["output"] == TensorProto.FLOAT16


def test_what_has_no_form_says_so(tmp_path):
    plain = onnx_reader.read(compact().save(tmp_path / "plain.onnx"))
    with pytest.raises(EngineError, match="unknown precision 'fp4'; known: fp32, fp16, bf16, int8, fp8"):
        strong_typing.strongly_typed(plain, "fp4")
    for precision in ("int8", "fp8"):
        with pytest.raises(EngineError, match=r"plain\.onnx: int8 needs activation ranges.*training quantize"):
            strong_typing.strongly_typed(plain, precision)
    b = Builder()
    b.add("Conv", b.weight(np.full((3, 3, 1, 1), 7e4, np.float32)))
    loud = onnx_reader.read(b.save(tmp_path / "loud.onnx"))
    with pytest.raises(ModelError, match=r"loud\.onnx: 'w0' holds values up to 70000.*use bf16 or fp32"):
        strong_typing.strongly_typed(loud, "fp16")
    strong_typing.strongly_typed(loud, "bf16")


def test_half_precision_files_are_taken_as_they_are_or_not_at_all(tmp_path):
    made = strong_typing.strongly_typed(onnx_reader.read(compact().save(tmp_path / "m.onnx")), "fp16")
    onnx.save_model(made, str(tmp_path / "half.onnx"))
    half = onnx_reader.read(tmp_path / "half.onnx", as_stored=True)
    assert [n.SerializeToString() for n in strong_typing.strongly_typed(half, "fp16").graph.node] == [
        n.SerializeToString() for n in made.graph.node
    ]
    with pytest.raises(ModelError, match=r"half\.onnx: is a float16 model, which has no fp32 form"):
        strong_typing.strongly_typed(half, "fp32")


def test_graphs_inside_operators_are_refused_by_name(tmp_path):
    b = Builder().conv(3)
    branch = helper.make_graph(
        [helper.make_node("Identity", [b.x], ["inside"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )
    condition = b.weight(np.bool_(True))
    b.nodes.append(helper.make_node("If", [condition], ["either"], then_branch=branch, else_branch=branch))
    b.nodes.append(helper.make_node("Add", [b.x, "either"], ["Add2"]))
    network = onnx_reader.read(b.save(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"m\.onnx: If has no fp16 form; use fp32"):
        strong_typing.strongly_typed(network, "fp16")
    assert strong_typing.strongly_typed(network, "fp32").graph.node
