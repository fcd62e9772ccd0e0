"""A generator without its output head, which the store does instead, gives the generator's own image."""

import numpy as np
import onnx
import onnxruntime
import pytest
from support.small_models import MODELS, Builder, compact

import fastsr
from fastsr import ops
from fastsr.network import onnx_reader
from fastsr.network.output_head import without_output_head


def through_the_store(network, frame):
    """The body on ONNX Runtime, the rest by `ops.tile_scatter`."""
    headless = without_output_head(network)
    session = onnxruntime.InferenceSession(headless.body.serialized, providers=["CPUExecutionProvider"])
    height, width, channels = frame.shape
    batch = ops.tile_gather(frame, [[0, 0]], (height, width))
    (made,) = session.run([headless.body.output], {headless.body.input: batch})
    between = network.scale // headless.factor
    assert made.shape == (1, channels * headless.factor**2, height * between, width * between)
    out = np.empty((height * network.scale, width * network.scale, channels), frame.dtype)
    whole = [0, 0, 0, 0, height * between, width * between]
    low = frame if headless.residual != "none" else None
    ops.tile_scatter(made, [whole], out, headless.factor, headless.residual, low)
    return out


def frame_of(network, dtype=np.uint8):
    side = 5 * network.alignment
    random = np.random.default_rng(0)
    values = random.random((side, side + 2 * network.alignment, network.channels), np.float32)
    return values if dtype == np.float32 else (values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_body_and_store_are_the_generator(name, dtype, tmp_path):
    network = onnx_reader.read(MODELS[name]().save(tmp_path / "m.onnx"))
    frame = frame_of(network, dtype)
    expected = fastsr.load(tmp_path / "m.onnx", engine="onnxruntime").upscale(frame).astype(float)
    difference = np.abs(through_the_store(network, frame).reshape(expected.shape) - expected)
    assert difference.max() <= (1e-6 if dtype == np.float32 else 1)
    assert (difference > 1e-6).mean() < 1e-3


@pytest.mark.parametrize("model", fastsr.models().values(), ids=lambda m: m.name)
def test_shipped_models_are_peeled(model):
    network = onnx_reader.read(model.path)
    headless = without_output_head(network)
    last = max(i for i, node in enumerate(network.nodes) if node.op == "Conv")
    if any(node.op == "SpaceToDepth" for node in network.nodes):  # a folded one, whose base is bicubic
        assert (headless.factor, headless.residual) == (1, "none")
    elif "DepthToSpace" in (node.op for node in network.nodes[last:]):
        assert (headless.factor, headless.residual) == (network.scale, "nearest")
        assert headless.body.nodes[-1].op == "Conv"
    onnx.checker.check_model(onnx.load_model_from_string(headless.body.serialized), full_check=True)
    frame = np.random.default_rng(1).integers(0, 256, (24, 31 + (network.alignment > 1), 3), np.uint8)
    expected = fastsr.load(model.name, engine="onnxruntime").upscale(frame).astype(int)
    assert np.abs(through_the_store(network, frame).astype(int) - expected).max() <= 1


def ended(make, tmp_path):
    return without_output_head(onnx_reader.read(make.save(tmp_path / "m.onnx")))


def test_bilinear_residuals_are_taken_too(tmp_path):
    b = Builder().conv(8).conv(12).shuffle(2)
    made = b.x
    b.x = "input"
    b.resize(2, "linear", coordinate_transformation_mode="half_pixel").add("Add", made)
    network = onnx_reader.read(b.save(tmp_path / "m.onnx"))
    headless = without_output_head(network)
    assert (headless.factor, headless.residual) == (2, "bilinear")
    frame = frame_of(network)
    expected = fastsr.load(tmp_path / "m.onnx", engine="onnxruntime").upscale(frame).astype(int)
    assert np.abs(through_the_store(network, frame).astype(int) - expected).max() <= 1


def test_what_the_store_cannot_do_stays(tmp_path):
    whole = [
        Builder().conv(12).shuffle(2, "DCR"),  # another order of channels
        Builder().conv(12).shuffle(2).add("Relu"),  # something behind it
        Builder().conv(3 * 22**2).shuffle(22),  # longer runs than the store takes
    ]
    shuffled = Builder().conv(12).shuffle(2)
    whole.append(shuffled.add("Add", shuffled.x))  # added to itself
    for make in whole:
        network = onnx_reader.read(make.save(tmp_path / "m.onnx"))
        headless = without_output_head(network)
        assert (headless.factor, headless.residual) == (1, "none")
        assert headless.body is network


def test_a_plain_shuffle_is_taken(tmp_path):
    headless = ended(Builder().conv(12).shuffle(2), tmp_path)
    assert (headless.factor, headless.residual) == (2, "none")


def test_weights_of_what_was_taken_go_with_it(tmp_path):
    b = compact()
    model = b.model()
    model.graph.input.extend(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in b.weights)
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    headless = without_output_head(onnx_reader.read(tmp_path / "m.onnx"))
    assert headless.factor == 2
    body = onnx.load_model_from_string(headless.body.serialized)
    onnx.checker.check_model(body)
    assert {t.name for t in body.graph.initializer} == {n for o in body.graph.node for n in o.input[1:] if n}
