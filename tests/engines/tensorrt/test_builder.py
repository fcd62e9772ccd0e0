"""TensorRT-RTX parses and builds every model in every precision, for cards that this machine need not have."""

import json
import re
import threading

import pytest
from onnx import helper
from support.small_models import MODELS, Builder, compact

from fastsr.engines.gpu.discovery import Gpu
from fastsr.engines.tensorrt import distributions
from fastsr.engines.tensorrt.builder import Profile, build
from fastsr.errors import EngineError, ModelError
from fastsr.network import catalog, onnx_reader, quantization, strong_typing

pytest.importorskip("tensorrt_rtx", reason='TensorRT-RTX is not installed; pip install "fastsr[tensorrt]"')

TARGETS = ("8.6", "8.9", "12.0")
PROFILE = Profile((1, 16, 16), (1, 272, 480), (4, 1088, 1920))
LAYER = re.compile(r"Name: (?P<name>\S+), LayerType: (?P<kind>\w+), Inputs: (?P<x>.*), Constants: (?P<w>.*), Outputs: ")
TYPES = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16", "int8": "Int8", "fp8": "FP8"}


@pytest.fixture(scope="module")
def rtx():
    return distributions.find("tensorrt_rtx")


def ranged(builder, folder):
    """The builder's graph, with a wide range for all that convolutions read."""
    bare = onnx_reader.read(builder.save(folder / "m.onnx"))
    ranges = {name: (-2, 3) for name in quantization.inputs(bare)}
    return onnx_reader.read(builder.save(folder / "m.onnx", metadata={"ranges": json.dumps(ranges)}))


def targets(precision):
    return tuple(t for t in TARGETS if precision != "fp8" or t != "8.6")


def built(rtx, network, precision, sms, profile=PROFILE):
    """The engine, its layers ({name, kind, x, w, onnx}) and its input and output as the builder lists them."""
    lines = []
    engine = build(rtx, network, precision, profile, sms, log=lines.append)
    listing = next(line for line in lines if line.startswith("Layers:"))
    layers = []
    for line in listing.splitlines():
        match = LAYER.match(line)
        if match:
            layers.append(match.groupdict() | {"onnx": re.findall(r"\[ONNX Layer: ([^\]]*)\]", line)})
    images = {m[1]: m[0] for m in re.finditer(r"Name: (\w+), IOMode: \w+, DataType: (\w+), Dimensions: .*", listing)}
    return engine, layers, images


def operands(layer):
    """The element type of what a convolution reads, and of its kernel."""
    return re.findall(r"Datatype: (\w+)", layer["x"])[0], re.findall(r"Datatype: (\w+)", layer["w"])[0]


def convolutions(layers):
    return [layer for layer in layers if layer["kind"] == "correlation" or "Corr" in layer["name"]]


def check(network, precision, engine, layers, images):
    assert len(engine) > 10_000
    io = "Float" if precision == "fp32" else "Half"
    assert list(images) == [network.input, network.output]
    for line in images.values():
        assert f"DataType: {io}, Dimensions: [-1,{network.channels},-1,-1]" in line
    (least, usual, most) = ([n, network.channels, h, w] for n, h, w in (PROFILE.least, PROFILE.usual, PROFILE.most))
    shapes = re.search(r"MinShape: (\[.*?\]), OptShape: (\[.*?\]), MaxShape: (\[.*?\])", images[network.input])
    assert [json.loads(s) for s in shapes.groups()] == [least, usual, most]
    found = convolutions(layers)
    assert len(found) == sum(node.op == "Conv" for node in network.nodes)
    kinds = [operands(layer) for layer in found]
    if precision in ("int8", "fp8"):
        heads = [operands(layer) for layer in found if not any("dequantized" in name for name in layer["onnx"])]
        reads = [node.inputs[0] for node in network.nodes if node.op == "Conv"]
        left = [name for name in reads if name == network.input or name not in network.ranges]  # the image, for one
        assert heads == [("Half", "Half")] * len(left)
        kinds = [kind for kind in kinds if kind != ("Half", "Half")]
    assert set(kinds) == {(TYPES[precision], TYPES[precision])}


@pytest.mark.parametrize("precision", strong_typing.PRECISIONS)
@pytest.mark.parametrize("name", [card.name for card in catalog.models().values()])
def test_shipped_models_build_for_several_cards_at_once(rtx, name, precision):
    network = onnx_reader.read(catalog.models()[name].path)
    if precision in ("int8", "fp8") and not network.ranges:
        pytest.skip(f"{name} ships without calibrated ranges, so it has no {precision} form")
    check(network, precision, *built(rtx, network, precision, targets(precision)))


@pytest.mark.parametrize("precision", strong_typing.PRECISIONS)
def test_each_precision_runs_in_its_own_type(rtx, precision, tmp_path):
    network = ranged(compact(channels=16), tmp_path)
    check(network, precision, *built(rtx, network, precision, targets(precision)))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", [n for n in MODELS if n != "compact-x2"])
def test_other_networks_build_too(rtx, name, precision, tmp_path):
    network = ranged(MODELS[name](), tmp_path)
    assert len(build(rtx, network, precision, PROFILE, ("8.9",))) > 10_000


def test_one_engine_holds_all_its_targets(rtx, tmp_path):
    network = ranged(compact(channels=16), tmp_path)
    lines = []
    build(rtx, network, "fp16", PROFILE, TARGETS, log=lines.append)
    assert "Number of target compute capabilities: 3" in lines


