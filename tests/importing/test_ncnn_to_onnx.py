"""ncnn's layers as ONNX: equal to what ncnn computes, with factor, border and reach; what is refused."""

import random

import numpy as np
import onnx
import pytest
from support import ncnn_networks
from support.ncnn_files import kernel, param, plain

from fastsr.errors import ModelError
from fastsr.importing import comparison, conversion, ncnn, ncnn_to_onnx
from fastsr.importing.source import NcnnSource


def convert(network, **options):
    text, weights = network.files() if not isinstance(network, tuple) else network
    made = ncnn_to_onnx.converted(ncnn.read(text, weights, "x"), "x", **options)
    onnx.checker.check_model(made.model, full_check=True)
    return made, conversion._read("x", made.model), NcnnSource("x", "x", "x", "", text, weights)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ncnn_networks.NETWORKS)
def test_it_computes_what_ncnn_does(name, half):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    made, graph, source = convert(ncnn_networks.NETWORKS[name](half))
    told = comparison.compared_with_ncnn(graph, source, made, False)
    assert told.startswith("compared with ncnn ")
    assert float(told.split("at most ")[1].split()[0]) < 2e-5


@pytest.mark.parametrize(
    ("name", "scale", "border", "radius", "alignment"),
    [
        ("esrgan", 4, 0, 7, 1),
        ("compact", 4, 0, 3, 1),
        ("cugan", 2, 5, None, 2),
        ("cunet", 1, 5, None, 2),
        ("upconv7", 2, 7, 7, 1),
        ("others", 4, 0, 7, 1),
    ],
)
def test_factor_border_and_reach(name, scale, border, radius, alignment):
    made, graph, _ = convert(ncnn_networks.NETWORKS[name]())
    assert (made.scale, made.border) == (scale, border)
    assert (graph.scale, graph.radius, graph.alignment) == (scale, radius, alignment)


def test_a_network_without_pooling_knows_its_reach():
    _, graph, _ = convert(ncnn_networks.cugan(pooled=False))
    assert graph.radius == 6


@pytest.mark.parametrize(("reduction", "scale"), [(0.5, 2), (0.75, 3)])
def test_a_last_reduction_is_left_out_and_told(reduction, scale):
    made, graph, source = convert(ncnn_networks.compact(reduction=reduction))
    assert (made.scale, made.default_scale, graph.scale) == (4, scale, 4)
    whole, _, _ = convert(ncnn_networks.compact())
    assert made.model == whole.model
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    assert "with ncnn" in comparison.compared_with_ncnn(graph, source, made, False)


def test_the_enlarged_input_is_added_where_its_program_does_it():
    plain_made, plain_graph, _ = convert(ncnn_networks.upconv7())
    made, graph, source = convert(ncnn_networks.upconv7(), plus_nearest=True)
    image = np.random.default_rng(0).random((1, 3, 8, 9), np.float32)
    without, with_it = (comparison.runner(g)(image) for g in (plain_graph, graph))
    np.testing.assert_allclose(with_it, without + image.repeat(2, 2).repeat(2, 3), atol=1e-6)
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    assert "with ncnn" in comparison.compared_with_ncnn(graph, source, made, True)
    assert plain_made.border == made.border == 7


def test_operators_are_those_that_engines_know():
    made, _, _ = convert(ncnn_networks.esrgan())
    assert {node.op_type for node in made.model.graph.node} == {"Conv", "LeakyRelu", "Concat", "Mul", "Add", "Resize"}
    resize = next(node for node in made.model.graph.node if node.op_type == "Resize")
    rules = {a.name: onnx.helper.get_attribute_value(a) for a in resize.attribute}
    assert rules["coordinate_transformation_mode"] == b"asymmetric"
    assert rules["nearest_mode"] == b"floor"
    made, _, _ = convert(ncnn_networks.compact())
    shuffle = next(node for node in made.model.graph.node if node.op_type == "DepthToSpace")
    assert onnx.helper.get_attribute_value(next(a for a in shuffle.attribute if a.name == "mode")) == b"CRD"


IN = "Input in 0 1 data"
CONV = "Convolution c 1 1 data x 0=3 1=1 5=0 6=9"
NINE = kernel(np.ones(9))


