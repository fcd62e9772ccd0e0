"""A trained generator as a plain float ONNX file, checked against PyTorch before it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training import trainer
from training.files import replacing
from training.generators import Compact

OPSET = 17
LICENCE = "Apache-2.0"
CHECKED_SIZES = ((1, 1), (7, 5), (24, 37))  # height, width
TOLERANCE = 2e-5


class ExportError(ValueError):
    """The written model does not do what the trained one does."""


class _Writer:
    """Builds an ONNX graph operator by operator; each method returns the name of what it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def _add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _weight(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x: str, conv: nn.Conv2d, name: str) -> str:
        weight = self._weight(f"{name}.weight", conv.weight.detach().numpy())
        bias = self._weight(f"{name}.bias", conv.bias.detach().numpy())  # type: ignore[union-attr]
        pad = conv.kernel_size[0] // 2
        return self._add("Conv", [x, weight, bias], name, kernel_shape=list(conv.kernel_size), pads=[pad] * 4)

    def prelu(self, x: str, activation: nn.PReLU, name: str) -> str:
        slope = self._weight(f"{name}.slope", activation.weight.detach().numpy().reshape(-1, 1, 1))
        return self._add("PRelu", [x, slope], name)

    def pixel_shuffle(self, x: str, factor: int, name: str) -> str:
        return self._add("DepthToSpace", [x], name, blocksize=factor, mode="CRD")

    def repeat(self, x: str, factor: int, name: str) -> str:
        scales = self._weight(f"{name}.scales", np.array([1, 1, factor, factor], dtype=np.float32))
        rule = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._add("Resize", [x, "", scales], name, **rule)

    def add(self, a: str, b: str, name: str) -> str:
        return self._add("Add", [a, b], name)


def to_onnx(network: Compact, metadata: dict[str, str]) -> onnx.ModelProto:
    """`network` in its plain form as ONNX: `input` N x 3 x H x W, `output` N x 3 x H*s x W*s, all free."""
    writer = _Writer()
    x = "input"
    for i, (conv, activation) in enumerate(zip(network.body, network.activations, strict=True)):
        x = writer.conv(x, conv, f"body.{i}")  # type: ignore[arg-type]
        x = writer.prelu(x, activation, f"activation.{i}")  # type: ignore[arg-type]
    x = writer.conv(x, network.tail, "tail")  # type: ignore[arg-type]
    x = writer.pixel_shuffle(x, network.scale, "shuffle")
    writer.add(x, writer.repeat("input", network.scale, "anchor"), "output")
    shape_in, shape_out = ["N", 3, "H", "W"], ["N", 3, f"{network.scale}H", f"{network.scale}W"]
    graph = helper.make_graph(
        writer.nodes,
        metadata.get("name", "generator"),
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape_in)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape_out)],
        writer.weights,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="fastsr", opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


@torch.no_grad()
def check(model: onnx.ModelProto, network: nn.Module) -> float:
    """Largest difference between ONNX Runtime and PyTorch over odd sizes; raises ExportError above TOLERANCE."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    random = torch.Generator().manual_seed(0)
    worst = 0.0
    for height, width in CHECKED_SIZES:
        x = torch.rand(2, 3, height, width, generator=random)
        (made,) = session.run(None, {"input": x.numpy()})
        worst = max(worst, float((torch.from_numpy(made) - network(x)).abs().max()))
    if not worst <= TOLERANCE:
        raise ExportError(f"ONNX and PyTorch differ by {worst:.1e} (at most {TOLERANCE:.0e}); the export is wrong")
    return worst


def describe(about: dict[str, Any]) -> str:
    """How a checkpoint was trained, stage by stage, in a line."""
    recipe = about["recipe"]
    before = f"{describe(about['start'])}; then " if about.get("start") else ""
    side = recipe["data"]["crop"]
    optimizer = "Muon" if recipe["optimizer"]["kind"] == "muon" else "Adam"
    revived = "dead channels initialised anew, " if recipe.get("revive") else ""
    return (
        before
        + revived
        + (
            f"{about['step']} steps of {recipe['data']['batch']} crops of {side}x{side} "
            f"from {about['images']} photographs, {recipe['loss']['pixel'].upper()} loss, {optimizer}, "
            f"bicubic x{recipe['generator']['scale']}, {about['seconds'] / 3600:.1f} hours on {about['device']}"
        )
    )


def export(checkpoint: Path, target: Path) -> onnx.ModelProto:
    """Write the averaged generator of `checkpoint` to `target` (whole or not at all); returns the model."""
    network, about = trainer.averaged(checkpoint)
    recipe = about["recipe"]
    metadata = {
        "name": recipe["name"],
        "scale": str(recipe["generator"]["scale"]),
        "training": describe(about),
        "licence": LICENCE,
    }
    model = to_onnx(network, metadata)
    check(model, network)
    with replacing(target) as temporary:
        onnx.save_model(model, str(temporary))
    return model
