"""Equalization: the same bits in float, channels of like size, smaller errors in int8, and what has no factors."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from support.small_models import Builder, compact, gated, rrdb

from fastsr.engines.native.engine import NativeEngine
from fastsr.network import onnx_reader, quantization
from fastsr.network.graph import RANGES
from training.release import equalization

PIXELS = np.random.default_rng(2).integers(0, 256, (24, 28, 3), np.uint8)


def beside_the_input():
    b = Builder(3).conv(8).add("LeakyRelu", alpha=0.2)
    return b.concat((b.x, 8), ("input", 3)).conv(16).add("Relu").conv(12).shuffle(2)


def values_of(network, names):
    """What the network makes of PIXELS, tensor by tensor."""
    model = onnx.load_model_from_string(network.serialized)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = session.run(names, {network.input: (PIXELS.transpose(2, 0, 1)[None] / 255).astype(np.float32)})
    return dict(zip(names, made, strict=True))


def measured(network):
    """Tensors that convolutions read, in parts, and the largest magnitude of each channel."""
    read = [name for name in quantization.inputs(network) if name != network.input]
    values = values_of(network, list(equalization.rings(network, read)))
    return values, {name: np.abs(v).max(axis=(0, 2, 3)).astype(np.float64) for name, v in values.items()}


def ranged(network):
    """The network with the extremes of all tensors as ranges."""
    read = [name for name in quantization.inputs(network) if name != network.input]
    values = values_of(network, read)
    ranges = {name: (min(0.0, float(v.min())), max(0.0, float(v.max()))) for name, v in values.items()}
    return dataclasses.replace(network, metadata={RANGES: json.dumps({network.input: (0, 1), **ranges})})


def uneven(path):
    """An RRDB whose dense layers' outputs differ as those of trained ones do."""
    network = onnx_reader.read(rrdb(16, 8, 1).save(path))
    weights, draws = dict(network.weights), np.random.default_rng(5)
    model = onnx.load_model_from_string(network.serialized)
    stored = {w.name: w for w in model.graph.initializer}
    for node in network.nodes:
        if node.op == "Conv" and len(weights[node.inputs[1]]) == 8:  # as wide as the dense blocks grow
            larger = np.exp2(draws.uniform(-4, 4, 8)).astype(np.float32)
            for name in node.inputs[1:]:
                weights[name] = (weights[name].T * larger).T
                stored[name].CopyFrom(onnx.numpy_helper.from_array(weights[name], name))
    return dataclasses.replace(network, weights=weights, serialized=model.SerializeToString())


@pytest.mark.parametrize("make", [lambda: rrdb(16, 8, 1), lambda: gated(16, 2), beside_the_input])
def test_floats_keep_their_bits(make, tmp_path):
    network = onnx_reader.read(make().save(tmp_path / "m.onnx"))
    made, factors = equalization.equalized(network, measured(network)[1])
    for values in factors.values():
        np.testing.assert_array_equal(np.exp2(np.rint(np.log2(values))), values)
    exact, again = (NativeEngine(n, "fp32", None).run(PIXELS.astype(np.float32) / 255) for n in (network, made))
    np.testing.assert_array_equal(exact, again)


def test_channels_of_a_ring_are_about_equally_large(tmp_path):
    network = uneven(tmp_path / "m.onnx")
    values, peaks = measured(network)
    made, factors = equalization.equalized(network, peaks)
    after, now = measured(made)
    for name, old in values.items():
        np.testing.assert_array_equal(after[name], old * factors[name][:, None, None])
    grown = [name for name in peaks if len(peaks[name]) == 8]
    rings = equalization.rings(network, [n for n in quantization.inputs(network) if n != network.input])
    assert len(grown) == 12
    for name in grown:
        most = max(now[n].max() for n in rings[name] if n not in grown)
        assert (now[name] <= most).all()
        assert (now[name] > most / 2).all()


def test_int8_is_nearer(tmp_path):
    network = uneven(tmp_path / "m.onnx")
    made, _ = equalization.equalized(network, measured(network)[1])
    pixels = PIXELS.astype(np.float32) / 255
    exact = NativeEngine(network, "fp32", None).run(pixels)
    before, after = (
        np.square(NativeEngine(ranged(n), "int8", None).run(pixels) - exact).mean() for n in (network, made)
    )
    assert after < before / 4


def test_networks_without_concatenations_stay_as_they_are(tmp_path):
    network = onnx_reader.read(compact(2).save(tmp_path / "m.onnx"))
    made, factors = equalization.equalized(network, measured(network)[1])
    assert made is network
    assert all((values == 1).all() for values in factors.values())
