"""Reading ONNX files: scale, receptive radius against perturbed pixels, and refusals."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from small_models import MODELS, Builder, compact

import fastsr
from fastsr import catalog, graph
from fastsr.errors import ModelError


def measured_radius(session, scale, alignment, channels=3, side=96):
    """Largest distance, in input pixels, from a perturbed pixel to a changed output pixel."""
    random = np.random.default_rng(0)
    picture = random.random((1, channels, side, side)).astype(np.float32)
    (base,) = session.run(None, {"input": picture})
    reach = 0
    for offset in range(alignment):
        at = side // 2 + offset
        changed = picture.copy()
        changed[:, :, at, at] += 10
        (made,) = session.run(None, {"input": changed})
        rows, columns = np.nonzero((made != base).any(axis=(0, 1)))
        reach = max(reach, *(int(abs(i // scale - at)) for i in (*rows, *columns)))
    return reach


@pytest.mark.parametrize("name", MODELS)
def test_radius_is_what_perturbed_pixels_show(name, tmp_path):
    network = graph.read(MODELS[name]().save(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)
    assert network.scale == int(name[-1])


@pytest.mark.parametrize("name", sorted(catalog.models()))
def test_radius_of_shipped_models(name):
    network = graph.read(catalog.find(name))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)
    assert network.name == name
    assert network.metadata["licence"]


def test_alignment_of_networks_that_go_down(tmp_path):
    assert graph.read(MODELS["downsampling-x2"]().save(tmp_path / "m.onnx")).alignment == 2
    assert graph.read(MODELS["compact-x2"]().save(tmp_path / "m.onnx")).alignment == 1


def test_radius_of_global_operators_is_unknown(tmp_path):
    b = compact()
    b.add("GlobalAveragePool")
    pooled, b.x = b.x, "input"
    b.resize(2).add("Add", pooled)
    assert graph.read(b.save(tmp_path / "m.onnx")).radius is None


def test_metadata_names_the_model(tmp_path):
    path = compact().save(tmp_path / "file.onnx", metadata={"name": "plates-x2"})
    assert graph.read(path).name == "plates-x2"
    assert graph.read(compact().save(tmp_path / "file.onnx")).name == "file"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"\x08\x08"])
def test_not_onnx(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx.*not an? (valid )?ONNX model"):
        fastsr.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx: no such model file"):
        fastsr.load(tmp_path / "gone.onnx")


def test_truncated_model(tmp_path):
    path = compact().save(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        fastsr.load(path)


def _external(tmp_path, location):
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "split.onnx"
    onnx.save_model(
        compact(channels=32).model(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    model = onnx.load_model(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save_model(model, str(path))
    return folder, path


def test_external_data_inside_its_folder_is_read(tmp_path):
    _, path = _external(tmp_path, "weights.bin")
    picture = np.random.default_rng(0).random((9, 9, 3), dtype=np.float32)
    whole = compact(channels=32).save(tmp_path / "whole.onnx")
    np.testing.assert_array_equal(fastsr.load(path).upscale(picture), fastsr.load(whole).upscale(picture))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "link.bin"])
def test_external_data_outside_its_folder_is_refused(tmp_path, location):
    folder, path = _external(tmp_path, location)
    (folder / "weights.bin").rename(tmp_path / "weights.bin")
    if location == "link.bin":
        (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(ModelError, match=r"split\.onnx.*(outside its folder|refused)"):
        fastsr.load(path)


def test_missing_external_data(tmp_path):
    folder, path = _external(tmp_path, "weights.bin")
    (folder / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"weights\.bin is missing"):
        fastsr.load(path)


def _save(tmp_path, nodes, inputs, outputs, opset=17):
    g = helper.make_graph(nodes, "g", inputs, outputs)
    path = tmp_path / "odd.onnx"
    onnx.save_model(helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def _value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def test_models_that_are_no_generators(tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    picture = ["N", 3, "H", "W"]
    cases = [
        ([_value("a", [1, 10])], [_value("b", [1, 10])], "needs N x 3 x H x W"),
        ([_value("a", ["N", 5, "H", "W"])], [_value("b", ["N", 5, "H", "W"])], "needs N x 3 x H x W"),
        ([_value("a", picture, TensorProto.INT32)], [_value("b", picture, TensorProto.INT32)], "not float"),
        ([_value("a", picture), _value("c", picture)], [_value("b", picture)], "2 inputs"),
    ]
    for inputs, outputs, message in cases:
        with pytest.raises(ModelError, match=message):
            graph.read(_save(tmp_path, nodes, inputs, outputs))


def test_channels_and_scale_must_fit(tmp_path):
    with pytest.raises(ModelError, match="3 channels in, 8 out"):
        graph.read(Builder().conv(8).save(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"0\.5 times as large"):
        graph.read(Builder().conv(3, stride=2).save(tmp_path / "m.onnx"))


def test_old_opset_is_named(tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    picture = ["N", 3, "H", "W"]
    with pytest.raises(ModelError, match="opset 9 is too old"):
        graph.read(_save(tmp_path, nodes, [_value("a", picture)], [_value("b", picture)], opset=9))
