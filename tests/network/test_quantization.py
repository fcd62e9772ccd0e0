"""The int8 form: an integer reference in NumPy, what stays float, its ranges in the file, exact tiling, refusals."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from support.small_models import MODELS, Builder, compact

import fastsr
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network import onnx_reader, qdq, quantization

WIDE = (-2.0, 3.0)  # holds what small random models make


def read(builder, folder, ranges=None, **options):
    """The builder's graph with ranges in its file: WIDE for what convolutions read, unless given."""
    bare = onnx_reader.read(builder.save(folder / "bare.onnx", **options))
    if ranges is None:
        ranges = {name: WIDE for name in quantization.inputs(bare)} | {"input": (0.0, 1.0)}
    path = builder.save(folder / "m.onnx", metadata={"ranges": json.dumps(ranges)}, **options)
    return onnx_reader.read(path)


def run(model, x, tensor="output"):
    """One tensor of the model for x."""
    if tensor != "output":
        model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([tensor], {"input": x})[0]


def image(height=11, width=13, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 3, height, width))
    return (pixels / np.float32(255)).astype(np.float32)


def rounded(steps):
    """A kernel's slice in whole steps, one weight after the other pushed until their sum is right."""
    made = np.rint(steps).astype(np.int64)
    for _ in range(abs(round(float((steps - made).sum(dtype=np.float64))))):
        error = (steps - made).astype(np.float64)
        sign = 1 if error.sum() > 0 else -1
        made[np.unravel_index(np.argmax(sign * error), made.shape)] += sign
    return made