@pytest.mark.parametrize(
    ("lines", "weights", "message"),
    [
        ([IN], b"", "no layer that computes"),
        ([IN, CONV, "Noop n 1 1 data y"], NINE, "has 2 outputs"),
        ([IN, "Input b 0 1 more", "Concat c 2 1 data more x"], b"", "has 2 inputs"),
        ([IN, CONV, "Concat n 3 1 data x other y 0=0"], NINE, "reads 'other', which no layer"),
        ([IN, CONV, "Noop n 1 1 x data", "Noop m 1 1 data y"], NINE, "two layers make the tensor 'data'"),
        ([IN, CONV.replace("0=3", "0=9")], NINE, "takes 1 channels and makes 9"),
        ([IN, CONV, "PReLU p 1 1 x y 0=4"], NINE + plain(np.ones(4)), "weights for 4 channels and reads 3"),
        ([IN, CONV, "PixelShuffle p 1 1 x y 0=2"], NINE, "3 channels make no blocks"),
        ([IN, CONV, "PixelShuffle p 1 1 x y 0=99999"], NINE, "parameter 0 = 99999 is not from 1"),
        ([IN, CONV, "Interp i 1 1 x y 0=1 1=1.500000e+00 2=2"], NINE, "an Interp of this form"),
        ([IN, CONV, "Interp i 1 1 x y 0=1 3=100 4=100"], NINE, "an Interp of this form"),
        ([IN, CONV, "Interp i 1 1 x y 0=1 1=1.500000e+00 2=1.500000e+00"], NINE, "1.5 times as large"),
        ([IN, CONV, "Pooling p 1 1 x y 0=1 1=2"], NINE, "only pooling of whole images"),
        ([IN, CONV, "Pooling p 1 1 x y 0=1 4=1"], NINE, "makes images 0 times"),
        ([IN, CONV, "Concat p 1 1 x y 0=1"], NINE, "only channels are converted"),
        ([IN, CONV, "BinaryOp p 1 1 x y 0=99 1=1"], NINE, "BinaryOp of kind 99"),
        ([IN, CONV, "BinaryOp p 1 1 x y 0=1"], NINE, "reads 1 tensors and makes 1"),
        ([IN, CONV, "Eltwise p 1 1 x y 0=9"], NINE, "Eltwise of kind 9"),
        ([IN, CONV, "Crop p 1 1 x y 0=1"], NINE, "a Crop of this form"),
        ([IN, CONV, "Padding p 1 1 x y 0=1 4=7"], NINE, "a Padding of this form"),
        ([IN, CONV, "Padding p 1 1 x y 0=1 1=1 2=1 3=1"], NINE, "2 pixels more than"),
        ([IN, CONV, "InnerProduct p 1 1 x y 0=3 2=9"], NINE + NINE, "InnerProduct of a whole image"),
        ([IN, CONV + " 9=6"], NINE, "activation 6"),
        ([IN, CONV + " 8=2"], NINE, "8-bit or computed weights"),
        ([IN, CONV + " 18=1.000000e+00"], NINE, "pads with 1"),
        ([IN, CONV.replace("1=1", "1=2")], NINE, "do not fit its kernel"),
        ([IN, CONV.replace("1=1", "1=0")], NINE, "parameter 1 = 0"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_is_no_generator_is_refused_and_named(lines, weights, message):
    text = param(*lines)
    with pytest.raises(ModelError, match=message) as caught:
        ncnn_to_onnx.converted(ncnn.read(text, weights, "some.param"), "some.param")
    assert str(caught.value).startswith("some.param: ")


def test_mutated_files_raise_nothing_but_model_errors():
    draw = random.Random(0)
    sources = [network().files() for network in ncnn_networks.NETWORKS.values()]
    refused = kept = 0
    for _ in range(250):
        text, weights = draw.choice(sources)
        changed = bytearray(text)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(8, len(changed))
            changed[at : at + draw.randint(0, 2)] = draw.choice((b"0", b"1", b"-", b"=", b" ", b"9", b"2=", b"233"))
        try:
            made = ncnn_to_onnx.converted(ncnn.read(bytes(changed), weights, "x"), "x")
            conversion._read("x", made.model)
            kept += 1
        except ModelError:
            refused += 1
    assert refused > 100
    assert kept > 5


def test_extents_are_exact():
    """A chain that leaves out pixels unevenly is refused, not rounded."""
    network = ncnn_networks.Network()
    x = network.conv("data", 3, 3, 3, more="4=0 3=2")
    network.deconv(x, 3, 3, 2, more="3=2")
    with pytest.raises(ModelError, match="times the image"):
        convert(network)
