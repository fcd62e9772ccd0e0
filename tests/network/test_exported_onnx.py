"""Models that `fastsr export --onnx` wrote: read back in float32, on every engine, in int8 with the same bytes."""

import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support.small_models import MODELS, SAMPLE, Builder, compact

import fastsr
from fastsr.images import read as read_image
from fastsr.network import exported_onnx, exported_onnx_reader, onnx_reader, qdq, quantization, strong_typing

NATIVE = [name for name in MODELS if name.startswith(("compact", "srresnet"))]
GONE = {"Cast", "QuantizeLinear", "DequantizeLinear"}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (19, 23, 3), np.uint8)


def whole(name, folder):
    """A small model with ranges in its file."""
    builder = MODELS[name]()
    bare = onnx_reader.read(builder.save(folder / "bare.onnx"))
    ranges = {tensor: (-2.25, 3.1) for tensor in quantization.inputs(bare)} | {"input": (0.0, 1.0)}
    return builder.save(folder / "whole.onnx", metadata={"name": name, "ranges": json.dumps(ranges)})


def written(path, precision, form=exported_onnx.form):
    """`path` exported at a precision, beside it."""
    target = path.with_name(f"{precision}.onnx")
    target.write_bytes(form(onnx_reader.read(path), precision).SerializeToString())
    return target


@pytest.mark.parametrize("precision", exported_onnx_reader.MARKED)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_read_back_is_the_float32_model_with_the_weights_of_the_export(name, precision, tmp_path):
    path = whole(name, tmp_path)
    original, read = onnx_reader.read(path), onnx_reader.read(written(path, precision))
    assert read.dtype == np.float32
    assert not read.operators & GONE
    assert [n.op for n in read.nodes] == [n.op for n in original.nodes]
    for field in ("input", "output", "channels", "scale", "radius", "alignment", "cost", "name", "ranges"):
        assert getattr(read, field) == getattr(original, field)
    assert "precision" not in read.metadata
    onnx.checker.check_model(onnx.load_from_string(read.serialized), full_check=True)
    for ours, theirs in zip(original.nodes, read.nodes, strict=True):
        for a, b in zip(ours.inputs, theirs.inputs, strict=True):
            if a in original.weights:
                value, back = original.weights[a], read.weights[b]
                assert back.dtype == value.dtype
                largest = np.abs(value).max()
                np.testing.assert_allclose(
                    back, value, rtol=0, atol=largest / {"fp8": 15, "int8": 120}.get(precision, 250)
                )
    if precision == "fp16":
        for name, value in read.weights.items():
            np.testing.assert_array_equal(value, original.weights[name.removesuffix("/fp16")].astype(np.float16))


@pytest.mark.parametrize("precision", exported_onnx_reader.MARKED)
@pytest.mark.parametrize("name", NATIVE)
def test_the_native_engine_runs_exports(name, precision, tmp_path, image):
    path = written(whole(name, tmp_path), precision)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for asked in ("fp32", "int8"):
            up = fastsr.load(path, "cpu", asked)
            assert (up.engine, up.precision) == ("cpu", asked)
            up.upscale(image)
    onnx_engine, native = (fastsr.load(path, "cpu", "fp32", e).upscale(image) for e in ("onnxruntime", "cpu"))
    assert np.abs(onnx_engine.astype(int) - native).max() <= 1


@pytest.mark.parametrize("name", NATIVE)
def test_exports_in_fp16_give_what_their_half_floats_give(name, tmp_path, image):
    path = written(whole(name, tmp_path), "fp16")
    x = np.moveaxis(image, 2, 0)[None] / np.float32(255)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (halves,) = session.run(None, {"input": x.astype(np.float16)})
    made = fastsr.load(path, "cpu", "fp32", "cpu").upscale(x[0].transpose(1, 2, 0))
    expected = np.clip(halves[0].transpose(1, 2, 0).astype(np.float32), 0, 1)
    assert np.abs(made - expected).max() < 2.5 / 255


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
@pytest.mark.parametrize("name", NATIVE)
def test_exports_in_int8_give_the_bytes_of_the_model_in_int8(name, engine, tmp_path, image):
    path = whole(name, tmp_path)
    for pixels in (image, image / np.float32(255)):
        made, expected = (fastsr.load(p, "cpu", "int8", engine).upscale(pixels) for p in (written(path, "int8"), path))
        np.testing.assert_array_equal(made, expected)


