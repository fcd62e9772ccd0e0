"""Engines: exact tiling, agreement with each other, choice, probing, refusals."""

import ast
import dataclasses
import importlib
import json
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.native_networks import NATIVE
from support.small_models import MODELS, Builder, compact

import fastsr
from fastsr import _core
from fastsr.engines import precision_probe, registry, selection
from fastsr.engines.gpu import discovery
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network import catalog, onnx_reader, quantization
from fastsr.tiling.bounds import Bounds


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: onnx_reader.read(make().save(folder / f"{name}.onnx")) for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def whole(networks):
    """One engine a model that runs any test frame in one window."""
    return {name: OnnxRuntimeEngine(network, "fp32", None) for name, network in networks.items()}


def frame_of(seed, height, width, channels=3, dtype=np.uint8):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.random((height, width, channels), dtype=np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)


_TILED: dict[str, OnnxRuntimeEngine] = {}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(MODELS)),
    height=st.integers(1, 130),
    width=st.integers(1, 130),
    extra=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    seed=st.integers(0, 1000),
)
def test_tiled_equals_whole_bit_for_bit(networks, whole, name, height, width, extra, seed):
    network = networks[name]
    smallest = 2 * -(-network.radius // network.alignment) * network.alignment + network.alignment
    tiled = _TILED.setdefault(name, OnnxRuntimeEngine(network, "fp32", smallest))
    tiled.windows.tile = (smallest + extra[0], smallest + extra[1])
    frame = frame_of(seed, height, width)
    assert len(whole[name].windows.plan(height, width)) == 1
    np.testing.assert_array_equal(tiled.run(frame), whole[name].run(frame))


def test_a_halo_one_pixel_smaller_shows_a_seam(networks):
    """The exact-tiling test can fail: with less than the radius the result differs."""
    network = networks["srresnet-x4"]
    short = dataclasses.replace(network, radius=network.radius - 1)
    frame = frame_of(3, 150, 150, dtype=np.float32)
    seamless, seamed = OnnxRuntimeEngine(network, "fp32", 60), OnnxRuntimeEngine(short, "fp32", 60)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    np.testing.assert_array_equal(seamless.run(frame), expected)
    assert (seamed.run(frame) != expected).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_pixels_in_pixels_out(networks, whole, name, dtype):
    frame = frame_of(1, 19, 23, dtype=dtype)
    scale = networks[name].scale
    made = whole[name].run(frame)
    assert made.shape == (19 * scale, 23 * scale, 3)
    assert made.dtype == dtype
    x = frame.astype(np.float32) / (1 if dtype == np.float32 else np.iinfo(dtype).max)
    network = networks[name]
    if network.alignment == 1:
        (expected,) = whole[name]._session.run(None, {"input": x.transpose(2, 0, 1)[None]})
        expected = np.clip(expected[0].transpose(1, 2, 0), 0, 1)
        level = 1e-6 if dtype == np.float32 else 0.51 / np.iinfo(dtype).max
        full = 1 if dtype == np.float32 else np.iinfo(dtype).max
        assert np.abs(made.astype(np.float64) / full - expected).max() <= level


@pytest.mark.parametrize("name", MODELS)
def test_torch_agrees_with_onnx(networks, whole, name):
    pytest.importorskip("torch")
    from fastsr.engines.torch.engine import TorchEngine

    engine = TorchEngine(networks[name], "fp32", None)
    frame = frame_of(2, 37, 29, dtype=np.float32)
    assert np.abs(engine.run(frame) - whole[name].run(frame)).max() < 1e-5


@pytest.mark.parametrize("name", ["compact-x4", "srresnet-x4"])
def test_torch_tiles_to_its_own_rounding(networks, name):
    """PyTorch sums in an order that depends on the image's shape, so a sample may round to the other side."""
    pytest.importorskip("torch")
    from fastsr.engines.torch.engine import TorchEngine

    frame = frame_of(5, 120, 90)
    tile = 2 * networks[name].radius + 30
    made, expected = (TorchEngine(networks[name], "fp32", t).run(frame) for t in (tile, None))
    difference = np.abs(made.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-4


def test_progress_counts_to_the_end(networks):
    seen = []
    OnnxRuntimeEngine(networks["compact-x2"], "fp32", 30).run(
        frame_of(0, 70, 70), lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}
    assert len(seen) > 1


def test_one_engine_from_many_threads(networks, whole):
    engine = OnnxRuntimeEngine(networks["compact-x4"], "fp32", 40)
    frames = [frame_of(i, 50 + i, 60) for i in range(6)]
    made = [None] * 6

    def work(i):
        made[i] = engine.run(frames[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for frame, result in zip(frames, made, strict=True):
        np.testing.assert_array_equal(result, whole["compact-x4"].run(frame))


def test_fixed_size_models_run_in_their_size(tmp_path):
    network = onnx_reader.read(compact(2).save(tmp_path / "m.onnx", height=32, width=48))
    free = OnnxRuntimeEngine(onnx_reader.read(compact(2).save(tmp_path / "f.onnx")), "fp32", None)
    engine = OnnxRuntimeEngine(network, "fp32", None)
    frame = frame_of(0, 75, 60)
    np.testing.assert_array_equal(engine.run(frame), free.run(frame))
    assert engine.run(frame_of(0, 5, 7)).shape == (10, 14, 3)


def test_half_precision_models_run(tmp_path):
    import onnx
    from onnx import TensorProto, numpy_helper

    model = compact(2).model()
    for tensor in model.graph.initializer:
        if tensor.dims != [4]:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save_model(model, str(tmp_path / "half.onnx"))
    made = fastsr.load(tmp_path / "half.onnx").upscale(frame_of(0, 20, 20))
    expected = fastsr.load(compact(2).save(tmp_path / "single.onnx")).upscale(frame_of(0, 20, 20))
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 2


def test_tile_too_small_names_the_smallest(tmp_path):
    path = compact(2, depth=2).save(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="use at least 9"):
        fastsr.load(path, tile=8)
    fastsr.load(path, tile=9)


def test_networks_that_see_everything_refuse_tiles(tmp_path):
    b = compact()
    b.add("GlobalAveragePool")
    pooled, b.x = b.x, "input"
    path = b.resize(2).add("Add", pooled).save(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="leave tile out"):
        fastsr.load(path, tile=64)
    assert fastsr.load(path).upscale(frame_of(0, 40, 30)).shape == (80, 60, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "unknown device 'tpu'; known: auto, cpu, cuda"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"engine": "ncnn"}, "unknown engine 'ncnn'; known: cpu, onnxruntime, openvino, torch, tensorrt"),
        ({"engine": "onnxruntime", "device": "cuda"}, "does not run on 'cuda'; it runs on: cpu"),
        ({"engine": "onnxruntime", "precision": "fp16"}, "does not offer precision 'fp16'; it offers: fp32, int8"),
        *(({"tile": tile}, f"tile {tile!r} is not a number of pixels") for tile in ("128", 12.5, True, 0, -4)),
    ],
)
def test_unknown_choices_are_named(tmp_path, options, message):
    with pytest.raises(EngineError, match=message):
        fastsr.load(compact().save(tmp_path / "m.onnx"), **options)


def test_tiles_may_be_numbers_of_numpy(tmp_path):
    assert fastsr.load(compact().save(tmp_path / "m.onnx"), tile=np.int64(64)).scale == 2


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FASTSR_ISA", "bogus", "FASTSR_ISA='bogus' is not available here; unset it, or set it to one of: portable"),
        *(
            ("FASTSR_NUM_THREADS", value, f"FASTSR_NUM_THREADS='{value}' is not a number of threads; unset it, or set")
            for value in ("abc", "0", "-2", "1.5", "2x", " 2")
        ),
    ],
)
def test_settings_of_no_use_are_named(tmp_path, monkeypatch, device, variable, value, message):
    path = compact().save(tmp_path / "m.onnx")
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineError, match=message):
        fastsr.load(path, device=device)
    with pytest.raises(EngineError, match=message):
        fastsr.upscale(frame_of(0, 9, 9), model=path)


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTSR_ISA", ""), ("FASTSR_NUM_THREADS", ""), ("FASTSR_NUM_THREADS", "3")]
)
def test_settings_of_use_are_taken(tmp_path, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert fastsr.load(compact().save(tmp_path / "m.onnx"), device="cpu").precision == "fp32"


# ---- what "auto" stands for on a CPU --------------------------------------------------------------------------------

COSTS = {"photographs": 0.02, "text": 0.01, "ramps": 0.04}


@pytest.fixture
def proven(tmp_path, monkeypatch):
    """A model with ranges whose card proves int8, on a processor that multiplies bytes."""
    bare = onnx_reader.read(compact(2).save(tmp_path / "bare.onnx"))
    ranges = {name: (-4.0, 4.0) for name in quantization.inputs(bare)} | {"input": (0.0, 1.0)}
    path = compact(2).save(tmp_path / "proven.onnx", metadata={"ranges": json.dumps(ranges)})

    def card(**changes):
        model = dataclasses.replace(
            catalog.models()["fast-x2"],
            **{"path": path, "precision_cost": {"int8": COSTS}, "flat_error": {"int8": 1}, **changes},
        )
        monkeypatch.setattr(catalog, "card", lambda given: model if given == path else None)
        return path

    monkeypatch.setattr(_core, "active_isa", lambda: "avx512")
    return card


def test_auto_is_fp32_for_photographs_and_what_a_card_proves_for_video(proven):
    path = proven()
    assert fastsr.load(path, device="cpu").precision == "fp32"
    assert fastsr.load(path, device="cpu", video=True).precision == "int8"
    assert fastsr.load(path, device="cpu", precision="fp32", video=True).precision == "fp32"
    frame = frame_of(3, 20, 30)
    exact = fastsr.load(path, device="cpu", precision="fp32").upscale(frame)
    np.testing.assert_array_equal(fastsr.upscale(frame, model=path, device="cpu"), exact)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision_cost": {}},
        {"precision_cost": {"int8": {"photographs": 0.0}}},  # text and ramps were not looked at
        *({"precision_cost": {"int8": COSTS | {kind: 0.051}}} for kind in COSTS),
        {"flat_error": {}},
        {"flat_error": {"int8": 2}},
    ],
)
def test_a_card_that_proves_less_leaves_video_at_fp32(proven, changes):
    assert fastsr.load(proven(**changes), device="cpu", video=True).precision == "fp32"


