"""The values in ONNX's messages, beside what onnx's own helpers read from them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastsr.network import onnx_messages


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 3, 2)])
def test_arrays(dtype, shape):
    value = (np.arange(np.prod(shape, dtype=int)).reshape(shape) - 2).astype(dtype)
    read = onnx_messages.array(numpy_helper.from_array(value))
    np.testing.assert_array_equal(read, value)
    assert read.dtype == value.dtype


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.BFLOAT16, TensorProto.INT64])
def test_arrays_whose_values_stand_one_by_one(kind):
    tensor = helper.make_tensor("t", kind, (2, 2), [1, 2, 3, 4])
    np.testing.assert_array_equal(onnx_messages.array(tensor), numpy_helper.to_array(tensor))


def test_arrays_may_be_written_to():
    onnx_messages.array(numpy_helper.from_array(np.zeros(3, np.float32)))[0] = 1


@pytest.mark.parametrize("value", [1.5, 3, "same", b"bytes", [1.0, 2.5], [1, 2], ["a", "b"], []])
def test_attributes(value):
    made = helper.make_attribute("a", value, attr_type=onnx.AttributeProto.INTS if value == [] else None)
    assert onnx_messages.attribute(made) == helper.get_attribute_value(made)


def test_attributes_that_are_messages():
    tensor = numpy_helper.from_array(np.ones(2, np.float32))
    inner = helper.make_graph([], "g", [], [])
    for value in (tensor, inner, [tensor, tensor], [inner], helper.make_tensor_type_proto(1, (2,))):
        made = helper.make_attribute("a", value)
        assert onnx_messages.attribute(made) == helper.get_attribute_value(made)


def test_an_image_value_is_as_onnx_describes_one():
    expected = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 48, None, None])
    assert onnx_messages.image_value("y", onnx_messages.FLOAT, 48) == expected
