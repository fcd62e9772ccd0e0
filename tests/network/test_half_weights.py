"""Weights stored as half floats are read as the float32 ones that they stand for, here and by other runtimes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from support.small_models import compact

import fastsr
from fastsr.network import half_weights, onnx_reader
from fastsr.network.onnx_messages import FLOAT, FLOAT16


@pytest.fixture
def stored(tmp_path):
    """A small model as floats, and the same with its weights as halves."""
    plain = compact(2, 4, 2, seed=5).save(tmp_path / "plain.onnx")
    model = onnx.load_model(str(plain))
    half_weights.halved(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(tmp_path / "half.onnx"))
    return plain, tmp_path / "half.onnx"


def test_the_convolutions_weights_alone_are_halves(stored):
    model = onnx.load_model(str(stored[1]))
    for tensor in model.graph.initializer:
        assert tensor.data_type == (FLOAT16 if len(tensor.dims) == 4 else FLOAT)
    assert {n.output[0] for n in model.graph.node if n.op_type == "Cast"} == {
        name for name, value in onnx_reader.read(stored[0]).weights.items() if value.ndim == 4
    }


def test_read_back_they_are_rounded_and_nothing_else_has_changed(stored):
    plain, half = (onnx_reader.read(path) for path in stored)
    assert half.nodes == plain.nodes
    assert half.weights.keys() == plain.weights.keys()
    for name, value in plain.weights.items():
        expected = half_weights.rounded(value) if value.ndim == 4 else value
        np.testing.assert_array_equal(half.weights[name], expected)
    assert "Cast" not in {n.op_type for n in onnx.load_model_from_string(half.serialized).graph.node}


@pytest.mark.parametrize("as_stored", [False, True])
def test_the_file_is_the_model_in_onnx_runtime_too(stored, as_stored):
    x = np.random.default_rng(0).random((1, 3, 9, 14), np.float32)
    made = []
    for content in (stored[1].read_bytes(), onnx_reader.read(stored[1], as_stored).serialized):
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        made.append(session.run(None, {"input": x})[0])
    np.testing.assert_array_equal(*made)
    ours = fastsr.load(stored[1], "cpu", "fp32", "cpu").upscale(np.moveaxis(x[0], 0, 2))
    assert np.abs(ours - np.clip(np.moveaxis(made[0][0], 0, 2), 0, 1)).max() < 1e-5


def test_halving_again_changes_nothing(stored):
    model = onnx.load_model(str(stored[1]))
    before = model.SerializeToString()
    assert half_weights.widened(model)
    assert not half_weights.widened(model)
    half_weights.halved(model)
    assert model.SerializeToString() == before


def test_weights_that_halves_cannot_hold_stay_floats(tmp_path):
    model = onnx.load_model(str(compact(2, 4, 1, seed=5).save(tmp_path / "m.onnx")))
    weights = [t for t in model.graph.initializer if len(t.dims) == 4]
    large = onnx.numpy_helper.to_array(weights[0]) * np.float32(1e7)
    weights[0].CopyFrom(onnx.numpy_helper.from_array(large, weights[0].name))
    half_weights.halved(model)
    kept = {t.name: t for t in model.graph.initializer}
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kept[weights[0].name]), large)
    assert sum(t.data_type == FLOAT16 for t in kept.values()) == len(weights) - 1


def test_a_cast_of_ones_own_is_left_alone(tmp_path):
    """It is read by the way that half models of other projects are."""
    model = onnx.load_model(str(compact(2, 4, 1, seed=5).save(tmp_path / "m.onnx")))
    half_weights.halved(model)
    for node in model.graph.node:
        if node.op_type == "Cast":
            for tensor in model.graph.initializer:
                if tensor.name == node.input[0]:
                    tensor.name = node.input[0] = node.output[0] + ".fp16"
    assert not half_weights.widened(model)
    onnx.save_model(model, str(tmp_path / "other.onnx"))
    assert onnx_reader.read(tmp_path / "other.onnx").scale == 2