@pytest.mark.parametrize("isa", ["portable", "avx2", "wide"])
def test_without_byte_products_video_stays_at_fp32(proven, monkeypatch, isa):
    path = proven()
    monkeypatch.setattr(_core, "active_isa", lambda: isa)
    assert fastsr.load(path, device="cpu", video=True).precision == "fp32"


def test_other_weights_than_the_card_was_measured_with_prove_nothing(proven):
    path = proven()
    network = dataclasses.replace(onnx_reader.read(path), digest="of weights between two models")
    assert selection.build(network, "cpu", "auto", "auto", Bounds(), video=True).precision == "fp32"


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("size", [None, (50, 41)])
def test_deep_pixels_never_go_through_int8_unasked(proven, dtype, size):
    path = proven()
    video, exact, asked = (
        fastsr.load(path, device="cpu", **given)
        for given in ({"video": True}, {"precision": "fp32"}, {"precision": "int8"})
    )
    frame = frame_of(1, 20, 30, dtype=dtype)
    np.testing.assert_array_equal(video.upscale(frame, size=size), exact.upscale(frame, size=size))
    assert (asked.upscale(frame, size=size) != exact.upscale(frame, size=size)).any()
    eight = frame_of(1, 20, 30)
    np.testing.assert_array_equal(video.upscale(eight, size=size), asked.upscale(eight, size=size))
    assert video.precision == "int8"