def test_a_shipped_model_exported_in_int8_gives_its_bytes_in_int8(tmp_path):
    path = tmp_path / "eight.onnx"
    path.write_bytes(exported_onnx.form(onnx_reader.read(fastsr.models()["fast-x4"].path), "int8").SerializeToString())
    pixels = np.ascontiguousarray(read_image(SAMPLE).frames[0].color[:150, :170]) / np.float32(255)
    up = fastsr.load(path, "cpu", "int8")
    assert (up.engine, up.precision) == ("cpu", "int8")
    np.testing.assert_array_equal(up.upscale(pixels), fastsr.load("fast-x4", "cpu", "int8").upscale(pixels))


def test_the_int8_form_of_an_engine_is_read_back_too(tmp_path, image):
    """fp16 tensors around s8 ones, which `fastsr export --onnx` wrote before."""
    path = whole("compact-x2", tmp_path)
    read = onnx_reader.read(written(path, "int8", strong_typing.strongly_typed))
    assert (read.dtype, read.operators & GONE, read.ranges) == (np.float32, set(), onnx_reader.read(path).ranges)
    made, expected = (fastsr.load(p, "cpu", "int8", "cpu").upscale(image) for p in (read.path, path))
    assert np.abs(made.astype(int) - expected).mean() < 3


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1, 1, 1, 1), (64, 3, 3, 3), (40, 2, 1, 1), (3, 4, 9, 9)]),
    heavy=st.sampled_from([0, 1e-3, 1e12, 1e18]),
)
def test_quantized_values_and_scales_survive_as_weights(seed, shape, heavy):
    random = np.random.default_rng(seed)
    kernel = (random.standard_normal(shape) * 10.0 ** random.uniform(-6, 2, (shape[0], 1, 1, 1))).astype(np.float32)
    bias = (random.standard_normal(shape[0]) * heavy).astype(np.float32)
    step = np.float32(random.uniform(1e-4, 1))
    scale = quantization.weight_scales(kernel, bias, step)
    quantized = quantization.quantized_weights(kernel, scale)
    back = quantization.dequantized_weights(quantized, scale)
    assert back.dtype == np.float32
    again = quantization.weight_scales(back, bias, step)
    np.testing.assert_array_equal(again, scale)
    np.testing.assert_array_equal(quantization.quantized_weights(back, again), quantized)
    unit = step * scale
    sums = quantization.quantized_bias(bias, unit)
    stored = np.asarray(sums.astype(np.float64) * unit, np.float32)
    np.testing.assert_array_equal(quantization.weight_scales(back, stored, step), scale)
    np.testing.assert_array_equal(quantization.quantized_bias(stored, unit), sums)


def test_a_model_in_halves_of_anyones_making_runs_in_float(tmp_path, image):
    model = strong_typing.strongly_typed(onnx_reader.read(compact().save(tmp_path / "m.onnx")), "fp16")
    del model.metadata_props[:]
    onnx.save_model(model, str(tmp_path / "half.onnx"))
    assert onnx_reader.read(tmp_path / "half.onnx").dtype == np.float32
    assert onnx_reader.read(tmp_path / "half.onnx", as_stored=True).dtype == np.float16
    assert fastsr.load(tmp_path / "half.onnx", "cpu").engine == "cpu"


def _branching(model):
    branch = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["inner"])],
        "b",
        [],
        [helper.make_tensor_value_info("inner", 10, None)],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(0, helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch))


def _own(model):
    model.opset_import.append(helper.make_opsetid("own", 1))
    body = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("own", "Own", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))


@pytest.mark.parametrize("change", [_branching, _own])
def test_models_in_halves_that_hold_more_than_a_list_of_operators_stay_as_they_are(change, tmp_path):
    model = strong_typing.strongly_typed(onnx_reader.read(compact().save(tmp_path / "m.onnx")), "fp16")
    change(model)
    onnx.save_model(model, str(tmp_path / "half.onnx"))
    read = onnx_reader.read(tmp_path / "half.onnx")
    assert read.dtype == np.float16
    assert read.serialized == onnx_reader.read(tmp_path / "half.onnx", as_stored=True).serialized


def test_quantized_operators_of_others_stay(tmp_path, image):
    path = whole("compact-x2", tmp_path)
    model = qdq.to_qdq(onnx_reader.read(path))  # without the mark that `fastsr export` sets
    onnx.save_model(model, str(tmp_path / "foreign.onnx"))
    assert onnx_reader.read(tmp_path / "foreign.onnx").operators >= {"QuantizeLinear", "DequantizeLinear"}
    with pytest.warns(RuntimeWarning, match="onnxruntime does, more slowly"):
        assert fastsr.load(tmp_path / "foreign.onnx", "cpu", "fp32").engine == "onnxruntime"


