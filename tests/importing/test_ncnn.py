"""Reading ncnn's files: weights in both precisions, parameters, and what is said of files that are damaged."""

import random

import numpy as np
import pytest
from support.ncnn_files import kernel, param, plain

from fastsr.errors import ModelError
from fastsr.importing import ncnn

CONVOLUTION = "Convolution Conv_0 1 1 data c 0=2 1=1 4=0 5=1 6=6 9=2 -23310=1,2.000000e-01"


@pytest.mark.parametrize("half", [False, True])
def test_weights_are_read_in_the_order_of_the_layers(half):
    text = param("Input in 0 1 data", CONVOLUTION, "PReLU act 1 1 c out 0=2")
    values = [0.5, -1.0, 2.0, 0.25, 8.0, -0.125]
    layers = ncnn.read(text, kernel(values, half) + plain([1, 2]) + plain([3, 4]), "x")
    assert [layer.kind for layer in layers] == ["Input", "Convolution", "PReLU"]
    assert layers[1].inputs == ("data",)
    assert layers[1].outputs == ("c",)
    np.testing.assert_array_equal(layers[1].weights[0], np.float32(values))
    np.testing.assert_array_equal(layers[1].weights[1], [1, 2])
    np.testing.assert_array_equal(layers[2].weights[0], [3, 4])
    assert ncnn.activation(layers[1]) == ("leaky", pytest.approx(0.2))


def test_halves_are_filled_up_to_four_bytes():
    text = param("Input in 0 1 data", "Convolution c 1 1 data o 0=1 5=0 6=3", "PReLU p 1 1 o out 0=1")
    layers = ncnn.read(text, kernel([1, 2, 3], half=True) + plain([7]), "x")
    np.testing.assert_array_equal(layers[1].weights[0], [1, 2, 3])
    np.testing.assert_array_equal(layers[2].weights[0], [7])


def test_lists_and_numbers_of_parameters():
    layer = ncnn.read(param("Eltwise e 0 0 0=1 -23301=2,2.000000e-01,1"), b"", "x")[0]
    assert layer.parameters == {0: 1, 1: (0.2, 1)}
    assert layer.whole(5, 7) == 7
    with pytest.raises(ModelError, match="must be one number"):
        layer.number(1)


GOOD = kernel([1, 2, 3, 4, 5, 6]) + plain([1, 2])


@pytest.mark.parametrize(
    ("text", "weights", "message"),
    [
        (b"\xff\xfe\x00", b"", "not text"),
        (b"hello\n", b"", "begins with 'hello'"),
        (b"7767517\n", b"", "counts of layers"),
        (param(CONVOLUTION) + b"Input a 0 1 b\n", GOOD, "says 1 layers and has 2"),
        (param("Convolution c 2 1 data"), b"", "is no layer"),
        (param("Convolution c 1 1 data o 0=x"), b"", "is no layer"),
        (param("Convolution c 1 1 data o 0=nan"), b"", "is no layer"),
        (param("LSTM c 1 1 data o"), b"", "type LSTM, which is not known"),
        (param("Convolution c 1 1 data o 0=4 6=6"), b"", "6 weights do not make 4 outputs"),
        (param(CONVOLUTION), GOOD[:-1], r"the \.bin ends within layer Conv_0"),
        (param(CONVOLUTION), GOOD + b"\0", "1 bytes behind its last layer"),
        (param(CONVOLUTION), b"\x0d\x4b\x30\x01" + GOOD[4:], "form that is not read here"),
        (param(CONVOLUTION), kernel([1, 2, 3, 4, 5, np.nan]) + plain([1, 2]), "no numbers"),
    ],
)
def test_damaged_files_are_named(text, weights, message):
    with pytest.raises(ModelError, match=message) as caught:
        ncnn.read(text, weights, "some.param")
    assert "some.param" in str(caught.value)


def test_mutations_raise_nothing_but_model_errors():
    text = param("Input in 0 1 data", CONVOLUTION, "PReLU act 1 1 c out 0=2")
    weights = GOOD + plain([3, 4])
    draw = random.Random(0)
    refused = 0
    for _ in range(3000):
        parts = [bytearray(text), bytearray(weights)]
        for _ in range(draw.randint(1, 4)):
            part = parts[draw.random() < 0.3]
            part[draw.randrange(len(part))] = draw.randrange(256)
        try:
            ncnn.read(bytes(parts[0]), bytes(parts[1]), "x")
        except ModelError:
            refused += 1
    assert refused > 1000