def test_a_missing_runtime_says_what_to_install(tmp_path, monkeypatch):
    path = compact().save(tmp_path / "m.onnx")
    real = importlib.import_module

    def without(name, *rest):
        if name in ("torch", "onnxruntime", "openvino"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(EngineError, match=r'pip install "fastsr\[torch\]"'):
        fastsr.load(path, engine="torch")
    with pytest.raises(EngineError, match=r'pip install "fastsr\[onnx\]"'):
        fastsr.load(path, engine="onnxruntime")
    assert fastsr.load(path).engine == "cpu"
    odd = Builder().conv(3).add("Round").save(tmp_path / "odd.onnx")
    with pytest.raises(EngineError, match=r'cannot run it \(operator Round\), and .* pip install "fastsr\[onnx\]"'):
        fastsr.load(odd)


def test_torch_dilates_transposed_convolutions(tmp_path):
    pytest.importorskip("torch")
    b = Builder().conv(4)
    kernel = b.weight(b.random.standard_normal((4, 3, 3, 3)).astype(np.float32))
    b.deep = 3
    path = b.add("ConvTranspose", kernel, pads=[2] * 4, dilations=[2, 2]).save(tmp_path / "m.onnx")
    frame = frame_of(0, 20, 30, dtype=np.float32)
    made, expected = (fastsr.load(path, engine=name).upscale(frame) for name in ("torch", "onnxruntime"))
    np.testing.assert_allclose(made, expected, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["functions-x4", "chained-x2", "gates-x1", "normalized-x2", "constants-x1", "sliced-x2"]
)
def test_torch_has_the_functions_and_normalizations(name, tmp_path):
    network = onnx_reader.read(NATIVE[name]().save(tmp_path / "m.onnx"))
    frame = frame_of(4, 20, 31, dtype=np.float32)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    made = selection.build(network, "cpu", "fp32", "torch", Bounds()).run(frame)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_torch_pads_and_crops(tmp_path):
    """Borders of every kind, Slice as a crop, and convolutions with pads on one side."""
    pytest.importorskip("torch")
    b = Builder(3).pad(3, 2, 1, 4, "reflect").conv(8, pads=[0, 1, 0, 0]).pad(-1, 2, 1, -1, "edge").conv(8, pads=[0] * 4)
    b.pad(1, 1, 1, 0).add("Slice", *(b.weight(np.array(values)) for values in ([2, 1], [2**62, -4], [2, 3])))
    path = b.conv(3).save(tmp_path / "m.onnx")
    network, frame = onnx_reader.read(path), frame_of(0, 21, 18, dtype=np.float32)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    made = fastsr.load(path, engine="torch").upscale(frame)
    assert np.abs(made - expected).max() < 1e-5


def test_torch_splits_and_joins(tmp_path):
    pytest.importorskip("torch")
    b = Builder().conv(10)
    left, right = b.split(4, 6)
    b.concat(right, left).conv(12).shuffle(2)
    path = b.save(tmp_path / "m.onnx")
    frame = frame_of(0, 9, 11)
    made, expected = (fastsr.load(path, engine=name).upscale(frame) for name in ("torch", "onnxruntime"))
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_torch_refuses_resizing_that_it_would_do_differently(tmp_path):
    pytest.importorskip("torch")
    b = Builder().conv(3).resize(2, "cubic", cubic_coeff_a=-0.5)
    with pytest.raises(ModelError, match="use engine='onnxruntime'"):
        fastsr.load(b.save(tmp_path / "m.onnx"), engine="torch").upscale(frame_of(0, 9, 9))


def test_torch_frees_what_no_later_operator_reads(networks):
    pytest.importorskip("torch")
    from fastsr.engines.torch.engine import TorchEngine

    engine = TorchEngine(networks["srresnet-x4"], "fp32", None)
    made = [name for node in engine._execute._nodes for name in node.outputs]
    freed = [name for names in engine._execute._finished for name in names]
    assert sorted(freed) == sorted({"input", *made} - {"output"})


def test_models_that_change_the_size_otherwise_say_so(tmp_path):
    b = Builder()
    b.add("Conv", b.weight(np.zeros((3, 3, 3, 3), np.float32)))
    with pytest.raises(EngineError, match=r"m\.onnx: made .* keep the size"):
        fastsr.load(b.save(tmp_path / "m.onnx")).upscale(frame_of(0, 9, 9))


def test_a_runtime_that_fails_names_the_model(tmp_path):
    b = Builder().conv(3)
    b.add("Reshape", b.weight(np.array([1, 3, 4, 4])))
    with pytest.raises(EngineError, match=r"m\.onnx: ONNX Runtime failed on 1x3x9x9"):
        fastsr.load(b.save(tmp_path / "m.onnx")).upscale(frame_of(0, 9, 9))


def test_fixed_sizes_must_fit_the_operators(tmp_path):
    path = MODELS["downsampling-x2"]().save(tmp_path / "m.onnx", height=33, width=32)
    with pytest.raises(EngineError, match="multiples of 2"):
        fastsr.load(path, engine="onnxruntime")


def test_unsupported_operator_names_the_other_engine(tmp_path):
    pytest.importorskip("torch")
    path = Builder().conv(12).add("Round").shuffle(2).save(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no Round; use engine='onnxruntime'"):
        fastsr.load(path, engine="torch")


def test_bf16_passes_its_probe(tmp_path):
    pytest.importorskip("torch")
    up = fastsr.load(compact(channels=4).save(tmp_path / "m.onnx"), engine="torch", precision="bf16")
    assert up.precision == "bf16"
    exact = fastsr.load(tmp_path / "m.onnx", engine="torch")
    frame = frame_of(0, 16, 16)
    assert np.abs(up.upscale(frame).astype(int) - exact.upscale(frame).astype(int)).max() <= 6


class _Broken:
    name, precision = "broken", "bf16"

    def __init__(self, value):
        self.value = value

    def run(self, pixels, progress=None):
        return np.full_like(pixels, self.value)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "nan"), (0.0, "black"), (1.0, "away from fp32")])
