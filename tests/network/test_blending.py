"""Blend: a model's result mixed with that of bicubic interpolation, in its graph, on engines, on the command line."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from support.small_models import MODELS, Builder, compact, srresnet

import fastsr
from fastsr import loading
from fastsr.cli.command import main
from fastsr.engines.native import lowering
from fastsr.errors import FastsrError, ModelError
from fastsr.network import blending, catalog, onnx_reader

SHARE = 0.3


def with_base(mode, scale=2, seed=0):
    """The input, enlarged in a way of its own, and a shuffled convolution."""
    b = Builder(3, seed).conv(8).prelu().conv(3 * scale**2).shuffle(scale)
    made, b.x = b.x, "input"
    return b.resize(scale, mode).add("Add", made)


def plain(seed=0):
    """Ends in a convolution at full resolution and a clamp."""
    b = Builder(3, seed).conv(8).resize(2).conv(8).add("LeakyRelu", alpha=0.2).conv(3)
    return b.add("Clip", b.weight(np.float32(0)), b.weight(np.float32(1)))


def shuffled_sum(seed=0):
    """What is shuffled at last is an addition, not a convolution's own."""
    b = Builder(3, seed).conv(12)
    trunk = b.x
    return b.conv(12).add("Relu").add("Add", trunk).shuffle(2)


NETWORKS = MODELS | {
    "linear base": lambda: with_base("linear"),
    "cubic base": lambda: with_base("cubic"),
    "cubic base x3": lambda: with_base("cubic", 3),
    "plain": plain,
    "shuffled sum": shuffled_sum,
}


def of_onnxruntime(network, frame):
    session = onnxruntime.InferenceSession(network.serialized, providers=["CPUExecutionProvider"])
    return session.run([network.output], {network.input: frame})[0]


def frame_of(network, seed=0):
    side = 6 * network.alignment
    shape = (1, network.channels, side, side + 3 * network.alignment)
    return np.random.default_rng(seed).random(shape, np.float32)


def bicubic(frame, scale):
    b = Builder(frame.shape[1]).resize(scale, "cubic")
    session = onnxruntime.InferenceSession(b.model().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": frame})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_is_the_mixture(name, tmp_path):
    network = onnx_reader.read(NETWORKS[name]().save(tmp_path / "m.onnx"))
    made = blending.blended(network, SHARE)
    frame = frame_of(network)
    expected = SHARE * of_onnxruntime(network, frame) + (1 - SHARE) * bicubic(frame, network.scale)
    np.testing.assert_allclose(of_onnxruntime(made, frame), expected, atol=2e-6)
    assert (made.scale, made.channels, made.alignment) == (network.scale, network.channels, network.alignment)
    assert made.digest != network.digest
    assert "(blend 0.3)" in made.name


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_native_engine_mixes_in_its_store(name, precision, tmp_path):
    path = NETWORKS[name]().save(tmp_path / "m.onnx")
    network = onnx_reader.read(path)
    reason = lowering.unsupported(network)
    if reason is not None and "Resize" not in reason:
        pytest.skip(f"the network itself does not run there: {reason}")
    made = blending.blended(network, SHARE)
    program = lowering.lower(made, precision)
    assert program.base == "bicubic" or name == "linear base"
    if name == "compact x2":
        assert (program.gain, program.repeated) == pytest.approx((1 - SHARE, SHARE))
        assert len(program.steps) == len(lowering.lower(network, precision).steps)
    frame = frame_of(network)
    pixels = np.ascontiguousarray(frame[0].transpose(1, 2, 0))
    if precision == "bf16":
        return
    got = fastsr.load(path, engine="cpu", blend=SHARE).upscale(pixels)
    expected = of_onnxruntime(made, frame)[0].transpose(1, 2, 0).clip(0, 1)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_result_does_not_depend_on_the_cut(tmp_path):
    path = compact(4, 8).save(tmp_path / "m.onnx")
    frame = np.random.default_rng(1).integers(0, 256, (57, 83, 3), np.uint8)
    whole = fastsr.load(path, engine="cpu", blend=SHARE).upscale(frame)
    assert (fastsr.load(path, engine="cpu", blend=SHARE, tile=24).upscale(frame) == whole).all()


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime", "torch"])
def test_engines_agree(engine, tmp_path):
    path = srresnet(2, 4).save(tmp_path / "m.onnx")
    frame = np.random.default_rng(2).integers(0, 256, (20, 17, 3), np.uint8)
    own = fastsr.load(path, engine="cpu").upscale(frame).astype(float)
    low = (frame.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    smooth = bicubic(low, 2)[0].transpose(1, 2, 0).clip(0, 1).astype(float) * 255
    made = fastsr.load(path, engine=engine, blend=SHARE).upscale(frame)
    clipped = (own == 0) | (own == 255) | (smooth == 0) | (smooth == 255)  # before they were mixed they went beyond
    difference = np.abs(made - (SHARE * own + (1 - SHARE) * smooth))
    assert difference[~clipped].max() <= 1.5


def test_ranges_stay(tmp_path):
    network = onnx_reader.read(catalog.find("fast-x4"))
    made = blending.blended(network, 0.5)
    assert made.ranges == network.ranges
    assert lowering.lower(made, "int8").repeated == pytest.approx(0.5)


def test_old_opsets(tmp_path):
    """Before opset 13 a Resize must name a region, which may be empty."""
    path = Builder().conv(8).prelu().conv(12).shuffle(2).save(tmp_path / "m.onnx", opset=11)
    network = onnx_reader.read(path)
    made = blending.blended(network, SHARE)
    frame = frame_of(network)
    expected = SHARE * of_onnxruntime(network, frame) + (1 - SHARE) * bicubic(frame, network.scale)
    np.testing.assert_allclose(of_onnxruntime(made, frame), expected, atol=2e-6)
    assert lowering.unsupported(made) is None


def test_the_whole_share_is_the_model_itself(tmp_path):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    assert blending.blended(network, 1) is network
    with pytest.raises(ModelError, match="is blended already"):
        blending.blended(blending.blended(network, 0.5), 0.5)


@pytest.mark.parametrize("blend", [-0.1, 1.1, float("nan"), "0.5", None, True])
def test_only_shares_are_taken(blend):
    with pytest.raises(FastsrError, match="must be a number from 0 "):
        fastsr.load("fast-x2", blend=blend)


def test_filters_have_no_blend():
    with pytest.raises(ModelError, match="is a filter already"):
        fastsr.load("lanczos", blend=0.5)


def test_realism_and_blend_go_together():
    made = loading.load("srgan-x4", realism=0.5, blend=0.5)
    assert made.name == "srgan-x4 (realism 0.5) (blend 0.5)"


def test_the_command_blends(tmp_path):
    frame = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(frame).save(tmp_path / "a.png")
    arguments = ["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "--model", "fast-x2"]
    assert main([*arguments, "--blend", "0.5"]) == 0
    expected = fastsr.load("fast-x2", blend=0.5).upscale(frame)
    assert (np.asarray(Image.open(tmp_path / "b.png")) == expected).all()
    assert main([*arguments, "--force", "--blend", "2"]) == 2
