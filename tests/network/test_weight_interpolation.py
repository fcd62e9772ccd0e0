"""Realism: weights between a fidelity model and an adversarial one, in the library and on the command line."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from support.small_models import Builder, compact, srresnet

import fastsr
from fastsr import loading
from fastsr.cli.command import main
from fastsr.errors import FastsrError, ModelError
from fastsr.network import catalog, onnx_reader, weight_interpolation


def pair(folder, make=lambda seed: srresnet(2, 4, seed), **metadata):
    """A network with two sets of weights: the path of gan.onnx, which names psnr.onnx beside it."""
    make(1).save(folder / "psnr.onnx", metadata={"name": "psnr"})
    return make(2).save(folder / "gan.onnx", metadata={"name": "gan", "fidelity": "psnr.onnx", **metadata})


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def floats(pixels):
    return pixels.astype(np.float32) / 255


def mixed_by_hand(gan, realism):
    """The interpolated file, made with onnx and NumPy alone."""
    model, other = onnx.load(gan), onnx.load(gan.parent / "psnr.onnx")
    for one, two in zip(model.graph.initializer, other.graph.initializer, strict=True):
        a, b = numpy_helper.to_array(two), numpy_helper.to_array(one)
        one.CopyFrom(numpy_helper.from_array((a + realism * (b.astype(float) - a)).astype(np.float32), one.name))
    return model


@pytest.mark.parametrize("realism", [0.25, 0.6])
def test_every_weight_lies_on_the_line(gan, photo, tmp_path, realism):
    onnx.save_model(mixed_by_hand(gan, realism), str(tmp_path / "by-hand.onnx"))
    made = fastsr.load(gan, realism=realism).upscale(floats(photo))
    np.testing.assert_allclose(made, fastsr.load(tmp_path / "by-hand.onnx").upscale(floats(photo)), atol=1e-5)
    network = weight_interpolation.between(onnx_reader.read(gan.parent / "psnr.onnx"), onnx_reader.read(gan), realism)
    for name, value in onnx_reader.read(tmp_path / "by-hand.onnx").weights.items():
        np.testing.assert_allclose(network.weights[name], value, rtol=1e-6, atol=1e-7)


def test_the_output_of_one_convolution_is_on_the_line_too(tmp_path, photo):
    path = pair(tmp_path, lambda seed: Builder(3, seed).conv(12).shuffle(2))
    faithful, between, adversarial = (
        fastsr.load(p, **options).upscale(floats(photo))
        for p, options in ((tmp_path / "psnr.onnx", {}), (path, {"realism": 0.3}), (path, {}))
    )
    inside = (adversarial > 0) & (adversarial < 1) & (faithful > 0) & (faithful < 1)
    assert inside.mean() > 0.1
    np.testing.assert_allclose(between[inside], (0.7 * faithful + 0.3 * adversarial)[inside], atol=1e-5)


def test_the_ends_are_the_two_models_bit_for_bit(gan, photo):
    adversarial, faithful = fastsr.load(gan), fastsr.load(gan.parent / "psnr.onnx")
    np.testing.assert_array_equal(
        fastsr.load(gan, realism=1).upscale(floats(photo)), adversarial.upscale(floats(photo))
    )
    np.testing.assert_array_equal(fastsr.load(gan, realism=0).upscale(floats(photo)), faithful.upscale(floats(photo)))
    assert (adversarial.upscale(photo) != faithful.upscale(photo)).any()
    read = onnx_reader.read(gan)
    assert weight_interpolation.between(onnx_reader.read(gan.parent / "psnr.onnx"), read, 1) == read


def test_what_it_is_called(gan):
    assert fastsr.load(gan, realism=0.6).name == "gan (realism 0.6)"
    faithful, adversarial = onnx_reader.read(gan.parent / "psnr.onnx"), onnx_reader.read(gan)
    networks = [weight_interpolation.between(faithful, adversarial, r) for r in (0, 0.5, 1)]
    assert len({n.digest for n in [*networks, faithful]}) == 4
    stored = onnx.load_model_from_string(networks[1].serialized)
    assert {p.key: p.value for p in stored.metadata_props} == networks[1].metadata
    assert networks[1].metadata == {"name": "gan (realism 0.5)", "fidelity": "psnr.onnx"}


def test_engines_agree(gan, photo):
    pytest.importorskip("torch")
    made = [fastsr.load(gan, engine=e, realism=0.4).upscale(floats(photo)) for e in ("onnxruntime", "torch")]
    np.testing.assert_allclose(*made, atol=1e-4)


def test_settings_among_the_weights_stay(tmp_path, photo):
    """A resize factor is an initializer as well; (1 - 0.9) * 4 + 0.9 * 4 is not 4 in every precision."""
    path = pair(tmp_path, lambda seed: compact(4, 4, 1, seed))
    network = weight_interpolation.between(onnx_reader.read(tmp_path / "psnr.onnx"), onnx_reader.read(path), 0.9)
    scales = next(n.inputs[2] for n in network.nodes if n.op == "Resize")
    assert network.weights[scales].tolist() == [1, 1, 4, 4]
    assert fastsr.load(path, realism=0.9).upscale(photo).shape == (36, 48, 3)


def test_activation_ranges_are_on_the_line(tmp_path):
    path = pair(tmp_path, ranges=json.dumps({"input": [0, 1], "Conv0": [-4, 2], "PRelu1": [0, 5]}))
    faithful, adversarial = onnx_reader.read(tmp_path / "psnr.onnx"), onnx_reader.read(path)
    assert weight_interpolation.between(faithful, adversarial, 0.25).ranges == {}
    known = {"ranges": json.dumps({"input": [0, 1], "Conv0": [-8, 6]})}
    faithful = dataclasses.replace(faithful, metadata=known)
    assert weight_interpolation.between(faithful, adversarial, 0.25).ranges == {"input": (0, 1), "Conv0": (-7, 5)}


# ---- what goes with what --------------------------------------------------------------------------------------------


def card(name, path, **options):
    return catalog.Model(name, 2, path, "s", "t", "l", {"Set5": {"psnr": 30.0}}, {}, **options)


@pytest.fixture
def shipped(gan, monkeypatch):
    """A catalog with the pair in it and a model without a partner; cards go before what the file itself says."""
    cards = {
        "psnr-x2": card("psnr-x2", gan.parent / "psnr.onnx"),
        "gan-x2": card("gan-x2", gan, fidelity="psnr-x2"),
    }
    monkeypatch.setattr(catalog, "models", lambda: cards)


def test_cards_name_the_fidelity_model(shipped, gan, photo):
    made = fastsr.load("gan-x2", realism=0.5).upscale(photo)
    np.testing.assert_array_equal(made, fastsr.load(gan, realism=0.5).upscale(photo))
    np.testing.assert_array_equal(made, fastsr.upscale(photo, 2, model="gan-x2", realism=0.5))
    with pytest.raises(ModelError, match=r"'psnr-x2' has no fidelity model .* with a choice of realism: gan-x2$"):
        fastsr.load("psnr-x2", realism=0.5)


def test_cards_are_read_from_the_table(tmp_path, monkeypatch):
    text = 'scale = 2\nsummary = "s"\ntraining = "t"\nlicence = "l"\n'
    (tmp_path / "models.toml").write_text(f'[a]\n{text}[b]\n{text}fidelity = "a"\n')
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    catalog.models.cache_clear()
    try:
        assert [m.fidelity for m in catalog.models().values()] == ["", "a"]
        assert catalog.card(tmp_path / "b.onnx").name == "b"
        assert catalog.card(tmp_path.parent / "b.onnx") is None
    finally:
        catalog.models.cache_clear()


def test_files_may_name_a_shipped_model(shipped, gan, tmp_path, photo):
    own = srresnet(2, 4, 3).save(tmp_path / "own.onnx", metadata={"fidelity": "psnr-x2"})
    made = fastsr.load(own, realism=0).upscale(photo)
    np.testing.assert_array_equal(made, fastsr.load(gan.parent / "psnr.onnx").upscale(photo))


def test_models_without_a_partner_say_what_is_needed(shipped, tmp_path):
    offered = "shipped models with a choice of realism: gan-x2"
    own = srresnet(2, 4).save(tmp_path / "own.onnx")
    with pytest.raises(ModelError, match=rf"own\.onnx: realism needs the ONNX metadata key 'fidelity'.*{offered}"):
        fastsr.load(own, realism=0.5)
    with pytest.raises(ModelError, match=rf"'bicubic' is a filter without weights; {offered}"):
        fastsr.load("bicubic", realism=0.5)


@pytest.mark.parametrize("named", ["gone.onnx", "../psnr.onnx", "/psnr.onnx", "."])
def test_partners_lie_in_the_same_folder(tmp_path, named):
    (tmp_path / "inner").mkdir()
    compact().save(tmp_path / "psnr.onnx")
    own = compact().save(tmp_path / "inner" / "own.onnx", metadata={"fidelity": named})
    with pytest.raises(ModelError, match=r"own\.onnx: its fidelity model .* is neither a file in its folder nor"):
        fastsr.load(own, realism=0.5)


def half(builder, options):
    """The network with its first kernel stored in half precision; Cast back before use."""
    kernel = builder.weights[0]
    builder.weights[0] = numpy_helper.from_array(numpy_helper.to_array(kernel).astype(np.float16), "half")
    builder.nodes.insert(0, onnx.helper.make_node("Cast", ["half"], [kernel.name], to=onnx.TensorProto.FLOAT))
    return builder.model(metadata=options)


def test_half_precision_weights_keep_their_type(tmp_path, photo):
    for name, seed in (("psnr", 1), ("gan", 2)):
        onnx.save_model(half(compact(seed=seed), {"fidelity": "psnr.onnx"}), str(tmp_path / f"{name}.onnx"))
    psnr, gan = (onnx_reader.read(tmp_path / f"{name}.onnx", as_stored=True) for name in ("psnr", "gan"))
    assert weight_interpolation.between(psnr, gan, 0.5).weights["half"].dtype == np.float16
    up = fastsr.load(tmp_path / "gan.onnx", "cpu", realism=0.5)
    assert (up.engine, up.upscale(photo).shape) == ("cpu", (18, 24, 3))


def dilated(seed=1):
    """As compact(2, 8, 2), but for a dilation."""
    b = Builder(3, seed).conv(8).prelu().conv(8, dilation=2).prelu().conv(8).prelu()
    return b.conv(12).shuffle(2).residual(2)


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (lambda: compact(2, 8, 3), "they have 12 and 10 operators"),
        (lambda: compact(2, 4, 2), r"'w0' is float32 \(4, 3, 3, 3\) in one and float32 \(8, 3, 3, 3\) in the other"),
        (lambda: compact(4, 8, 2), "their inputs and outputs differ"),
        (dilated, "the operator Conv that makes 'Conv2' differs"),
    ],
)
def test_networks_that_differ_are_refused(tmp_path, other, fault):
    other().save(tmp_path / "psnr.onnx")
    own = compact(2, 8, 2, 2).save(tmp_path / "own.onnx", metadata={"fidelity": "psnr.onnx"})
    with pytest.raises(ModelError, match=rf"own\.onnx: cannot be interpolated with .*psnr\.onnx: .*{fault}"):
        fastsr.load(own, realism=0.5)


def test_integer_weights_are_not_mixed(gan):
    one, other = (
        dataclasses.replace(read, weights={**read.weights, "w0": np.full((4, 3, 9, 9), value, np.int8)})
        for read, value in ((onnx_reader.read(gan.parent / "psnr.onnx"), 1), (onnx_reader.read(gan), 2))
    )
    with pytest.raises(ModelError, match="'w0' is int8 and differs; interpolate float models"):
        weight_interpolation.between(one, other, 0.5)


@pytest.mark.parametrize("realism", [-0.1, 1.01, float("nan"), float("inf"), "0.5"])
def test_realism_out_of_range(gan, photo, realism):
    with pytest.raises(FastsrError, match="must be a number from 0"):
        fastsr.load(gan, realism=realism)
    with pytest.raises(FastsrError, match="must be a number from 0"):
        fastsr.upscale(photo, model=gan, realism=realism)


# ---- upscale and the command line -----------------------------------------------------------------------------------


def test_upscale_keeps_one_model_for_each_realism(gan, photo):
    expected = {r: fastsr.load(gan, realism=r).upscale(photo) for r in (None, 0.2, 0.8)}
    before = loading._kept.cache_info()
    for _ in range(2):
        for realism, pixels in expected.items():
            np.testing.assert_array_equal(fastsr.upscale(photo, 2, model=gan, realism=realism), pixels)
    after = loading._kept.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (3, 3)
    assert (expected[0.2] != expected[0.8]).any()


def test_command_line(gan, photo, tmp_path, capsys):
    Image.fromarray(photo).save(tmp_path / "in.png")

    def run(*options):
        code = main(["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--force", *options])
        return code, capsys.readouterr().err

    assert run("--model", str(gan), "--realism", "0.25")[0] == 0
    with Image.open(tmp_path / "out.png") as made:
        np.testing.assert_array_equal(np.asarray(made), fastsr.load(gan, realism=0.25).upscale(photo))
    code, said = run("--model", str(gan), "--realism", "1.5")
    assert code == 2
    assert said == "fastsr: realism 1.5 must be a number from 0 (faithful) to 1 (most detail)\n"
    code, said = run("--model", str(gan.parent / "psnr.onnx"), "--realism", "0.5")
    assert code == 1
    assert "realism needs the ONNX metadata key 'fidelity'" in said


def test_the_shipped_pair_has_both_ends():
    x = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    faithful, adversarial = (
        fastsr.upscale(x, model=name, device="cpu", precision="fp32") for name in ("srresnet-x4", "srgan-x4")
    )
    ends = [fastsr.upscale(x, model="srgan-x4", device="cpu", precision="fp32", realism=realism) for realism in (0, 1)]
    np.testing.assert_array_equal(ends[0], faithful)
    np.testing.assert_array_equal(ends[1], adversarial)
    assert (faithful != adversarial).any()
