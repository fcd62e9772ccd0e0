"""Generators between two that share an architecture: each weight on the straight line from one to the other.

Network interpolation (Wang et al. 2018, ESRGAN; Wang et al. 2019, Deep Network Interpolation): between a generator
trained for PSNR and the adversarial one fine-tuned from it, it trades fidelity for detail without further training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from fastsr.errors import ModelError
from fastsr.network import catalog, onnx_reader
from fastsr.network.graph import RANGES, Graph, Node

KEY = "fidelity"  # in an ONNX file's metadata: a file beside it, or a shipped model


def fidelity_of(network: Graph) -> Graph:
    """The generator trained for PSNR alone that the adversarial `network` names, by its card or its metadata.

    Raises ModelError, saying what is needed and which shipped models have one, where there is none.
    """
    card = catalog.card(network.path)
    if card is not None:
        if not card.fidelity:
            raise ModelError(f"{card.name!r} has no fidelity model to interpolate with; {catalog.realism_offered()}")
        return onnx_reader.read(catalog.find(card.fidelity))
    named = network.metadata.get(KEY)
    if not named:
        raise ModelError(
            f"{network.path}: realism needs the ONNX metadata key {KEY!r}, naming the generator trained for PSNR that "
            f"this one was fine-tuned from (a file beside it, or a shipped model); {catalog.realism_offered()}"
        )
    if named in catalog.models():
        return onnx_reader.read(catalog.find(named))
    beside = network.path.parent / named
    if Path(named).name != named or catalog.fault(beside) is not None:
        raise ModelError(
            f"{network.path}: its fidelity model {named!r} is neither a file in its folder nor a shipped model; "
            "put it beside it, under that name"
        )
    return onnx_reader.read(beside)


def between(faithful: Graph, adversarial: Graph, realism: float) -> Graph:
    """`adversarial` with every weight (1 - realism) * faithful + realism * adversarial; itself when `realism` is 1.

    Raises ModelError, naming both files, unless they have the same operators and weights of the same shapes.
    """
    fault = _difference(faithful, adversarial)
    if fault is not None:
        raise ModelError(f"{adversarial.path}: cannot be interpolated with {faithful.path}: {fault}")
    if realism == 1:
        return adversarial
    model = onnx.load_model_from_string(adversarial.serialized)
    weights = dict(adversarial.weights)
    for tensor in model.graph.initializer:
        a, b = faithful.weights[tensor.name], adversarial.weights[tensor.name]
        weights[tensor.name] = _mixed(a, b, realism)
        tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    metadata = {**adversarial.metadata, "name": f"{adversarial.name} (realism {realism:g})"}
    if RANGES in metadata:
        metadata[RANGES] = json.dumps(_ranges(faithful, adversarial, realism))
    onnx.helper.set_model_props(model, metadata)
    serialized = model.SerializeToString()
    digest = hashlib.sha256(serialized).hexdigest()
    return dataclasses.replace(adversarial, weights=weights, metadata=metadata, serialized=serialized, digest=digest)


def _mixed(a: npt.NDArray[Any], b: npt.NDArray[Any], realism: float) -> npt.NDArray[Any]:
    if np.array_equal(a, b):  # also settings such as a resize factor, which no rounding may touch
        return b
    return ((1 - realism) * a.astype(np.float64) + realism * b.astype(np.float64)).astype(b.dtype)


def _ranges(a: Graph, b: Graph, realism: float) -> dict[str, tuple[float, float]]:
    """The int8 form's activation ranges, on the line that the weights are on; of the tensors that both know."""
    mine, theirs = a.ranges, b.ranges
    return {
        name: ((1 - realism) * mine[name][0] + realism * low, (1 - realism) * mine[name][1] + realism * high)
        for name, (low, high) in theirs.items()
        if name in mine
    }


def _difference(a: Graph, b: Graph) -> str | None:
    """Why two graphs are not one network with different weights; None if they are."""
    if (a.input, a.output, a.channels, a.scale) != (b.input, b.output, b.channels, b.scale):
        return "their inputs and outputs differ"
    if len(a.nodes) != len(b.nodes):
        return f"they have {len(a.nodes)} and {len(b.nodes)} operators"
    for one, other in zip(a.nodes, b.nodes, strict=True):
        if not _same(one, other):
            return f"the operator {other.op} that makes {other.outputs[0]!r} differs"
    if a.weights.keys() != b.weights.keys():
        return f"they do not share the weights {', '.join(sorted(a.weights.keys() ^ b.weights.keys())[:3])}"
    for name, mine in a.weights.items():
        theirs = b.weights[name]
        if (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            return f"{name!r} is {mine.dtype} {mine.shape} in one and {theirs.dtype} {theirs.shape} in the other"
        if mine.dtype.kind != "f" and not np.array_equal(mine, theirs):
            return f"{name!r} is {mine.dtype} and differs; interpolate float models"
    return None


def _same(a: Node, b: Node) -> bool:
    if (a.op, a.inputs, a.outputs, a.attributes.keys()) != (b.op, b.inputs, b.outputs, b.attributes.keys()):
        return False
    return all(np.array_equal(value, b.attributes[key]) for key, value in a.attributes.items())
