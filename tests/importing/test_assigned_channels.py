"""Assignments to channels, as exporters write them for one size, in operators that fit any."""

import numpy as np
import onnx
import onnxruntime
import pytest
from support.small_models import Builder

from fastsr.engines.native.lowering import unsupported
from fastsr.importing import simplification
from fastsr.network import onnx_reader

HEIGHT, WIDTH = 6, 7


def assigned(channels, indices=None, **rules):
    """A network of 12 channels, some of which are convolved and assigned."""
    b = Builder(3).conv(12)
    whole, at = b.x, list(channels)
    b.sliced(at[0], at[-1] + 1).conv(len(at))
    made, b.x, b.deep = b.x, whole, 12
    places = np.array([[[0, c] for c in at]] if indices is None else indices, np.int64)
    return b.add("ScatterND", b.weight(places), made, **rules).conv(3)


def run(model, image):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": image})[0]


@pytest.mark.parametrize("channels", [range(5), range(3, 9), range(4, 12), range(12)])
def test_a_run_of_channels_is_joined_with_the_others(channels, tmp_path):
    model = assigned(channels).model(HEIGHT, WIDTH)
    made = simplification.for_any_size(simplification.simplified(model))
    assert "ScatterND" not in {node.op_type for node in made.graph.node}
    random = np.random.default_rng(0)
    image = random.random((1, 3, HEIGHT, WIDTH), np.float32)
    np.testing.assert_array_equal(run(made, image), run(model, image))
    onnx.save(made, tmp_path / "m.onnx")
    network = onnx_reader.read(tmp_path / "m.onnx")
    assert unsupported(network) is None
    assert network.radius == 3
    assert run(made, random.random((2, 3, 9, 11), np.float32)).shape == (2, 3, 9, 11)


@pytest.mark.parametrize(
    ("indices", "rules"),
    [
        (None, {"reduction": "add"}),
        ([[[0, 1], [0, 0], [0, 2], [0, 3], [0, 4]]], {}),  # another order
        ([[[0, 0], [0, 2], [0, 4], [0, 6], [0, 8]]], {}),
    ],
)
def test_other_assignments_stay(indices, rules):
    model = assigned(range(5), indices, **rules).model(HEIGHT, WIDTH)
    made = simplification.simplified(model)
    assert "ScatterND" in {node.op_type for node in made.graph.node}
    image = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), np.float32)
    np.testing.assert_array_equal(run(made, image), run(model, image))
