"""`fastsr.load` of what `fastsr export --tensorrt` wrote, on a GPU made of NumPy with a stand-in for TensorRT."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from support.fake_gpu import FakeDevice, FakeNetwork, FakeOps
from support.fake_tensorrt import ADA
from support.small_models import Builder, compact, downsampling, srresnet

import fastsr
from fastsr.cli.command import main
from fastsr.engines.gpu import discovery, frame_engine
from fastsr.engines.tensorrt import distributions, engine_file, exported_engine
from fastsr.engines.tensorrt import network as tensorrt_network
from fastsr.engines.tensorrt.builder import Profile
from fastsr.engines.tensorrt.distributions import Distribution
from fastsr.engines.tensorrt.engine_file import MAGIC
from fastsr.errors import EngineError, FastsrError, ModelError
from fastsr.network import onnx_reader
from fastsr.network.output_head import without_output_head

PROFILE = Profile((1, 1, 1), (1, 64, 64), (4, 128, 256))


def engine_of(network, path, precision="fp16", **changes):
    """An engine file as `fastsr export` writes it, but for the engine."""
    headless = without_output_head(network)
    description = tensorrt_network.describe(
        headless.body, precision, PROFILE, Distribution("tensorrt_rtx", "1.7.0", None), ("8.9",), None
    )
    description |= exported_engine.described(network, headless)
    for key, value in changes.items():
        (description["generator"] if key in description["generator"] else description)[key] = value
    engine_file.write(path, description, b"engine")
    return path


@pytest.fixture
def runs(monkeypatch, tmp_path, rtx, device):
    """Let engines run as the graph given to it."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(discovery, "find", lambda index=0: ADA)
    monkeypatch.setattr(frame_engine, "ops", FakeOps)
    monkeypatch.setattr(distributions, "find", lambda name: rtx)

    def as_graph(network):
        body, factor = without_output_head(network).body, without_output_head(network).factor
        rtx.trt.result = lambda n, c, h, w: (n, c * factor**2, h * body.scale, w * body.scale)

        def on_gpu(loaded, headless):
            core = FakeDevice()
            return FakeNetwork(body, core, limits=loaded.limits), core

        monkeypatch.setattr(exported_engine, "_on_gpu", on_gpu)

    return as_graph


@pytest.mark.parametrize("make", [compact, srresnet, downsampling, lambda: Builder().conv(8).resize(2).conv(3)])
def test_an_exported_engine_is_a_model(make, runs, tmp_path, rtx):
    network = onnx_reader.read(make().save(tmp_path / "m.onnx", metadata={"name": "own"}))
    runs(network)
    path = engine_of(network, tmp_path / "m.engine")
    up = fastsr.load(path)
    assert rtx.trt.loaded == b"engine"
    assert (up.name, up.engine, up.precision, up.scale) == ("own", "tensorrt", "fp16", network.scale)
    exact = fastsr.load(network.path, "cpu", "fp32", "onnxruntime")
    random = np.random.default_rng(0)
    for shape in ((37, 50, 3), (300, 280, 3), (2, 2, 1), (9, 11, 4)):
        image = random.integers(0, 256, shape, np.uint8)
        np.testing.assert_array_equal(up.upscale(image), exact.upscale(image))
    np.testing.assert_array_equal(next(up.stream([image])), exact.upscale(image))
    tiled = fastsr.load(path, tile=4 * (network.radius + 1))
    np.testing.assert_array_equal(tiled.upscale(image), exact.upscale(image))
    assert fastsr.load(path, "cuda", "fp16", "tensorrt").fingerprint == up.fingerprint
    other = engine_of(network, tmp_path / "other.engine", model="another")
    assert fastsr.load(other).fingerprint != up.fingerprint


def test_the_command_takes_one_too(runs, tmp_path, monkeypatch):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    engine_of(network, tmp_path / "m.engine")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (7, 5), "teal").save("in.png")
    assert main(["upscale", "in.png", "-o", "out.png", "--model", "m.engine"]) == 0
    assert Image.open("out.png").size == (14, 10)


