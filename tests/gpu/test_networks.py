"""TensorRT on a GPU: every precision against ONNX Runtime, changing shapes, CUDA graphs, the cache."""

import json

import numpy as np
import onnxruntime
import pytest
from support.small_models import MODELS, compact

import fastsr
from fastsr.cli.command import main
from fastsr.engines.gpu import discovery
from fastsr.engines.tensorrt import distributions, engine_file
from fastsr.engines.tensorrt import network as tensorrt_network
from fastsr.engines.tensorrt.builder import FP8_SM, Profile, build
from fastsr.errors import EngineError
from fastsr.network import onnx_reader, quantization

pytestmark = pytest.mark.gpu
torch = pytest.importorskip("torch")

PROFILE = Profile((1, 8, 8), (1, 64, 64), (4, 128, 256))
# Levels of 255 from fp32: the mean of random networks, whose values spread wider than a trained one's.
BOUNDS = {"fp32": 0.01, "fp16": 0.2, "bf16": 2.0, "int8": 4.0, "fp8": 7.0}


@pytest.fixture(autouse=True)
def distribution(tmp_path, monkeypatch):
    """The TensorRT for this GPU, with an empty cache."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    try:
        return distributions.choose(discovery.find())
    except EngineError as error:
        pytest.skip(str(error))


def ranged(builder, folder):
    bare = onnx_reader.read(builder.save(folder / "m.onnx"))
    ranges = {name: (-2, 3) for name in quantization.inputs(bare)}
    return onnx_reader.read(builder.save(folder / "m.onnx", metadata={"ranges": json.dumps(ranges)}))


def exact(model, x):
    session = onnxruntime.InferenceSession(model.serialized, providers=["CPUExecutionProvider"])
    return session.run(None, {model.input: x})[0]


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def run(network, x, scale):
    """One batch through a network, prepared for its shape."""
    stream = torch.cuda.Stream()
    network.prepare(x.shape[0], *x.shape[2:])
    here = torch.from_numpy(x.astype(network.dtype)).cuda()
    made = here.new_full((*x.shape[:2], x.shape[2] * scale, x.shape[3] * scale), float("nan"))
    torch.cuda.synchronize()
    network.enqueue(here.data_ptr(), made.data_ptr(), stream.cuda_stream)
    stream.synchronize()
    return made.float().cpu().numpy()


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("name", MODELS)
def test_every_precision_is_near_fp32(name, precision, tmp_path):
    if precision == "fp8" and tuple(map(int, discovery.find().sm.split("."))) < FP8_SM:
        pytest.skip("this GPU has no fp8")
    model = ranged(MODELS[name](), tmp_path)
    network = tensorrt_network.cached_or_built(model, precision, PROFILE)
    for shape in ((1, 3, 64, 64), (2, 3, 34, 130), (4, 3, 128, 256), (1, 3, 8, 8)):
        x = images(*shape)
        made = run(network, x, model.scale)
        assert np.isfinite(made).all()
        assert np.abs(made - exact(model, x)).mean() * 255 < BOUNDS[precision]
    network.close()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_captured_graph_runs_on_new_images(precision, tmp_path):
    model = ranged(compact(channels=16), tmp_path)
    network = tensorrt_network.cached_or_built(model, precision, PROFILE)
    network.prepare(2, 32, 48)
    x = torch.zeros(2, 3, 32, 48, dtype=torch.float16, device="cuda")
    y = torch.zeros(2, 3, 64, 96, dtype=torch.float16, device="cuda")
    captured, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.graph(captured, stream=stream):
        network.enqueue(x.data_ptr(), y.data_ptr(), stream.cuda_stream)
    for seed in range(3):
        new = images(2, 3, 32, 48, seed=seed)
        x.copy_(torch.from_numpy(new))
        captured.replay()
        torch.cuda.synchronize()
        np.testing.assert_array_equal(y.float().cpu().numpy(), run(network, new, 2))
    captured.reset()
    network.close()


def test_a_graph_captured_for_one_shape_outlives_smaller_ones(tmp_path):
    model = ranged(compact(), tmp_path)
    network = tensorrt_network.cached_or_built(model, "fp16", PROFILE)
    network.prepare(1, 64, 64)
    x = torch.from_numpy(images(1, 3, 64, 64).astype(np.float16)).cuda()
    y = torch.zeros(1, 3, 128, 128, dtype=torch.float16, device="cuda")
    captured, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.graph(captured, stream=stream):
        network.enqueue(x.data_ptr(), y.data_ptr(), stream.cuda_stream)
    run(network, images(1, 3, 16, 24), 2)
    captured.replay()
    torch.cuda.synchronize()
    np.testing.assert_array_equal(y.float().cpu().numpy(), run(network, x.float().cpu().numpy(), 2))


def test_the_second_time_nothing_is_built(tmp_path, monkeypatch):
    model = ranged(compact(), tmp_path)
    x = images(1, 3, 32, 32)
    first = run(tensorrt_network.cached_or_built(model, "fp16", PROFILE), x, 2)
    monkeypatch.setattr(tensorrt_network, "build", lambda *_: pytest.fail("built again"))
    np.testing.assert_array_equal(run(tensorrt_network.cached_or_built(model, "fp16", PROFILE), x, 2), first)


def test_progress_is_told(tmp_path):
    steps = []
    model = ranged(compact(), tmp_path)
    network = tensorrt_network.cached_or_built(model, "fp16", PROFILE, progress=lambda *counts: steps.append(counts))
    x = images(1, 3, 32, 32)
    assert np.abs(run(network, x, 2) - exact(model, x)).mean() * 255 < BOUNDS["fp16"]
    assert steps


def test_exported_engines_run_and_foreign_ones_are_refused(distribution, tmp_path):
    model = ranged(compact(), tmp_path)
    gpu = discovery.find()
    targets = (gpu.sm,) if distribution.targets else ()
    engine = build(distribution, model, "fp16", PROFILE, targets)
    path = tmp_path / "m.engine"
    engine_file.write(
        path, tensorrt_network.describe(model, "fp16", PROFILE, distribution, targets, None if targets else gpu), engine
    )
    x = images(1, 3, 32, 32)
    assert np.abs(run(tensorrt_network.load(path), x, 2) - exact(model, x)).mean() * 255 < BOUNDS["fp16"]
    with pytest.raises(EngineError, match="cannot"):
        tensorrt_network.TensorRTNetwork(engine[: len(engine) // 2], distribution)
    foreign = tensorrt_network.describe(model, "fp16", PROFILE, distribution, ("5.0",), None)
    engine_file.write(path, foreign, engine)
    with pytest.raises(EngineError, match=r"was built for SM 5\.0"):
        tensorrt_network.load(path)


def test_an_exported_engine_is_a_model(distribution, tmp_path, monkeypatch):
    """As a user has it: the command writes the file, `fastsr.load` takes it."""
    ranged(compact(), tmp_path)
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (45, 61, 3), np.uint8)
    expected = fastsr.load("m.onnx", "cpu", "fp32").upscale(image)
    for precision in ("fp32", "fp16", "int8"):
        options = ["--precision", precision, "--max-size", "640x360", "--max-batch", "1", "-o", "m.engine"]
        assert main(["export", "m.onnx", "--tensorrt", *options]) == 0
        up = fastsr.load("m.engine")
        assert (up.engine, up.precision, up.scale) == ("tensorrt", precision, 2)
        made = up.upscale(image)
        assert np.abs(made.astype(int) - expected).mean() < BOUNDS[precision] + 0.01


def test_closing_gives_the_memory_back(tmp_path):
    model = ranged(compact(channels=32), tmp_path)
    network = tensorrt_network.cached_or_built(model, "fp16", PROFILE)
    network.prepare(4, 128, 256)
    network.close()
    network.close()
    with pytest.raises(EngineError, match="closed"):
        network.prepare(1, 8, 8)
