"""Convolutions of every form: strides, transposition, dilation, even kernels, pads and borders of any size and kind."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.native_networks import frame_of
from support.small_models import Builder

from fastsr.engines.native.convolution_forms import in_plain_forms, pads
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.native.lowering import lower, unsupported
from fastsr.engines.native.program import Conv, Pad, SpaceToDepth
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError
from fastsr.network import onnx_reader
from fastsr.network.graph import Node


def read(builder):
    with tempfile.TemporaryDirectory() as folder:
        return onnx_reader.read(builder.save(Path(folder) / "m.onnx"))


def kinds(builder):
    return [type(step) for step in lower(read(builder), "fp32").steps]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_form_agrees_with_onnx_runtime_in_any_cut(data):
    """A convolution with strides, a transposed one back, and a border that makes up for what both have lost."""
    stride = data.draw(st.integers(1, 4))
    kernel, back, apart = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
    around, cut = ([data.draw(st.integers(0, most)) for _ in range(4)] for most in (4, 3))
    extra = [data.draw(st.integers(0, stride - 1)) for _ in range(2)]
    channels = data.draw(st.sampled_from((4, 28)))
    b = Builder(3, data.draw(st.integers(0, 100))).conv(channels, kernel, apart, stride, pads=around)
    b.transposed(channels, back, stride, pads=cut, output_padding=extra).scaled(4)
    missing = []
    for axis in (0, 1):
        lost = (around[axis] + around[axis + 2] - (kernel - 1) * apart - 1) // stride  # rows or columns, less one
        missing.append(-(lost * stride + back - cut[axis] - cut[axis + 2] + extra[axis]))
    border = data.draw(st.sampled_from(("constant", "edge", "reflect")))
    before = [data.draw(st.integers(-3, 3)) for _ in range(2)]
    b.pad(*before, missing[0] - before[0], missing[1] - before[1], border).conv(3)
    network = read(b)
    size = [stride * data.draw(st.integers(40 // stride, 60 // stride)) for _ in range(2)]
    frame = frame_of(data.draw(st.integers(0, 100)), *size, dtype=np.float32)
    engine = NativeEngine(network, "fp32", None)
    made = engine.run(frame)
    np.testing.assert_allclose(made, OnnxRuntimeEngine(network, "fp32", None).run(frame), atol=1e-5)
    np.testing.assert_array_equal(engine._program.run(frame, data.draw(st.integers(1, 40))), made)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_groups_agree_with_onnx_runtime_in_any_cut(data):
    """A convolution in groups, depthwise ones too, behind zeros; with strides a transposed one in groups follows."""
    groups, back = data.draw(st.sampled_from((1, 2, 3, 8, 20))), data.draw(st.sampled_from((1, 2, 4, 5)))
    each, out = data.draw(st.sampled_from((1, 1, 2, 5))), data.draw(st.sampled_from((1, 1, 3)))
    size, apart = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 2))
    reach = (size - 1) * apart
    above, left = data.draw(st.integers(0, reach)), data.draw(st.integers(0, reach))
    zeros = data.draw(st.sampled_from(((0, 0, 0, 0), (1, 2, 1, 0))))
    strided = data.draw(st.booleans())
    b = Builder(3, data.draw(st.integers(0, 100))).conv(groups * each).add("Relu").pad(*zeros)
    pads = [above, left, reach - above, reach - left]
    b.conv(groups * out, size, apart, 2 if strided else 1, group=groups, pads=pads)
    if strided:
        b.conv(20, 1).transposed(back * 2, 2, group=back).scaled(4)
    network = read(b.pad(*(-n for n in zeros)).conv(3))
    frame = frame_of(data.draw(st.integers(0, 100)), 24, 38, dtype=np.float32)
    engine = NativeEngine(network, "fp32", None)
    made = engine.run(frame)
    np.testing.assert_allclose(made, OnnxRuntimeEngine(network, "fp32", None).run(frame), atol=1e-5)
    np.testing.assert_array_equal(engine._program.run(frame, data.draw(st.integers(1, 40))), made)


def test_groups_are_convolutions_of_their_own():
    """Small ones together, so that the vectors of channels are full; depthwise ones at once, strides or not."""
    assert kinds(Builder().conv(64).conv(64, group=2).conv(3)) == [Conv] * 4
    assert kinds(Builder().conv(64).conv(64, group=16).conv(3)) == [Conv] * 6
    assert kinds(Builder().conv(64).conv(64, group=64).conv(3)) == [Conv] * 3
    program = lower(read(Builder().conv(8).conv(8, group=8, stride=2).conv(3).transposed(3)), "fp32")
    assert [getattr(step, "depthwise", None) for step in program.steps] == [False, True, None, False, False]


def test_what_pads_can_say_is_no_step():
    """Zeros around what convolutions read, and rows that are cut off it, where those pad nothing."""
    assert kinds(Builder().pad(1, 1, 1, 1).conv(8, pads=[0] * 4).conv(3)) == [Conv] * 2
    assert kinds(Builder().conv(8).pad(2, 2, 2, 2).pad(-1, -1, -1, -1).conv(3, pads=[0] * 4)) == [Conv] * 2
    assert kinds(Builder().conv(8).pad(-1, -1, -1, -1).conv(3, pads=[2] * 4)) == [Conv, Pad, Conv]
    assert kinds(Builder().pad(1, 1, 1, 1, "edge").conv(3, pads=[0] * 4)) == [Pad, Conv]
    assert kinds(Builder().conv(8, stride=2).transposed(3)) == [Conv, Conv]  # the load makes blocks


def test_blocks_of_pixels_are_made_once():
    b = Builder().conv(8)
    first = b.x
    b.conv(4, stride=2)
    left, b.x, b.deep = b.x, first, 8
    b.conv(4, 5, stride=2).add("Add", left).transposed(3)
    assert kinds(b) == [Conv, SpaceToDepth, Conv, Conv, Conv]


def test_pads_of_every_rule():
    def of(rule, **attributes):
        return pads(Node("Conv", (), (), {"auto_pad": rule, **attributes}), (3, 4))

    assert of("NOTSET", pads=(1, 2, 3, 4)) == (1, 2, 3, 4)
    assert of("VALID") == of("NOTSET") == (0, 0, 0, 0)
    assert of("SAME_UPPER") == (1, 1, 1, 2)
    assert of("SAME_LOWER") == (1, 2, 1, 1)
    assert of("SAME_UPPER", strides=(2, 2)) is None  # the image's size decides


def test_a_plain_network_stays_as_it_is():
    network = read(Builder().conv(8).conv(3))
    assert in_plain_forms(network, "fp32") is network


def test_images_of_which_nothing_is_left_are_refused():
    """ONNX Runtime fails on them too."""
    network = read(Builder().conv(8, 5, pads=[0] * 4).conv(3, 5, pads=[4] * 4))
    engine = NativeEngine(network, "fp32", None)
    with pytest.raises(EngineError, match=r"20x4 pixels are too few for its borders; it takes 5 at least"):
        engine.run(frame_of(0, 4, 20))
    assert engine.run(frame_of(0, 5, 20)).shape == (5, 20, 3)


def test_outputs_of_another_size_are_refused():
    network = read(Builder().conv(3, pads=[0] * 4))
    with pytest.raises(EngineError, match="its output has 2 rows and 2 columns too few"):
        NativeEngine(network, "fp32", None)


@pytest.mark.parametrize("form", ["transposed", "strided", "grouped"])
def test_a_bias_that_is_computed_is_refused(form):
    builder = {
        "transposed": lambda: Builder().conv(8).transposed(3),
        "strided": lambda: Builder().conv(8, stride=2, pads=[0] * 4).transposed(3),
        "grouped": lambda: Builder().conv(8).conv(8, group=2).conv(3),
    }[form]()
    network = read(builder)
    nodes = [
        dataclasses.replace(node, inputs=(*node.inputs[:2], network.nodes[0].outputs[0]))
        if index and "Conv" in node.op
        else node
        for index, node in enumerate(network.nodes)
    ]
    assert unsupported(dataclasses.replace(network, nodes=nodes)) is not None


def test_the_range_of_what_is_padded_is_kept():
    """int8 reads blocks and what pads say with the scale of the tensor that they are made of."""
    network = read(Builder().conv(8).add("Relu").pad(1, 1, 1, 1).conv(8, stride=2, pads=[0] * 4).transposed(3))
    padded = next(node for node in network.nodes if node.op == "Pad").outputs[0]
    ranged = dataclasses.replace(network, metadata={"ranges": f'{{"{padded}": [0.0, 2.0]}}'})
    program = lower(ranged, "int8")
    assert [s.kernel.dtype == np.int8 for s in program.steps if isinstance(s, Conv)] == [False, True, False]
