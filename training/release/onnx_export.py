"""A trained generator as a plain float ONNX file, checked against PyTorch before it is kept."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from fastsr import files
from fastsr.network import half_weights
from fastsr.network.graph import RANGES
from training.learning import checkpoint, initial_weights, trainer
from training.networks import generators

OPSET = 17
LICENCE = "Apache-2.0"
CHECKED_SIZES = ((1, 1), (7, 5), (24, 37))  # height, width; times the fold, which ONNX's SpaceToDepth must divide
TOLERANCE = 2e-5


class ExportError(ValueError):
    """The written model does not do what the trained one does."""


class _Writer:
    """Builds an ONNX graph operator by operator; each method returns the name of what it makes.

    Weights are named as in the plain network's state, from which training can go on (`learning.initial_weights`).
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def _op(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _weight(self, name: str, value: Tensor) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value.detach().cpu().numpy()), name))
        return name

    def conv(self, x: str, module: nn.Module, name: str, output: str = "") -> str:
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        weight = self._weight(f"{name}.weight", module.weight)
        bias = self._weight(f"{name}.bias", module.bias)  # type: ignore[arg-type]
        shape = {"kernel_shape": list(module.kernel_size), "pads": [int(module.padding[0])] * 4}
        if isinstance(module, nn.Conv2d):
            return self._op("Conv", [x, weight, bias], output or name, **shape)
        shape |= {"strides": list(module.stride), "output_padding": list(module.output_padding)}
        return self._op("ConvTranspose", [x, weight, bias], output or name, **shape)

    def prelu(self, x: str, module: nn.Module, name: str) -> str:
        slope = self._weight(f"{name}.weight", module.weight.reshape(-1, 1, 1))  # type: ignore[operator,union-attr]
        return self._op("PRelu", [x, slope], name)

    def pixel_shuffle(self, x: str, factor: int, name: str) -> str:
        return self._op("DepthToSpace", [x], name, blocksize=factor, mode="CRD")

    def repeat(self, x: str, factor: int, name: str) -> str:
        scales = self._weight(f"{name}.scales", torch.tensor([1.0, 1.0, factor, factor]))
        rule = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._op("Resize", [x, "", scales], name, **rule)

    def space_to_depth(self, x: str, block: int, name: str) -> str:
        return self._op("SpaceToDepth", [x], name, blocksize=block)

    def bicubic(self, x: str, factor: int, name: str) -> str:
        scales = self._weight(f"{name}.scales", torch.tensor([1.0, 1.0, factor, factor]))
        rule = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}
        return self._op("Resize", [x, "", scales], name, **rule)

    def add(self, a: str, b: str, name: str) -> str:
        return self._op("Add", [a, b], name)


def _compact(writer: _Writer, network: generators.Compact) -> None:
    x = "input" if network.fold == 1 else writer.space_to_depth("input", network.fold, "folded")
    for i, (conv, activation) in enumerate(zip(network.body, network.activations, strict=True)):
        x = writer.conv(x, conv, f"body.{i}")
        x = writer.prelu(x, activation, f"activations.{i}")
    x = writer.conv(x, network.tail, "tail")
    x = writer.pixel_shuffle(x, network.scale * network.fold, "shuffle")
    enlarge = writer.repeat if network.base == "nearest" else writer.bicubic
    writer.add(x, enlarge("input", network.scale, "anchor"), "output")


def _srresnet(writer: _Writer, network: generators.SRResNet) -> None:
    start = writer.prelu(writer.conv("input", network.head, "head"), network.head_activation, "head_activation")
    x = start
    for i, block in enumerate(network.blocks):
        name = f"blocks.{i}"
        inner = writer.conv(x, block.first, f"{name}.first")  # type: ignore[arg-type]
        inner = writer.prelu(inner, block.activation, f"{name}.activation")  # type: ignore[arg-type]
        inner = writer.conv(inner, block.second, f"{name}.second")  # type: ignore[arg-type]
        x = writer.add(x, inner, f"{name}.sum")
    x = writer.add(start, writer.conv(x, network.after, "after"), "trunk")
    for i, upsampler in enumerate(network.upsamplers):
        name = f"upsamplers.{i}"
        if isinstance(upsampler, generators.ResizeConvolution):
            x = writer.repeat(x, upsampler.factor, f"{name}.repeat")
        x = writer.conv(x, upsampler.conv, f"{name}.conv")  # type: ignore[arg-type]
        if isinstance(upsampler, generators.SubPixel):
            x = writer.pixel_shuffle(x, upsampler.factor, f"{name}.shuffle")
        x = writer.prelu(x, upsampler.activation, f"{name}.activation")  # type: ignore[arg-type]
    writer.conv(x, network.tail, "tail", "output")