@pytest.mark.parametrize("fault", ["zero", "scales", "order"])
def test_marked_models_of_another_form_run_as_they_are(fault, tmp_path):
    model = exported_onnx.form(onnx_reader.read(whole("compact-x2", tmp_path)), "int8")
    kernel = next(
        n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.output[0].endswith("kernel/dequantized")
    )
    if fault == "zero":
        quantized = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == kernel.input[0])
        model.graph.initializer.append(numpy_helper.from_array(np.ones(len(quantized), np.int8), "one"))
        kernel.input.append("one")
    elif fault == "scales":
        model.graph.initializer.append(numpy_helper.from_array(np.ones(7, np.float32), "seven"))
        kernel.input[1] = "seven"
    else:  # quantized values that something else than a DequantizeLinear reads
        quantized = next(n for n in model.graph.node if n.op_type == "QuantizeLinear").output[0]
        model.graph.node.append(helper.make_node("Identity", [quantized], ["unread"]))
    onnx.save_model(model, str(tmp_path / "odd.onnx"))
    assert "DequantizeLinear" in onnx_reader.read(tmp_path / "odd.onnx").operators


def test_an_output_that_a_cast_made_keeps_its_name(tmp_path, image):
    builder = Builder().conv(8).prelu().transposed(3, 2, 2)
    path = builder.save(tmp_path / "whole.onnx")
    model = exported_onnx.form(
        onnx_reader.read(path), "bf16"
    )  # whose transposed convolution is float32, and its output half
    assert model.graph.node[-1].op_type == "Cast"
    onnx.save_model(model, str(tmp_path / "bf16.onnx"))
    read = onnx_reader.read(tmp_path / "bf16.onnx")
    assert [n.op for n in read.nodes] == ["Conv", "PRelu", "ConvTranspose"]
    assert (read.output, read.scale) == ("output", 2)


def test_casts_to_other_types_stay(tmp_path):
    builder = compact()
    builder.add("Cast", to=TensorProto.DOUBLE).add("Cast", to=TensorProto.FLOAT)
    path = builder.save(tmp_path / "whole.onnx")
    model = strong_typing.strongly_typed(onnx_reader.read(path), "fp16")
    onnx.save_model(model, str(tmp_path / "half.onnx"))
    read = onnx_reader.read(tmp_path / "half.onnx")
    assert [n.attributes["to"] for n in read.nodes if n.op == "Cast"] == [TensorProto.DOUBLE, TensorProto.FLOAT]


@pytest.mark.parametrize("second", exported_onnx_reader.MARKED)
@pytest.mark.parametrize("first", exported_onnx_reader.MARKED)
def test_what_is_read_back_can_be_exported_again(first, second, tmp_path, image):
    once = written(whole("compact-x2", tmp_path), first)
    (tmp_path / "again").mkdir()
    twice = tmp_path / "again" / "twice.onnx"
    twice.write_bytes(exported_onnx.form(onnx_reader.read(once), second).SerializeToString())
    onnx.checker.check_model(onnx.load(twice), full_check=True)
    if first == second and first != "fp8":
        a, b = onnx_reader.read(once), onnx_reader.read(twice)
        for x, y in zip((n for n in a.nodes if n.op == "Conv"), (n for n in b.nodes if n.op == "Conv"), strict=True):
            np.testing.assert_array_equal(a.weights[x.inputs[1]], b.weights[y.inputs[1]])
    if second == "int8":
        made, expected = (fastsr.load(p, "cpu", "int8", "cpu").upscale(image) for p in (twice, once))
        np.testing.assert_array_equal(made, expected)


def test_weights_in_halves_behind_float32_images_are_read_in_float_too(tmp_path, image):
    """As converters write them that keep the type of inputs and outputs."""
    builder = compact()
    builder.nodes.insert(0, helper.make_node("Cast", ["input"], ["half"], to=TensorProto.FLOAT16))
    builder.nodes[1].input[0] = "half"
    for i, kernel in enumerate(builder.weights[:2]):
        builder.weights[i] = numpy_helper.from_array(numpy_helper.to_array(kernel).astype(np.float16), kernel.name)
    builder.nodes.insert(2, helper.make_node("Cast", [builder.nodes[1].output[0]], ["whole"], to=TensorProto.FLOAT))
    builder.nodes[3].input[0] = "whole"
    up = fastsr.load(builder.save(tmp_path / "m.onnx"), "cpu")
    assert (up.engine, up.upscale(image).shape) == ("cpu", (38, 46, 3))
