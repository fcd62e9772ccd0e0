"""Imported models quantized and exported: the same commands as for shipped ones."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from support.small_models import Builder, compact, gated, rrdb

import fastsr
from fastsr.cli.command import main
from fastsr.engines.native import engine
from fastsr.importing import conversion
from fastsr.network import onnx_reader
from training.release import int8_calibration

KINDS = {"compact": lambda: compact(2, 24, 2), "rrdb": lambda: rrdb(16, 8, 1), "span": lambda: gated(16, 2)}


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """An empty store of the test's own."""
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "store"))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[0:64, 0:80] / 64
    for i in range(3):
        waves = [0.5 + 0.5 * np.sin((9 + i) * x + b * y) for b in (2, 17, 11)]
        Image.fromarray((np.stack(waves, -1) * 255).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def imported(kind, tmp_path):
    path = KINDS[kind]().save(tmp_path / f"{kind}.onnx")
    (card,) = conversion.import_file(str(path), f"my-{kind}")
    return card


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["compact", "rrdb"])  # of random gates no layer is worth rounding
def test_an_imported_model_is_quantized(kind, tmp_path, photos):
    card = imported(kind, tmp_path)
    ranges = int8_calibration.quantize(card.name, [photos], count=2)
    network = onnx_reader.read(card.path)
    assert network.ranges == ranges
    assert engine.unsupported(network) is None
    pixels = np.asarray(Image.open(photos / "0.png"))
    exact = fastsr.load(card.name, "cpu").upscale(pixels)
    rounded = engine.NativeEngine(network, "int8", None).run(pixels)
    assert 0 < np.abs(rounded.astype(int) - exact).mean() < 3


def test_a_heavy_model_is_quantized_on_little(tmp_path, photos, monkeypatch, capsys):
    """In few groups; tensors of one ring have one range; in fp32 the file gives the same bits as before."""
    monkeypatch.setattr(int8_calibration, "HEAVY", 0.0)
    monkeypatch.setattr(int8_calibration, "GROUPS", 3)
    monkeypatch.setattr(int8_calibration, "SHARES", (0.5,))
    card = imported("rrdb", tmp_path)
    before = onnx_reader.read(card.path)
    ranges = int8_calibration.quantize(card.name, [photos], count=3, budget=99.0, flat=255)
    network = onnx_reader.read(card.path)
    assert network.ranges == ranges
    assert "dB of PSNR on photographs" in capsys.readouterr().out
    assert len(int8_calibration._groups(network, ranges)) == 3
    pixels = np.asarray(Image.open(photos / "0.png"))
    exact, again = (engine.NativeEngine(n, "fp32", None).run(pixels) for n in (before, network))
    np.testing.assert_array_equal(exact, again)
    assert any((network.weights[name] != before.weights[name]).any() for name in network.weights)
    for node in network.nodes:
        if node.op == "Concat" and node.outputs[0] in ranges and node.inputs[0] in ranges:
            assert ranges[node.outputs[0]] == ranges[node.inputs[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_imported_model_is_exported(kind, tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = imported(kind, tmp_path)
    int8_calibration.quantize(card.name, [photos], count=2, low=True)
    pixels = np.asarray(Image.open(photos / "1.png"))
    expected = fastsr.load(card.name, "cpu").upscale(pixels).astype(int)
    for precision in ("fp32", "fp16", "bf16", "int8", "fp8"):
        assert main(["export", card.name, "--onnx", "--precision", precision, "-o", f"{precision}.onnx"]) == 0
        made = fastsr.load(tmp_path / f"{precision}.onnx", "cpu", "fp32").upscale(pixels)
        # In float, with weights that the type has rounded; those of fp8 have three bits.
        assert np.abs(made - expected).mean() < (6 if precision == "fp8" else 1), precision
    session = onnxruntime.InferenceSession(str(tmp_path / "fp16.onnx"), providers=["CPUExecutionProvider"])
    half = pixels.transpose(2, 0, 1)[None].astype(np.float16) / np.float16(255)
    (made,) = session.run(None, {session.get_inputs()[0].name: half})
    assert np.abs(made[0].transpose(1, 2, 0).clip(0, 1) * 255 - expected).mean() < 1


def test_networks_that_see_far_are_calibrated_in_windows(photos, tmp_path):
    """One of radius 200 on images larger than its windows; every watched tensor of one is in memory at once."""
    b = Builder().conv(8)
    for _ in range(100):
        b.conv(8, 5).add("Relu")
    network = onnx_reader.read(b.conv(3).save(tmp_path / "far.onnx"))
    watched = int8_calibration.Watched(network, [], lambda *_: None)
    assert network.radius > 200
    assert watched.windows.tile == (int8_calibration.TILE,) * 2
    assert not watched.windows.exact
    watched.run(np.zeros((140, 150, 3), np.uint8))