def test_fp32_multiplies_in_fp32(rtx, tmp_path, monkeypatch):
    """TensorRT's default would round products to the 11 bits of TF32."""
    seen = []

    class Spy:
        def __init__(self, config):
            object.__setattr__(self, "config", config)

        def __getattr__(self, name):
            return getattr(self.config, name)

        def __setattr__(self, name, value):
            setattr(self.config, name, value)

        def clear_flag(self, flag):
            seen.append(flag)
            self.config.clear_flag(flag)

    from fastsr.engines.tensorrt import builder

    configure = builder._configure
    monkeypatch.setattr(builder, "_configure", lambda config, *rest: configure(Spy(config), *rest))
    network = ranged(compact(), tmp_path)
    for precision, flags in (("fp16", []), ("fp32", [rtx.trt.BuilderFlag.TF32])):
        seen.clear()
        build(rtx, network, precision, PROFILE, ("8.9",))
        assert seen == flags


def test_progress_grows_to_the_end(rtx, tmp_path):
    seen = []
    build(rtx, ranged(compact(), tmp_path), "int8", PROFILE, ("8.9",), progress=lambda *counts: seen.append(counts))
    assert len(seen) > 20
    assert all(0 <= done <= total for done, total in seen)
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_an_exception_of_progress_stops_the_build_and_comes_out(rtx, tmp_path):
    network, calls = ranged(compact(), tmp_path), []

    def interrupted(done, total):
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(rtx, network, "fp16", PROFILE, ("8.9",), progress=interrupted)
    complete = []
    build(rtx, network, "fp16", PROFILE, ("8.9",), progress=lambda *counts: complete.append(counts))
    assert len(calls) < len(complete) / 2


def test_ctrl_c_while_it_logs_stops_the_build_and_comes_out(rtx, tmp_path):
    network, lines = ranged(compact(), tmp_path), []

    def interrupted(line):
        lines.append(line)
        if len(lines) == 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(rtx, network, "int8", PROFILE, ("8.9",), log=interrupted)
    complete = []
    build(rtx, network, "int8", PROFILE, ("8.9",), log=complete.append)
    assert 200 <= len(lines) < len(complete)


def test_threads_build_side_by_side(rtx, tmp_path):
    network, made = ranged(compact(), tmp_path), []
    threads = [
        threading.Thread(target=lambda p=p: made.append(build(rtx, network, p, PROFILE, ("8.9",))))
        for p in ("fp16", "int8", "bf16")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 3


def test_an_operator_it_has_not_is_named(rtx, tmp_path):
    b = Builder().conv(3)
    b.nodes.append(helper.make_node("Blur", [b.x], ["Blur1"], name="the blur", domain="my.own"))
    b.x = "Blur1"
    model = b.model()
    model.opset_import.append(helper.make_opsetid("my.own", 1))
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    network = onnx_reader.read(tmp_path / "odd.onnx")
    with pytest.raises(
        ModelError, match=r"odd\.onnx: TensorRT-RTX 1\.\S+ cannot take it in fp16: operator Blur \(the b"
    ):
        build(rtx, network, "fp16", PROFILE, ("8.9",))


def test_targets_it_has_not_are_named(rtx, tmp_path):
    network = ranged(compact(), tmp_path)
    with pytest.raises(EngineError, match=r"does not build for SM 9\.0; it builds for: 7\.5.* 8\.9, 12\.0"):
        build(rtx, network, "fp16", PROFILE, ("8.9", "9.0"))
    with pytest.raises(EngineError, match=r"SM 7\.5, 8\.6 has no fp8; it begins with SM 8\.9"):
        build(rtx, network, "fp8", PROFILE, ("7.5", "8.6", "8.9"))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 16, 16), (1, 16, 16), (4, 64, 64)), "2 to 4 images, tuned for 1, is no range"),
        (((1, 16, 16), (1, 65, 16), (4, 64, 64)), "16 to 64 rows, tuned for 65, is no range"),
        (((1, 16, 0), (1, 16, 16), (4, 64, 64)), "0 to 64 columns"),
    ],
)
def test_profiles_must_be_in_order(shapes, message):
    with pytest.raises(EngineError, match=message):
        Profile(*shapes)


def test_profiles_must_fit_the_graph(rtx, tmp_path):
    halves = onnx_reader.read(MODELS["downsampling-x2"]().save(tmp_path / "halves.onnx"))
    with pytest.raises(EngineError, match=r"halves\.onnx: takes sides that are multiples of 2, not 33x32"):
        build(rtx, halves, "fp16", Profile((1, 16, 16), (1, 32, 33), (1, 64, 64)), ("8.9",))
    fixed = onnx_reader.read(compact().save(tmp_path / "fixed.onnx", height=32, width=48))
    with pytest.raises(EngineError, match=r"fixed\.onnx: takes only 48x32 pixels, not 16x16"):
        build(rtx, fixed, "fp16", PROFILE, ("8.9",))
    one = Profile((1, 32, 48), (1, 32, 48), (1, 32, 48))
    assert len(build(rtx, fixed, "fp16", one, ("8.9",))) > 10_000


def test_cards_it_serves(rtx):
    for sm, served in (("7.5", True), ("8.9", True), ("12.0", True), ("9.0", False), ("10.0", False), ("6.1", False)):
        assert rtx.serves(Gpu(0, "card", sm)) == served
