"""Reading ONNX files: scale, receptive radius against perturbed pixels, and refusals."""

import math
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.native_networks import NATIVE
from support.small_models import MODELS, Builder, compact

import fastsr
from fastsr.errors import ModelError
from fastsr.network import catalog, graph, onnx_reader, receptive_field


def measured_radius(session, scale, alignment, channels=3, side=96):
    """Largest distance, in input pixels, from a perturbed pixel to a changed output pixel."""
    random = np.random.default_rng(0)
    image = random.random((1, channels, side, side)).astype(np.float32)
    (base,) = session.run(None, {"input": image})
    reach = 0
    for offset in range(alignment):
        at = side // 2 + offset
        changed = image.copy()
        changed[:, :, at, at] += 10
        (made,) = session.run(None, {"input": changed})
        rows, columns = np.nonzero((made != base).any(axis=(0, 1)))
        reach = max(reach, *(int(abs(i // scale - at)) for i in (*rows, *columns)))
    return reach


@pytest.mark.parametrize("name", MODELS)
def test_radius_is_what_perturbed_pixels_show(name, tmp_path):
    network = onnx_reader.read(MODELS[name]().save(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)
    assert network.scale == int(name[-1])


@pytest.mark.parametrize("name", ["functions-x4", "gates-x1", "normalized-x2", "constants-x1", "sliced-x2"])
def test_radius_of_functions_and_normalizations(name, tmp_path):
    """Over channels alone: a pixel's mean is its own."""
    network = onnx_reader.read(NATIVE[name]().save(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)
    assert network.scale == int(name[-1])


def over(axes, **rules):
    b = compact()
    x = b.x
    b.add("ReduceMean", axes=axes, **rules)
    return b.both("Sub", x, b.x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: over([2, 3]),
        lambda: over([1, 2]),
        lambda: over([2]),
        lambda: over([-1]),
        lambda: compact().transposed_axes(0, 1, 3, 2).transposed_axes(0, 1, 3, 2),
        lambda: compact().transposed_axes(0, 2, 3, 1).conv(2).transposed_axes(0, 3, 1, 2),
    ],
)
def test_radius_of_means_over_the_image_is_unknown(make, tmp_path):
    assert onnx_reader.read(make().save(tmp_path / "m.onnx")).radius is None


@pytest.mark.parametrize("name", sorted(catalog.models()))
def test_radius_of_shipped_models(name):
    network = onnx_reader.read(catalog.find(name))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)
    assert network.name == name
    assert network.metadata["licence"]


def test_alignment_of_networks_that_go_down(tmp_path):
    assert onnx_reader.read(MODELS["downsampling-x2"]().save(tmp_path / "m.onnx")).alignment == 2
    assert onnx_reader.read(MODELS["compact-x2"]().save(tmp_path / "m.onnx")).alignment == 1


def test_radius_of_global_operators_is_unknown(tmp_path):
    b = compact()
    b.add("GlobalAveragePool")
    pooled, b.x = b.x, "input"
    b.resize(2).add("Add", pooled)
    assert onnx_reader.read(b.save(tmp_path / "m.onnx")).radius is None


def test_metadata_names_the_model(tmp_path):
    path = compact().save(tmp_path / "file.onnx", metadata={"name": "plates-x2"})
    assert onnx_reader.read(path).name == "plates-x2"
    assert onnx_reader.read(compact().save(tmp_path / "file.onnx")).name == "file"


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
    image = np.random.default_rng(0).random((9, 9, 3), dtype=np.float32)
    whole = compact(channels=32).save(tmp_path / "whole.onnx")
    np.testing.assert_array_equal(fastsr.load(path).upscale(image), fastsr.load(whole).upscale(image))


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
    image = ["N", 3, "H", "W"]
    cases = [
        ([_value("a", [1, 10])], [_value("b", [1, 10])], "needs N x 3 x H x W"),
        ([_value("a", ["N", 5, "H", "W"])], [_value("b", ["N", 5, "H", "W"])], "needs N x 3 x H x W"),
        ([_value("a", image, TensorProto.INT32)], [_value("b", image, TensorProto.INT32)], "not float"),
        ([_value("a", image), _value("c", image)], [_value("b", image)], "2 inputs"),
    ]
    for inputs, outputs, message in cases:
        with pytest.raises(ModelError, match=message):
            onnx_reader.read(_save(tmp_path, nodes, inputs, outputs))


def test_channels_and_scale_must_fit(tmp_path):
    with pytest.raises(ModelError, match="3 channels in, 8 out"):
        onnx_reader.read(Builder().conv(8).save(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match=r"0\.5 times as large"):
        onnx_reader.read(Builder().conv(3, stride=2).save(tmp_path / "m.onnx"))


def test_old_opset_is_named(tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    image = ["N", 3, "H", "W"]
    with pytest.raises(ModelError, match="opset 9 is too old; export it with opset 11 or newer"):
        onnx_reader.read(_save(tmp_path, nodes, [_value("a", image)], [_value("b", image)], opset=9))


def _convolved(b, out, kernel=3, **rules):
    """A convolution without the padding that Builder.conv gives."""
    weight = b.random.standard_normal((out, b.deep, kernel, kernel)).astype(np.float32) / (b.deep * kernel**2) ** 0.5
    b.deep = out
    return b.add("Conv", b.weight(weight), kernel_shape=[kernel] * 2, **rules)


def _padded_on_one_side():
    """Same-padding with a stride pads less than without; a one-sided convolution after it shows by how much."""
    b = _convolved(Builder(), 12, strides=[2, 2], auto_pad="SAME_UPPER")
    return _convolved(b, 12, pads=[0, 0, 2, 2]).shuffle(2)


def _padded_along_axes():
    b = Builder().conv(3)
    b.add("Pad", b.weight(np.array([2, 0, 0, 2])), "", b.weight(np.array([2, -1])), mode="edge")
    return _convolved(b, 3)


def _cropped():
    """Convolutions that pad nothing, a border that makes up for them and one-sided crops."""
    b = Builder().pad(5, 3, 1, 4, "reflect").conv(8, pads=[0] * 4).conv(8, 5, pads=[0] * 4)
    starts, ends, axes = ([0, 2], [-1, 2**62], [2, -1])
    b.add("Slice", *(b.weight(np.array(values)) for values in (starts, ends, axes)))
    return b.pad(1, 1, 0, 0).conv(3)


def _split_unevenly():
    b = Builder().conv(8)
    b.nodes.append(helper.make_node("Split", [b.x, b.weight(np.array([3, 5]))], ["s0", "s1"], axis=1))
    b.x, b.deep = "s0", 3
    return b.add("Relu")


def _quantized():
    b = Builder()
    for out in (8, 12):
        weight = b.random.integers(-50, 50, (out, b.deep, 3, 3)).astype(np.int8)
        names = [b.weight(weight), b.weight(np.float32(0.01)), b.weight(np.int8(0))]
        b.nodes.append(helper.make_node("DequantizeLinear", names, [f"kernel{out}"]))
        b.add("Conv", f"kernel{out}", pads=[1] * 4)
        b.deep = out
    return b.shuffle(2)


@pytest.mark.parametrize("make", [_padded_on_one_side, _padded_along_axes, _cropped, _split_unevenly, _quantized])
def test_radius_of_unusual_operators(make, tmp_path):
    network = onnx_reader.read(make().save(tmp_path / "m.onnx", opset=19))
    session = onnxruntime.InferenceSession(network.serialized)
    assert network.radius == measured_radius(session, network.scale, network.alignment)


def _resized(factor, mode, **rules):
    return lambda: Builder().conv(3).resize(factor, mode, **rules)


class _Resizing(receptive_field.Walk):
    """A walk whose resizing operators have one factor."""

    def __init__(self, factor):
        self._resize_factor = lambda node: factor


@pytest.mark.parametrize("factor", [Fraction(*f) for f in ((1, 1), (3, 1), (1, 2), (3, 2), (5, 7), (64, 1), (1, 64))])
@pytest.mark.parametrize("place", ["asymmetric", "half_pixel"])
@pytest.mark.parametrize("interval", [(-7, -3), (0, 0), (1, 5), (13, 64)])
def test_places_in_whole_numbers_are_those_of_fractions(factor, place, interval):
    half = Fraction(1, 2)
    low, high = (i / factor if place == "asymmetric" else (i + half) / factor - half for i in interval)
    rounded = {
        "floor": (math.floor(low), math.floor(high)),
        "ceil": (math.ceil(low), math.ceil(high)),
        "round_prefer_floor": (math.ceil(low - half), math.ceil(high - half)),
        "round_prefer_ceil": (math.floor(low + half), math.floor(high + half)),
    }
    cases = [({"mode": "nearest", "nearest_mode": mode}, expected) for mode, expected in rounded.items()]
    for mode, antialias in (("linear", 0), ("linear", 1), ("cubic", 0), ("cubic", 1)):
        reach = Fraction(1 if mode == "linear" else 2) / (min(factor, 1) if antialias else 1)
        expected = math.floor(low - reach) + 1, math.ceil(high + reach) - 1
        cases.append(({"mode": mode, "antialias": antialias}, expected))
    for rules, expected in cases:
        node = graph.Node("Resize", ("x",), ("y",), {**rules, "coordinate_transformation_mode": place})
        assert _Resizing(factor)._through_resize(node, interval) == expected


def _wrapped():
    b = Builder().conv(3)
    return _convolved(b.add("Pad", b.weight(np.array([0, 0, 1, 1, 0, 0, 1, 1])), mode="wrap"), 3)


def _split_across():
    b = Builder().conv(3)
    b.nodes.append(helper.make_node("Split", [b.x], ["s0", "s1"], axis=3))
    b.x = "s0"
    return b.add("Relu")


def _branching():
    """An If whose branches read the image without naming it as an input."""
    b = Builder().conv(3)
    branches = [
        helper.make_graph([helper.make_node(op, ["input"], [op])], op, [], [helper.make_tensor_value_info(op, 1, None)])
        for op in ("GlobalAveragePool", "GlobalMaxPool")
    ]
    inputs = [b.weight(np.array(True))]
    b.nodes.append(helper.make_node("If", inputs, ["chosen"], then_branch=branches[0], else_branch=branches[1]))
    return b.add("Add", "chosen")


def _cut(start, end, axis, *step):
    """A Slice whose size the image's decides, or of every second row."""
    return lambda: (b := Builder().conv(3)).add("Slice", *(b.weight(np.array([v])) for v in (start, end, axis, *step)))


@pytest.mark.parametrize(
    "make",
    [
        _wrapped,
        _cut(-5, 2**62, 2),
        _cut(0, 30, 3),
        _cut(0, 2**62, 2, 2),
        _split_across,
        _branching,
        _resized(2, "linear", coordinate_transformation_mode="align_corners"),
        _resized(3, "linear", coordinate_transformation_mode="half_pixel"),
    ],
)
def test_reach_that_operators_do_not_tell_is_unknown(make, tmp_path):
    assert onnx_reader.read(make().save(tmp_path / "m.onnx", opset=19)).radius is None


def test_operands_that_differ_from_pixel_to_pixel_have_no_radius(tmp_path):
    b = Builder().conv(3)
    b.add("Add", b.weight(b.random.random((1, 3, 32, 32)).astype(np.float32)))
    assert onnx_reader.read(b.save(tmp_path / "m.onnx", height=32, width=32)).radius is None
    b = Builder().conv(3)
    b.add("Add", b.weight(b.random.random((1, 3, 1, 1)).astype(np.float32)))
    assert onnx_reader.read(b.save(tmp_path / "m.onnx")).radius == 1


def test_an_operator_of_the_models_own_is_not_taken_for_a_standard_one(tmp_path):
    model = Builder().conv(3).add("Relu").conv(3).model()
    model.graph.node[1].domain = "own"
    model.opset_import.append(helper.make_opsetid("own", 1))
    body = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Add", ["x", "p"], ["y"])]
    model.functions.append(helper.make_function("own", "Relu", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    assert onnx_reader.read(tmp_path / "m.onnx").radius is None


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: _convolved(Builder(), 3, strides=[0, 0]), {}, r"strides \[0, 0\]"),
        (lambda: Builder().conv(3).add("DepthToSpace", blocksize=0), {}, "a blocksize of 0 for 3 channels"),
        (lambda: Builder().transposed(3, kernel=100, stride=100), {}, "100 times as large; fastsr takes at most 64"),
        (lambda: Builder().conv(3), {"height": 32}, "fixes only one of height and width"),
        (lambda: Builder().conv(3).add("Cast", to=TensorProto.UINT8), {}, "its output is not float"),
    ],
)
def test_odd_models_are_named(make, options, message, tmp_path):
    model = make().model(**options)
    if "not float" in message:
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save_model(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(ModelError, match=rf"odd\.onnx.*{message}"):
        onnx_reader.read(tmp_path / "odd.onnx")


def test_fixed_batches_are_refused(tmp_path):
    model = compact().model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="takes 4 images at once"):
        onnx_reader.read(tmp_path / "m.onnx")


def test_external_data_does_not_switch_the_checks_off(tmp_path):
    _, path = _external(tmp_path, "weights.bin")
    model = onnx.load_model(str(path), load_external_data=False)
    model.graph.node.add().CopyFrom(model.graph.node[0])
    del model.graph.node[0]
    onnx.save_model(model, str(path))
    with pytest.raises(ModelError, match=r"split\.onnx: not a valid ONNX model"):
        onnx_reader.read(path)


def test_external_data_inside_branches_is_refused_too(tmp_path):
    model = _branching().model()
    branch = model.graph.node[1].attribute[0].g
    tensor = branch.initializer.add(name="secret", dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.bin")
    onnx.save_model(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="outside its folder"):
        onnx_reader.read(tmp_path / "m.onnx")