def test_probe_tells_what_is_wrong(networks, value, message):
    exact = _Broken(0.5)
    assert message in precision_probe.probe(_Broken(value), exact, networks["compact-x2"])
    assert precision_probe.probe(exact, exact, networks["compact-x2"]) is None


def test_a_precision_that_fails_its_probe_falls_back(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(selection, "probe", lambda *_: "gives a black image")
    with pytest.warns(RuntimeWarning, match="bf16 on torch gives a black image; using fp32"):
        up = fastsr.load(compact().save(tmp_path / "m.onnx"), engine="torch", precision="bf16")
    assert up.precision == "fp32"


@pytest.fixture
def with_gpu(monkeypatch):
    """A machine that has a GPU, and engines that would run on it."""
    monkeypatch.setattr(discovery, "listed", lambda: (({"index": 0, "name": "one"},), ""))
    selection._say_once.cache_clear()
    asked = []

    def build(graph, device, precision, bounds):
        asked.append((device, precision))
        made = OnnxRuntimeEngine(graph, "fp32", *bounds)
        made.name, made.precision = "torch", precision
        return made

    def no_tensorrt(graph, device, precision, bounds):
        raise EngineError("TensorRT is not installed")

    made = {"torch": build, "tensorrt": no_tensorrt}
    monkeypatch.setattr(
        registry.EngineSpec, "builder", lambda kind, real=registry.EngineSpec.builder: made.get(kind.name) or real(kind)
    )
    return asked


def test_auto_takes_the_gpu_where_there_is_one(tmp_path, with_gpu):
    path = compact().save(tmp_path / "m.onnx")
    with pytest.warns(RuntimeWarning, match="the torch engine is used: TensorRT is not installed"):
        up = fastsr.load(path)
    assert (up.engine, up.precision) == ("torch", "fp16")
    assert with_gpu == [("cuda", "fp16")]
    assert fastsr.load(path, device="cpu").engine == "cpu"
    assert fastsr.load(path, engine="torch").precision == "fp16"
    assert fastsr.load(path, engine="onnxruntime").precision == "fp32"
    assert fastsr.load(path, precision="fp32").engine == "torch"


def test_precisions_fall_back_one_after_the_other(tmp_path, with_gpu, monkeypatch):
    monkeypatch.setattr(selection, "probe", lambda engine, exact, graph: "is wrong")
    with pytest.warns(RuntimeWarning, match="fp16 on torch is wrong; using fp32 instead"):
        up = fastsr.load(compact().save(tmp_path / "m.onnx"), device="cuda")
    assert up.precision == "fp32"
    assert with_gpu == [("cuda", "fp16"), ("cuda", "fp32")]


def test_a_gpu_that_no_engine_serves_is_said_once(tmp_path, with_gpu, monkeypatch):
    def fail(graph, device, precision, bounds):
        raise EngineError("torch sees no GPU")

    real = registry.EngineSpec.builder
    monkeypatch.setattr(registry.EngineSpec, "builder", lambda kind: fail if kind.name == "torch" else real(kind))
    path = compact().save(tmp_path / "m.onnx")
    with pytest.warns(RuntimeWarning, match="the GPU is not used: TensorRT is not installed; torch sees no GPU"):
        assert fastsr.load(path).engine == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fastsr.load(path).engine == "cpu"
    with pytest.raises(EngineError, match="torch sees no GPU"):
        fastsr.load(path, device="cuda")


def test_the_better_engine_is_built_while_another_serves(tmp_path, with_gpu, monkeypatch):
    go = threading.Event()

    def slow(graph, device, precision, bounds):
        go.wait()
        made = OnnxRuntimeEngine(graph, "fp32", *bounds)
        made.name, made.precision = "tensorrt", precision
        return made

    real = registry.EngineSpec.builder
    monkeypatch.setattr(registry.EngineSpec, "builder", lambda kind: slow if kind.name == "tensorrt" else real(kind))
    up = fastsr.load(compact().save(tmp_path / "m.onnx"), wait=False)
    frame = frame_of(0, 9, 9)
    first = up.upscale(frame)
    assert up.engine == "torch"
    go.set()
    for _ in range(1000):
        if up.engine == "tensorrt":
            break
        time.sleep(0.01)
    assert up.engine == "tensorrt"
    np.testing.assert_array_equal(up.upscale(frame), first)


def test_no_gpu_is_an_error_where_one_was_asked_for(tmp_path):
    if discovery.present():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="cuda"):
        fastsr.load(compact().save(tmp_path / "m.onnx"), device="cuda")
    assert discovery.listed()[1]


def test_import_pulls_in_no_runtime():
    runtimes = "'torch', 'onnxruntime', 'onnx', 'tensorrt', 'tensorrt_rtx', 'cuda', 'av', 'training'"
    code = f"import sys, fastsr.cli.command; print(sorted({{{runtimes}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fastsr_never_imports_training():
    for path in Path(fastsr.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] in ("training", "benchmarks") for name in names), path


def test_cuda_module_imports_without_a_driver():
    cuda = pytest.importorskip("fastsr._cuda")
    devices, reason = cuda.devices()
    assert cuda.runtime_version() >= 12000
    assert devices or reason
    assert all(set(d) == {"index", "name", "compute_capability", "memory"} for d in devices)