def test_without_a_gpu_it_says_what_is_needed(tmp_path, monkeypatch):
    path = engine_of(onnx_reader.read(compact().save(tmp_path / "m.onnx")), tmp_path / "m.engine")

    def none(index=0):
        raise EngineError("there is no NVIDIA driver on this machine; install it, or use device='cpu'")

    monkeypatch.setattr(discovery, "find", none)
    message = (
        r"m\.engine: is a TensorRT engine, which runs on an NVIDIA GPU alone \(there is no NVIDIA driver .*ONNX model"
    )
    with pytest.raises(EngineError, match=message):
        fastsr.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu"}, "is a TensorRT engine, which device 'cpu' cannot run"),
        ({"engine": "onnxruntime"}, "is a TensorRT engine, which engine 'onnxruntime' cannot run"),
        ({"precision": "int8"}, "was built at fp16, not at int8; leave the precision out, or export it anew"),
        ({"realism": 0.5}, "is an engine, whose weights are fixed"),
        ({"tile": 8}, "tile 8 is too small"),
        ({"tile": 4096}, "tile 4096 is larger than the 256x128 that the engine was built for"),
    ],
)
def test_what_an_engine_cannot_do_is_said(options, message, runs, tmp_path):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    with pytest.raises(EngineError, match=message):
        fastsr.load(engine_of(network, tmp_path / "m.engine"), **options)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": 5},
        {"channels": True},
        {"scale": 0},
        {"scale": 3},  # of which the shuffle's 2 is no part
        {"scale": 2.0},
        {"scale": 1 << 40},
        {"radius": -1},
        {"radius": 1 << 40},
        {"alignment": 0},
        {"alignment": 1 << 20},
        {"factor": 64},
        {"residual": "cubic"},
        {"residual": ["nearest"]},
        {"fixed_size": [8]},
        {"fixed_size": [8, 1 << 40]},
        {"fixed_batch": 3},
        {"cost": "much"},
        {"cost": float("nan")},
        {"generator": None},
        {"generator": []},
        {"distribution": "another"},
        {"distribution": ["tensorrt"]},
        {"version": 1},
        {"targets": None},
        {"targets": [8.9]},
        {"gpu": ["NVIDIA L4"]},
        {"gpu": 3},
    ],
)
def test_files_that_describe_no_generator_are_refused(changes, runs, tmp_path):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    path = engine_of(network, tmp_path / "m.engine", **changes)
    with pytest.raises(EngineError, match=r"m\.engine: does not say (what generator|which TensorRT).*export it anew"):
        fastsr.load(path)


def test_files_of_an_older_fastsr_are_refused(runs, tmp_path):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    description = tensorrt_network.describe(
        network, "fp16", PROFILE, Distribution("tensorrt_rtx", "1.7.0", None), ("8.9",), None
    )
    engine_file.write(tmp_path / "m.engine", description, b"engine")
    with pytest.raises(EngineError, match="does not say what generator it is"):
        fastsr.load(tmp_path / "m.engine")


def test_an_engine_that_makes_other_shapes_than_its_file_says_is_refused(runs, tmp_path, rtx):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    path = engine_of(network, tmp_path / "m.engine")
    rtx.trt.result = lambda n, c, h, w: (n, c, 2 * h, 2 * w)
    with pytest.raises(EngineError, match=r"m\.engine: makes \(1, 3, 16, 16\) of \(1, 3, 8, 8\) where \(1, 12, 8, 8\)"):
        fastsr.load(path)


def test_an_engine_that_makes_no_image_is_refused(runs, tmp_path):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    broken = compact()
    for weight in (w for w in broken.weights if len(w.dims) == 4):
        weight.raw_data = np.full(tuple(weight.dims), np.nan, np.float32).tobytes()
    runs(onnx_reader.read(broken.save(tmp_path / "broken.onnx")))
    with pytest.raises(EngineError, match=r"m\.engine: makes no image but black or NaN"):
        fastsr.load(engine_of(network, tmp_path / "m.engine"))


def test_engines_that_do_not_load_name_their_file(runs, tmp_path, rtx):
    network = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    runs(network)
    path = engine_of(network, tmp_path / "m.engine")
    rtx.trt.loads = False
    with pytest.raises(EngineError, match=r"m\.engine: TensorRT-RTX 1\.7\.0 cannot load this engine"):
        fastsr.load(path)


def test_damaged_files_are_refused(tmp_path):
    path = engine_of(onnx_reader.read(compact().save(tmp_path / "m.onnx")), tmp_path / "m.engine")
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:20], MAGIC, whole[:-1] + b"\0"):
        path.write_bytes(content)
        with pytest.raises(EngineError, match=r"m\.engine: is damaged or cut short; build it anew"):
            fastsr.load(path)
    for text in (b"[", b"[1]", b"\xff", b"[" * 200_000, b"3"):
        path.write_bytes(_packed(text))
        with pytest.raises(EngineError, match=r"m\.engine: holds no description of its engine"):
            fastsr.load(path)


def _packed(text):
    body = len(text).to_bytes(4, "little") + text + b"engine"
    return MAGIC + hashlib.sha256(body).digest() + body


def test_an_engine_is_not_taken_for_an_onnx_model(tmp_path):
    path = engine_of(onnx_reader.read(compact().save(tmp_path / "m.onnx")), tmp_path / "m.engine")
    with pytest.raises(ModelError, match=r"m\.engine: is a TensorRT engine, not an ONNX model; name the model that"):
        onnx_reader.read(path)


def test_a_missing_engine_is_named(tmp_path):
    with pytest.raises(FastsrError, match=r"gone\.engine: no such model file"):
        fastsr.load(tmp_path / "gone.engine")
