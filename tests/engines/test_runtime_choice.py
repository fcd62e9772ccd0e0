"""OpenVINO as an engine, and which runtime is taken for what the native engine does not run."""

import json
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from support.small_models import MODELS, Builder, compact

import fastsr
from fastsr.engines import runtime_choice, selection
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError, FastsrError, ModelError
from fastsr.network import onnx_reader

pytest.importorskip("openvino", reason='needs: pip install "fastsr[openvino]"')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty folder of caches."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    selection._say_once.cache_clear()
    return tmp_path / "cache"


def frame_of(height, width, dtype=np.float32):
    random = np.random.default_rng(height)
    if dtype == np.float32:
        return random.random((height, width, 3), np.float32)
    return random.integers(0, 256, (height, width, 3), dtype)


def squeezed(path):
    """A network that the native engine does not run: its channels are weighed by their means."""
    b = Builder().conv(8)
    before = b.x
    b.add("GlobalAveragePool").add("Sigmoid")
    weights, b.x = b.x, before
    return b.add("Mul", weights).conv(12).shuffle(2).save(path)


@pytest.mark.parametrize("name", MODELS)
def test_openvino_agrees_with_onnx_runtime(name, tmp_path):
    path = MODELS[name]().save(tmp_path / "m.onnx")
    made, expected = (fastsr.load(path, "cpu", engine=e).upscale(frame_of(37, 29)) for e in ("openvino", "onnxruntime"))
    assert np.abs(made - expected).max() < 1e-5
    tiled = fastsr.load(path, "cpu", engine="openvino", tile=27 if name == "srresnet-x4" else 33)
    assert np.abs(tiled.upscale(frame_of(80, 61)) - fastsr.load(path, "cpu").upscale(frame_of(80, 61))).max() < 1e-5


def test_fixed_sizes_and_other_kinds_of_pixels(tmp_path):
    path = compact(2).save(tmp_path / "m.onnx", height=32, width=48)
    made, expected = (
        fastsr.load(path, "cpu", engine=e).upscale(frame_of(75, 60, np.uint8)) for e in ("openvino", "onnxruntime")
    )
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_what_it_does_not_offer_or_cannot_run_is_named(tmp_path, monkeypatch):
    path = compact(2).save(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="engine 'openvino' does not offer precision 'int8'; it offers: fp32"):
        fastsr.load(path, "cpu", "int8", "openvino")
    with pytest.raises(EngineError, match="engine 'openvino' does not run on 'cuda'; it runs on: cpu"):
        fastsr.load(path, "cuda", engine="openvino")
    b = Builder().conv(3)
    b.add("Reshape", b.weight(np.array([1, 3, 4, 4])))
    with pytest.raises(FastsrError, match=r"odd\.onnx: OpenVINO (failed on 1x3x9x9|cannot run it)"):
        fastsr.load(b.save(tmp_path / "odd.onnx"), "cpu", engine="openvino").upscale(frame_of(9, 9))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"needs openvino .*pip install \"fastsr\[openvino\]\""):
        fastsr.load(path, "cpu", engine="openvino")


def test_from_many_threads(tmp_path):
    engine = fastsr.load(compact(2).save(tmp_path / "m.onnx"), "cpu", engine="openvino")
    frames = [frame_of(20 + i, 31) for i in range(6)]
    made = [None] * 6
    threads = [
        threading.Thread(target=lambda i=i: made.__setitem__(i, engine.upscale(frames[i]))) for i in range(len(frames))
    ]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for frame, result in zip(frames, made, strict=True):
        np.testing.assert_array_equal(result, engine.upscale(frame))


def test_an_interrupt_ends_a_run(tmp_path):
    from fastsr.engines.openvino import OpenVinoEngine

    b = Builder().conv(64)
    for _ in range(100):
        b.conv(64).add("Relu")
    engine = OpenVinoEngine(onnx_reader.read(b.conv(3).save(tmp_path / "slow.onnx")), "fp32", None)
    engine._compiled_for((1, 3, 200, 200))  # which cannot be interrupted
    small = frame_of(16, 16)
    expected = engine.run(small)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.run(frame_of(200, 200))
    assert time.monotonic() - start - 0.5 < 1
    timer.join()
    np.testing.assert_array_equal(engine.run(small), expected)


@pytest.mark.parametrize(
    ("usual", "other", "taken"), [(3.0, 1.0, "openvino"), (1.0, 1.0, "onnxruntime"), (1, 3, "onnxruntime")]
)
def test_the_faster_one_is_taken_and_remembered(tmp_path, monkeypatch, cache, usual, other, taken):
    path = squeezed(tmp_path / "m.onnx")
    monkeypatch.setattr(
        runtime_choice, "_seconds", lambda engine, image: usual if engine.name == "onnxruntime" else other
    )
    with pytest.warns(RuntimeWarning, match=rf"cannot run it \(operator GlobalAveragePool\); {taken} does"):
        assert fastsr.load(path, "cpu").engine == taken
    (kept,) = json.loads((cache / "runtimes.json").read_text()).values()
    assert kept["runtime"] == taken
    monkeypatch.setattr(runtime_choice, "_measured", lambda graph: pytest.fail("measured again"))
    graph = onnx_reader.read(path)
    assert runtime_choice.faster(graph) == runtime_choice.remembered(graph) == taken
    assert fastsr.load(path, "cpu", engine="onnxruntime").engine == "onnxruntime"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 3}', '{"a": {"runtime": "rm"}}', "[" * 100_000])
def test_a_damaged_memory_is_made_anew(tmp_path, cache, content):
    cache.mkdir()
    (cache / "runtimes.json").write_text(content)
    graph = onnx_reader.read(squeezed(tmp_path / "m.onnx"))
    assert runtime_choice.remembered(graph) == "onnxruntime"
    assert runtime_choice.faster(graph) in ("onnxruntime", "openvino")
    assert len(json.loads((cache / "runtimes.json").read_text())) == 1


def test_one_that_computes_something_else_is_not_taken(tmp_path, monkeypatch):
    from fastsr.engines.openvino import OpenVinoEngine

    graph = onnx_reader.read(squeezed(tmp_path / "m.onnx"))
    monkeypatch.setattr(runtime_choice, "_seconds", lambda engine, image: float(engine.name == "onnxruntime") + 1)
    run = OnnxRuntimeEngine.run
    for difference, taken in ((2e-4, "onnxruntime"), (np.nan, "onnxruntime"), (5e-5, "openvino")):
        monkeypatch.setattr(OpenVinoEngine, "run", lambda self, p, d=difference: run(self, p) + np.float32(d))
        assert runtime_choice._measured(graph)["runtime"] == taken
    monkeypatch.setattr(OpenVinoEngine, "__init__", lambda *_: (_ for _ in ()).throw(ModelError("cannot")))
    assert runtime_choice._measured(graph)["runtime"] == "onnxruntime"


def test_int8_and_bf16_stay_where_they_were(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime_choice, "faster", lambda graph: pytest.fail("asked"))
    graph = onnx_reader.read(squeezed(tmp_path / "m.onnx"))
    assert selection._on_cpu(graph, "int8").name == "onnxruntime"
    pytest.importorskip("torch")
    assert selection._on_cpu(graph, "bf16").name == "torch"