def integer_conv(x, kernel, bias, low, high, pad, dilation=1, stride=1, group=1):
    """A convolution in integers, from the definition: u8 x s8 summed in s32, then one float scale a channel."""
    step = np.float32((high - low) / 255)
    zero = round(-low / float(step))
    quantized = np.clip(np.rint(x / step) + zero, 0, 255).astype(np.int64) - zero
    scale = np.array([abs(k).max() / 127 for k in kernel], np.float32)
    weights = np.array([[rounded(k / s) for k in kernels] for kernels, s in zip(kernel, scale, strict=True)])
    padded = np.pad(quantized, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out, deep, size, _ = kernel.shape
    height, width = ((side + 2 * pad - dilation * (size - 1) - 1) // stride + 1 for side in x.shape[2:])
    total = np.zeros((out, height, width), np.int64)
    for o in range(out):
        first = o // (out // group) * deep
        for i, dy, dx in np.ndindex(deep, size, size):
            rows = slice(dy * dilation, dy * dilation + stride * (height - 1) + 1, stride)
            columns = slice(dx * dilation, dx * dilation + stride * (width - 1) + 1, stride)
            total[o] += weights[o, i, dy, dx] * padded[0, first + i, rows, columns]
        total[o] += round(float(bias[o]) / (float(step) * float(scale[o])))
    assert abs(total).max() < 2**31
    return (total * (step * scale.astype(np.float64)).reshape(-1, 1, 1)).astype(np.float32)[None]


@pytest.mark.parametrize(
    "rules",
    [
        {"kernel": 1},
        {"kernel": 3},
        {"kernel": 5, "dilation": 2},
        {"kernel": 9},
        {"kernel": 3, "group": 3},
        {"kernel": 3, "stride": 2},
    ],
)
def test_a_convolution_is_one_in_integers(rules, tmp_path):
    b = Builder().conv(6, **rules)
    kernel, bias = (numpy_helper.to_array(t) for t in b.weights)
    low, high = -0.3, 0.9  # 0 lies between two steps of the range, and some values lie outside
    network = read(b.resize(rules.get("stride", 1)).conv(3), tmp_path, {"input": (low, high)})
    options = {"dilation": 1, "stride": 1, "group": 1} | {k: v for k, v in rules.items() if k != "kernel"}
    pad = options["dilation"] * (rules["kernel"] - 1) // 2
    x = image()
    expected = integer_conv(x, kernel, bias, low, high, pad, **options)
    np.testing.assert_allclose(run(qdq.to_qdq(network), x, "Conv0"), expected, rtol=1e-4, atol=2e-6)


def test_a_chain_is_one_in_integers(tmp_path):
    """Convolutions in integers, PReLU, pixel shuffle and anchor in float."""
    b = compact(2, channels=6, depth=1)
    tensors = [numpy_helper.to_array(t) for t in b.weights]
    network = read(b, tmp_path)
    x = image(seed=1)
    features, limits = x, (0.0, 1.0)
    for kernel, bias, slope in (tensors[0:3], tensors[3:6]):
        features = integer_conv(features, kernel, bias, *limits, pad=1)
        features = np.where(features < 0, slope * features, features)
        limits = WIDE
    last = integer_conv(features, *tensors[6:8], *WIDE, pad=1)
    n, _, h, w = last.shape
    shuffled = last.reshape(n, 3, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, 3, 2 * h, 2 * w)
    difference = np.abs(run(qdq.to_qdq(network), x) - (shuffled + x.repeat(2, 2).repeat(2, 3)))
    one_step = (WIDE[1] - WIDE[0]) / 255 * np.abs(tensors[6]).max()
    assert difference.max() <= 1.5 * one_step  # a value between two steps may round to either
    assert (difference < 1e-5).mean() > 0.95


@given(st.floats(-100, 0, width=32), st.floats(0, 100, width=32))
def test_activation_parameters_hold_zero_and_spans_the_range(low, high):
    if high - low < 1e-6:
        return
    scale, zero = quantization.activation_parameters(low, high)
    assert (scale.dtype, zero.dtype) == (np.float32, np.uint8)
    values = (np.arange(256) - int(zero)) * float(scale)
    assert 0 in values
    assert abs(values[0] - low) <= 0.51 * scale
    assert abs(values[-1] - high) <= 0.51 * scale
    # The range that they span gives the same parameters again, so storing the range stores them.
    assert quantization.activation_parameters(-int(zero) * float(scale), (255 - int(zero)) * float(scale)) == (
        scale,
        zero,
    )


def test_8_bit_pixels_are_represented_exactly():
    scale, zero = quantization.activation_parameters(0.0, 1.0)
    assert zero == 0
    pixels = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(np.rint(pixels / scale), np.arange(256))
    np.testing.assert_allclose(np.arange(256) * scale, pixels, rtol=2e-7)


def test_weights_are_stored_as_integers(tmp_path):
    b = Builder().conv(6)
    kernel, bias = (numpy_helper.to_array(t) for t in b.weights)
    model = qdq.to_qdq(read(b.conv(3), tmp_path))
    onnx.checker.check_model(model, full_check=True)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    first = next(n for n in model.graph.node if n.op_type == "Conv")
    makers = {n.output[0]: n for n in model.graph.node}
    for name, value, dtype in ((first.input[1], kernel, np.int8), (first.input[2], bias, np.int32)):
        maker = makers[name]
        quantized, scale = (tensors[i] for i in maker.input)
        assert (maker.op_type, maker.attribute[0].name, maker.attribute[0].i) == ("DequantizeLinear", "axis", 0)
        assert (quantized.dtype, quantized.shape, scale.shape) == (dtype, value.shape, (6,))
        wide = scale.reshape(-1, *[1] * (value.ndim - 1))
        assert (np.abs(quantized * wide - value) <= (1.001 if dtype == np.int8 else 0.501) * wide).all()
        if dtype == np.int8:
            assert (np.abs(quantized).max(axis=(1, 2, 3)) == 127).all()
    assert not {"w0", "w1"} & tensors.keys()


def test_dead_channels_and_large_biases_stay_what_they_are(tmp_path):
    b = Builder()
    kernel = np.zeros((4, 3, 3, 3), np.float32)
    kernel[1:3] = 1e-12
    kernel[3] = 0.1
    bias = np.array([0, 0.5, 0, 0.5], np.float32)
    b.add("Conv", b.weight(kernel), b.weight(bias), pads=[1] * 4)
    b.deep = 4
    network = read(b.conv(3), tmp_path, {"input": (0.0, 1.0)})
    result = run(qdq.to_qdq(network), image(), "Conv0")
    np.testing.assert_allclose(result[0, 1], 0.5, rtol=1e-6)
    assert np.abs(result[0, [0, 2]]).max() < 1e-9
    assert result[0, 3].min() > 0.5


def _operators(model, op):
    return [n for n in model.graph.node if n.op_type == op]


def test_a_tensor_is_quantized_once_and_sums_read_it_in_float(tmp_path):
    b = Builder().conv(8)
    trunk = b.x
    b.conv(8)
    left, b.x = b.x, trunk
    network = read(b.conv(8).add("Add", left).add("Add", trunk).conv(3), tmp_path)
    model = qdq.to_qdq(network)
    assert len(_operators(model, "Conv")) == 4
    assert len(_operators(model, "QuantizeLinear")) == 3  # the input, the trunk for two convolutions, the sum
    assert {name for n in _operators(model, "Add") for name in n.input} == {"Conv1", "Conv2", "Add3", trunk}
    exact = run(onnx.load_model_from_string(network.serialized), image())
    assert 0 < np.abs(run(model, image()) - exact).max() < 0.2


def test_without_a_range_a_convolution_stays_float(tmp_path):
    b = compact()
    network = read(b, tmp_path, {"PRelu1": WIDE})
    model = qdq.to_qdq(network)
    assert [n.input[0] for n in _operators(model, "QuantizeLinear")] == ["PRelu1"]
    convolutions = _operators(model, "Conv")
    assert list(convolutions[0].input) == ["input", "w0", "w1"]
    assert convolutions[-1].input[0] == "PRelu5"


def test_weights_among_the_inputs_go_with_them(tmp_path):
    """As exporters wrote them that keep initializers as inputs."""
    b = compact()
    model = b.model(metadata={"ranges": json.dumps({"input": [0, 1]})})
    model.graph.input.extend(onnx.helper.make_tensor_value_info(t.name, 1, t.dims) for t in b.weights[:2])
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    made = qdq.to_qdq(onnx_reader.read(tmp_path / "m.onnx"))
    assert [i.name for i in made.graph.input] == ["input"]
    assert run(made, image()).shape == (1, 3, 22, 26)


@pytest.mark.parametrize("name", MODELS)
def test_int8_is_near_float(name, tmp_path):
    read(MODELS[name](), tmp_path)
    frame = np.random.default_rng(0).integers(0, 256, (40, 36, 3), np.uint8)
    exact = fastsr.load(tmp_path / "m.onnx", engine="onnxruntime").upscale(frame).astype(int)
    up = fastsr.load(tmp_path / "m.onnx", engine="onnxruntime", precision="int8")
    assert (up.engine, up.precision) == ("onnxruntime", "int8")
    difference = np.abs(up.upscale(frame) - exact)
    assert difference.max() > 0
    assert difference.mean() < 2.5


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    names = ("compact-x2", "srresnet-x4", "mixed-x4", "downsampling-x2")
    networks = {name: read(MODELS[name](), tmp_path_factory.mktemp(name)) for name in names}
    return {name: [OnnxRuntimeEngine(network, "int8", None) for _ in range(2)] for name, network in networks.items()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["compact-x2", "srresnet-x4", "mixed-x4", "downsampling-x2"]),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    extra=st.integers(16, 40),
)
def test_tiled_equals_whole_bit_for_bit(engines, name, height, width, extra):
    """Last bits matter here: a value that a sum in another order moves over a half rounds to another value."""
    whole, tiled = engines[name]
    tiled.windows.tile = (2 * (whole.graph.radius + whole.graph.alignment) + extra,) * 2
    frame = np.random.default_rng(height).random((height, width, 3), np.float32)
    np.testing.assert_array_equal(tiled.run(frame), whole.run(frame))


def test_a_model_without_ranges_says_how_to_get_them(tmp_path):
    path = compact().save(tmp_path / "m.onnx")
    assert onnx_reader.read(path).ranges == {}
    with pytest.raises(EngineError, match=r"m\.onnx: int8 needs .*: python -m training quantize .*m\.onnx --data"):
        fastsr.load(path, engine="onnxruntime", precision="int8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"is not \{tensor: "),
        ("[1, 2]", r"is not \{tensor: "),
        ('{"input": 1}', r"is not \{tensor: "),
        ('{"input": [0, null]}', r"is not \{tensor: "),
        ('{"input": [0, 1, 2]}', r"is not \{tensor: "),
        ('{"input": [0, 1' + "0" * 400 + "]}", r"is not \{tensor: "),
        ("[" * 100_000, r"is not \{tensor: "),
        ('{"nowhere": [0, 1]}', "'nowhere', which is none of its tensors"),
        ('{"input": [0.1, 1]}', "0.1 to 1 is no range for 'input'"),
        ('{"input": [0, 0]}', "no range"),
        ('{"input": [0, NaN]}', "no range"),
        ('{"input": [0, Infinity]}', "no range"),
        ('{"input": [0, 1e-60]}', "no range"),
    ],
)
def test_odd_ranges_are_named(text, message, tmp_path):
    path = compact().save(tmp_path / "odd.onnx", metadata={"ranges": text})
    with pytest.raises(ModelError, match=rf"odd\.onnx.*{message}.*python -m training quantize"):
        fastsr.load(path, precision="int8")
    fastsr.load(path)  # what only int8 needs does not keep other precisions from running


def test_ranges_are_read(tmp_path):
    path = compact().save(tmp_path / "m.onnx", metadata={"ranges": '{"input": [0, 1], "PRelu1": [-0.5, 2]}'})
    assert onnx_reader.read(path).ranges == {"input": (0.0, 1.0), "PRelu1": (-0.5, 2.0)}


def test_models_without_an_int8_form_say_why(tmp_path):
    ranges = {"ranges": '{"input": [0, 1]}'}
    with pytest.raises(ModelError, match=r"m\.onnx: float32 at opset 11 has no int8 form"):
        fastsr.load(Builder().conv(3).save(tmp_path / "m.onnx", opset=11, metadata=ranges), precision="int8")
    with pytest.raises(ModelError, match=r"m\.onnx: has no int8 form: no convolution"):
        fastsr.load(Builder().transposed(3).save(tmp_path / "m.onnx", metadata=ranges), precision="int8")


def test_kernels_keep_their_sums():
    """Each weight within one step, each slice's sum within half a step, and that of largest ones within bounds."""
    kernel = np.random.default_rng(0).normal(0, 0.01, (5, 4, 9, 9)).astype(np.float32)
    kernel[:, :, 4, 4] = 1
    kernel[3] = 0
    scale = quantization.weight_scales(kernel, np.zeros(5, np.float32), np.float32(0.01))
    quantized = quantization.quantized_weights(kernel, scale)
    steps = kernel / scale[:, None, None, None]
    assert quantized.dtype == np.int8
    assert np.abs(quantized).max() == 127
    assert np.abs(quantized - steps).max() <= 1
    assert np.abs((quantized - steps.astype(np.float64)).sum(axis=(2, 3))).max() <= 0.5 + 1e-3
    assert not quantized[3].any()
    np.testing.assert_array_equal(quantized[0, 0], rounded(steps[0, 0]))