def to_onnx(network: generators.Network, metadata: dict[str, str]) -> onnx.ModelProto:
    """`network` in its plain form as ONNX: `input` N x 3 x H x W, `output` N x 3 x H*s x W*s, all free."""
    writer = _Writer()
    if isinstance(network, generators.SRResNet):
        _srresnet(writer, network)
    else:
        _compact(writer, network)
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
    fold = getattr(network, "fold", 1)
    for height, width in CHECKED_SIZES:
        x = torch.rand(2, 3, height * fold, width * fold, generator=random)
        (made,) = session.run(None, {"input": x.numpy()})
        worst = max(worst, float((torch.from_numpy(made) - network(x)).abs().max()))
    if not worst <= TOLERANCE:
        raise ExportError(f"ONNX and PyTorch differ by {worst:.1e} (at most {TOLERANCE:.0e}); the export is wrong")
    return worst


def describe(about: dict[str, Any]) -> str:
    """How a checkpoint was trained, stage by stage, in a line."""
    recipe = about["recipe"]
    before = f"{describe(about['start'])}; then " if about.get("start") else ""
    loss, side = recipe["loss"], recipe["data"]["crop"]
    parts = [f"{loss['pixel'].upper()}"] if loss.get("weight", 1) else []
    if loss.get("content_weight"):
        parts.append(f"{loss['content']} {'+'.join(loss['content_layers'])} content")
    if loss.get("adversarial_weight"):
        parts.append(f"{loss['adversarial']} adversarial ({recipe['discriminator']['kind']})")
    if recipe.get("int8"):
        parts[-1] += " (every other step rounded as int8)"
    optimizer = "Muon" if recipe["optimizer"]["kind"] == "muon" else "Adam"
    degradation = recipe.get("degradation", {}).get("kind", "bicubic")
    share = f"; {about['realism']:g} of the way there" if about.get("realism", 1) != 1 else ""
    kind = "frames" if degradation == "video" else "photographs"
    return before + (
        f"{about['step']} steps of {recipe['data']['batch']} crops of {side}x{side} "
        f"from {about['images']} {kind}, {' + '.join(parts)} loss, {optimizer}, "
        f"{degradation} x{recipe['generator']['scale']}, "
        f"{about['seconds'] / 3600:.1f} hours on {about['device']}{share}"
    )


def _portable(about: dict[str, Any]) -> dict[str, Any]:
    """A run's description without the folders of the machine that it ran on."""
    recipe, start = about["recipe"], about.get("start")
    name = Path(recipe.get("start", "")).name
    return about | {"recipe": recipe | {"start": name}, "start": _portable(start) if start else None}


def _part_of_the_way(network: generators.Network, state: Path, name: str, realism: float) -> None:
    """Put `network` on the line to it from the weights of `name`, which its run at `state` began with."""
    if not 0 <= realism <= 1:
        raise ExportError(f"realism {realism} is not between 0 and 1")
    if not name:
        raise ExportError(f"{state}: its run started from no other model, so there is nothing to interpolate with")
    first = copy.deepcopy(network)
    initial_weights.initialise(first, initial_weights.find(name, state.parent.parent))
    with torch.no_grad():
        for mine, its in zip(network.parameters(), first.parameters(), strict=True):
            mine.copy_(torch.lerp(its, mine, realism))


def round_weights(network: generators.Network) -> None:
    """Round the weights of the convolutions to what a file can store."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.copy_(torch.from_numpy(half_weights.rounded(module.weight.cpu().numpy())))


def keep(source: Path, target: Path) -> None:
    """Write the averaged generator of a checkpoint with its history, in half precision: a run can go on from it.

    Half the size of an ONNX file and a sixth of the checkpoint, for runs that are not finished.
    """
    groups, about = checkpoint.load(source)
    average = {f"module.{name}": tensor.half() for name, tensor in checkpoint.averaged(groups).items()}
    checkpoint.save(target, {"average": average}, _portable(about))


def export(state: Path, target: Path, realism: float = 1.0) -> onnx.ModelProto:
    """Write the averaged generator of the checkpoint `state` to `target` (whole or not at all); returns the model.

    It is called what the file is. The weights of its convolutions are rounded to half floats and stored as such.
    With `realism` below 1, that share of the way to it from the weights that its run began with (network
    interpolation: Wang et al. 2018). Raises ExportError where there is no such beginning, or ONNX Runtime computes
    something else.
    """
    network, about = trainer.averaged(state)
    recipe = about["recipe"]
    if realism != 1:
        _part_of_the_way(network, state, recipe["start"], realism)
        about |= {"realism": realism}
    metadata = {
        "name": target.stem,
        "summary": recipe["summary"],
        "scale": str(recipe["generator"]["scale"]),
        "training": describe(about),
        "licence": LICENCE,
        "about": json.dumps(_portable(about)),
    }
    stage = initial_weights.float_stage(about)
    if recipe["loss"].get("adversarial_weight") and stage["start"]:
        metadata["fidelity"] = stage["start"]["recipe"]["name"]  # the other end of `realism`
    round_weights(network)
    model = to_onnx(network, metadata)
    check(model, network)
    if about.get("ranges"):
        read = {n.input[1].removesuffix(".weight"): n.input[0] for n in model.graph.node if n.op_type == "Conv"}
        ranges = {read[convolution]: limits for convolution, limits in about["ranges"].items()}
        helper.set_model_props(model, {**metadata, RANGES: json.dumps(ranges)})
    half_weights.halved(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as temporary:
        onnx.save_model(model, str(temporary))
    return model
