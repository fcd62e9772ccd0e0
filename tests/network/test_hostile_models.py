"""Whatever a model file holds: it runs, or a FastsrError says what is wrong with it."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.small_models import Builder, compact

import fastsr
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network import onnx_messages, onnx_reader, receptive_field


def _tensor(name, change):
    def changed(model):
        change(next(t for t in model.graph.initializer if t.name == name))

    return changed


def _shape(name, *sides):
    value = np.ones(sides, np.float32)
    return _tensor(name, lambda t: t.CopyFrom(onnx.numpy_helper.from_array(value, name)))


def _external(place):
    def changed(t):
        t.data_location = TensorProto.EXTERNAL
        t.external_data.add(key="location", value=place)

    return _tensor("w0", changed)


def _longer(t):
    t.raw_data += b"odd"


def _attribute(op, name, value):
    def changed(model):
        node = next(n for n in model.graph.node if n.op_type == op)
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return changed


def _sides(height, width):
    def changed(model):
        for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (height, width), strict=True):
            dim.dim_value = side

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [  # w0 and w1 are the kernel and the bias of a convolution with 8 outputs, w2 slopes
        (_tensor("w0", _longer), r"the tensor 'w0' does not hold \[8, 3, 3, 3\] values of its type"),
        (_shape("w0", 4), r"Conv \('Conv0'\) has a kernel of shape \[4\]"),
        (_shape("w0", 8, 4, 3, 3), r"a kernel of shape \[8, 4, 3, 3\] in 1 groups for 3 channels"),
        (_shape("w0", 8, 3, 3, 5), r"a kernel of 3x5 said to be \(3, 3\)"),
        (_shape("w1", 2), r"Conv \('Conv0'\) has a bias of shape \[2\] for 8 channels"),
        (_shape("w1", 8, 1, 1), r"a bias of shape \[8, 1, 1\] for 8 channels"),
        (_shape("w2", 5, 1, 1), r"PRelu \('PRelu1'\) has operands of 5 and 8 channels"),
        (
            _shape("w2", 8, 1, 1, 1, 1),
            r"PRelu \('PRelu1'\) has an operand of shape \[8, 1, 1, 1, 1\]; images have four",
        ),
        (_attribute("DepthToSpace", "blocksize", -2), "DepthToSpace .* has a blocksize of -2 for 12 channels"),
        (_attribute("DepthToSpace", "blocksize", 5), "a blocksize of 5 for 12 channels"),
        (_attribute("Conv", "strides", [1, 0]), r"Conv .* has strides \[1, 0\]"),
        (_attribute("Conv", "pads", [1, 1]), r"Conv .* has pads \[1, 1\]"),
        (_external("a\0b"), r"its weights file is named 'a\\x00b', which no file can be"),
        (_external("a" * 5000), "its weights file is named 'a{80}', which no file can be"),
        (_sides(8, 2**31 - 1), "takes only 2147483647x8 pixels; fastsr takes fixed sides up to 16384"),
    ],
)
def test_what_does_not_fit_is_named(change, message, tmp_path):
    model = compact().model()
    change(model)
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    for engine, precision in (("auto", "fp32"), ("onnxruntime", "int8")):
        with pytest.raises(ModelError, match=rf"odd\.onnx: .*{message}"):
            fastsr.load(tmp_path / "odd.onnx", "cpu", precision, engine)


def test_a_weights_file_whose_name_is_no_text_is_named(tmp_path):
    model = compact().model()
    _external("weights.bin")(model)
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString().replace(b"weights.bin", b"weights\xff\xfebi"))
    with pytest.raises(ModelError, match=r"odd\.onnx: .*which no file can be|odd\.onnx: .*not a valid ONNX model"):
        onnx_reader.read(tmp_path / "odd.onnx")


def test_weights_behind_an_operator_of_unknown_effect_are_looked_at_too(tmp_path):
    b = Builder().conv(8)
    model = b.add("GlobalAveragePool").conv(3).model()
    _shape("w3", 2)(model)
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"a bias of shape \[2\] for 3 channels"):
        onnx_reader.read(tmp_path / "odd.onnx")


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
def test_a_tile_too_small_is_refused_of_models_of_fixed_size_too(engine, tmp_path):
    path = compact().save(tmp_path / "fixed.onnx", height=32, width=32)
    with pytest.raises(EngineError, match="tile 8 is too small for fixed; use at least 9"):
        fastsr.load(path, "cpu", "fp32", engine, tile=8)
    image = np.random.default_rng(0).random((20, 40, 3), dtype=np.float32)
    whole, tiled = (fastsr.load(path, "cpu", "fp32", engine, tile=tile).upscale(image) for tile in (None, 9))
    np.testing.assert_array_equal(whole, tiled)


def test_reading_takes_time_in_proportion(tmp_path, monkeypatch):
    """A file may ask for many sub-pixel phases of many operators; their product is bounded."""
    b = Builder().unshuffle(64).shuffle(64)
    for _ in range(200):
        b.add("Relu")
    path = b.resize(64).save(tmp_path / "slow.onnx")
    visits = 0
    through = receptive_field.Walk._through

    def counted(self, node, interval):
        nonlocal visits
        visits += 1
        return through(self, node, interval)

    monkeypatch.setattr(receptive_field.Walk, "_through", counted)
    assert onnx_reader.read(path).radius is None
    assert visits <= receptive_field.MAX_VISITS
    b = Builder().unshuffle(8).shuffle(8)
    for _ in range(200):
        b.add("Relu")
    assert onnx_reader.read(b.resize(2).save(tmp_path / "fine.onnx")).radius == 7
    assert visits > 0


def test_resolutions_out_of_all_proportion_are_refused_where_they_arise(tmp_path):
    b = Builder()
    for _ in range(5):
        b.resize(64)
    with pytest.raises(ModelError, match=r"vast\.onnx: Resize \('Resize2'\) makes a tensor far larger"):
        onnx_reader.read(b.save(tmp_path / "vast.onnx"))


def test_files_that_cannot_be_read_are_not_called_something_else(tmp_path, monkeypatch):
    (tmp_path / "folder.onnx").mkdir()
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "round.onnx").symlink_to("round.onnx")
    for name, message in (
        ("folder", "is a folder; name the model file in it"),
        ("pipe", r"is not a plain file; name an \.onnx file"),
        ("round", r"cannot be read \(Too many levels of symbolic links\)"),
    ):
        with pytest.raises(ModelError, match=rf"{name}\.onnx: {message}"):
            fastsr.load(tmp_path / f"{name}.onnx")
    with pytest.raises(ModelError, match=r"cannot be read \(File name too long\)"):
        fastsr.load("a" * 5000 + ".onnx")
    with pytest.raises(ModelError, match="no such model file"):
        fastsr.load("a\0b.onnx")
    path = compact().save(tmp_path / "closed.onnx")

    def closed(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(path), "read_bytes", closed)  # root, who may run the tests, may read whatever its mode
    with pytest.raises(ModelError, match=r"closed\.onnx: cannot be read \(Permission denied\)"):
        onnx_reader.read(path)
    monkeypatch.setattr(type(path), "stat", lambda self, **rules: closed(self))
    with pytest.raises(ModelError, match=r"closed\.onnx: cannot be read \(Permission denied\)"):
        fastsr.load(path)


def test_memory_that_runs_out_while_a_model_is_read_is_named(tmp_path, monkeypatch):
    path = compact().save(tmp_path / "m.onnx")

    def none(content):
        raise MemoryError

    monkeypatch.setattr(onnx_messages, "parse", none)
    with pytest.raises(ModelError, match=r"m\.onnx: memory ran out while it was read"):
        onnx_reader.read(path)


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
def test_memory_that_runs_out_while_an_image_is_made_is_named(engine, tmp_path):
    program = """
import resource, sys
import numpy as np, onnxruntime
import fastsr
up = fastsr.load(sys.argv[1], "cpu", "fp32", sys.argv[2])
image = np.zeros((4000, 4000, 3), np.uint8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20), resource.RLIM_INFINITY))
try:
    up.upscale(image)
except fastsr.EngineError as error:
    print(error)
"""
    path = compact(4).save(tmp_path / "m.onnx")
    done = subprocess.run([sys.executable, "-c", program, path, engine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "m.onnx: memory ran out on 4000x4000 pixels; " in done.stdout


def test_a_window_that_needs_more_memory_than_there_is_is_named(tmp_path, monkeypatch):
    engine = OnnxRuntimeEngine(onnx_reader.read(compact().save(tmp_path / "m.onnx", height=32, width=32)), "fp32", None)

    def none(*arguments):
        raise MemoryError

    monkeypatch.setattr(engine, "forward", none)
    with pytest.raises(EngineError, match=r"m\.onnx: memory ran out on 8x9 pixels; free some, or take a smaller image"):
        engine.run(np.zeros((9, 8, 3), np.uint8))
