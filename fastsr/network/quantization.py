"""Quantization parameters and quantized values of int8: u8 activations, s8 weights, s32 biases.

Activations have a scale and a zero point for each tensor, weights a scale for each output channel. A bias is quantized
with the product of the two scales, so that an integer convolution adds it to its sums (Jacob et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph

MIN_OPSET = 13  # DequantizeLinear takes a scale for each channel from here on
FEW = 4  # output channels below which a large kernel's rows are computed apart
BIAS_LIMIT = 1 << 30  # a bias may fill half of an s32; the rest is for what the convolution adds to it

Kernel = npt.NDArray[np.float32]  # output channels x input channels x height x width


def activation_parameters(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of u8 for a range with low <= 0 <= high and low < high; 0 is represented exactly."""
    scale = np.float32((high - low) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def weight_scales(kernel: Kernel, bias: npt.NDArray[np.float32], input_scale: np.float32) -> npt.NDArray[np.float32]:
    """The scale of each output channel: its largest weight becomes 127, unless its bias needs a larger scale."""
    largest = np.abs(kernel).max(axis=(1, 2, 3), initial=0).astype(np.float64) / 127
    least = np.abs(bias).astype(np.float64) / (float(input_scale) * BIAS_LIMIT)
    scale = np.maximum(largest, least)
    return np.where(scale > 0, scale, 1).astype(np.float32)


def quantized_weights(kernel: Kernel, scale: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """`kernel` quantized to -127..127: each slice keeps its sum to half a step, each weight its value to one step.

    A slice (from one input channel to one output channel) responds to flat colour with its sum, and most of an image is
    nearly flat. So as many weights as the sum of the rounded ones is off by are rounded the other way, nearest first.
    """
    exact = (kernel / scale[:, None, None, None]).astype(np.float64).reshape(*kernel.shape[:2], -1)
    rounded = np.clip(np.rint(exact), -127, 127)
    error = exact - rounded
    missing = np.rint(error.sum(axis=-1, keepdims=True))
    order = np.argsort(-error, axis=-1, kind="stable")  # those that were rounded down most come first
    place = np.argsort(order, axis=-1, kind="stable")
    rounded += (place < missing).astype(np.float64) - (place >= error.shape[-1] + missing)
    made: npt.NDArray[np.int8] = np.clip(rounded, -127, 127).astype(np.int8).reshape(kernel.shape)
    return made


def by_rows(shape: Sequence[int]) -> bool:
    """Whether a kernel of this shape (out x in x rows x columns) has its rows computed apart, as outputs of a flat one.

    In int8 each row then has scales of its own, which Q/DQ operators cannot express: there its weights stay float.
    """
    return shape[2] > 3 and shape[0] < FEW


def dequantized_weights(quantized: npt.NDArray[np.int8], scale: npt.NDArray[np.float32]) -> Kernel:
    """Weights for which `weight_scales` gives this scale again and `quantized_weights` these values."""
    largest = (scale.astype(np.float64) * 127).astype(np.float32)
    # 127 steps, rounded to float32, may belong to the scale beside this one; then a neighbour belongs to it.
    for near in (np.nextafter(largest, np.float32(0)), largest, np.nextafter(largest, np.float32(np.inf))):
        largest = np.where((near.astype(np.float64) / 127).astype(np.float32) <= scale, near, largest)
    made = (quantized * scale[:, None, None, None].astype(np.float64)).astype(np.float32)
    return np.where(np.abs(quantized) == 127, np.copysign(largest[:, None, None, None], made), made)


def quantized_bias(bias: npt.NDArray[np.float32], scale: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """`bias` quantized; `scale` is the input's scale times the weights'."""
    return np.rint(bias.astype(np.float64) / scale).astype(np.int32)


def inputs(graph: Graph) -> list[str]:
    """The tensors that the int8 form needs a range for: what convolutions with stored weights read, in their order.

    Raises ModelError, naming the file, when it has no int8 form.
    """
    if graph.dtype != np.float32 or graph.opset < MIN_OPSET:
        raise ModelError(
            f"{graph.path}: {graph.dtype} at opset {graph.opset} has no int8 form; "
            f"export float32 at opset {MIN_OPSET} or newer"
        )
    read = [node.inputs[0] for node in graph.nodes if node.op == "Conv" and stored(graph, node.inputs[1:])]
    if not read:
        raise ModelError(f"{graph.path}: has no int8 form: no convolution has float32 weights stored in the file")
    return list(dict.fromkeys(read))


def stored(graph: Graph, names: Iterable[str]) -> bool:
    """Whether the file holds all of these ("" is none) as float32."""
    return all(name in graph.weights and graph.weights[name].dtype == np.float32 for name in names if name)


def ranged(graph: Graph) -> set[str]:
    """The tensors read by convolutions that have a range. Raises EngineError for none, ModelError as `inputs`."""
    found = graph.ranges.keys() & set(inputs(graph))
    if not found:
        raise EngineError(
            f"{graph.path}: int8 needs activation ranges, which the file does not hold; "
            f"run: python -m training quantize {graph.path} --data FOLDER"
        )
    return found
