"""Where a generator's first weights come from: another run's average, a shipped model, or a user's ONNX file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from fastsr.network import catalog, half_weights, onnx_reader
from training.learning import checkpoint
from training.learning.recipe import RecipeError
from training.networks import generators
from training.networks.generators import GeneratorShape


def find(name: str, runs: Path) -> Path:
    """The checkpoint of the run `name`, else the shipped model or the .onnx file of that name."""
    run = runs / name / checkpoint.FILE
    if run.is_file():
        return run
    if Path(name).suffix == ".onnx" and Path(name).is_file():
        return Path(name)
    if name in catalog.models():
        return catalog.models()[name].path
    shipped = ", ".join(catalog.models())
    raise RecipeError(
        f"start {name!r}: no run in {run.parent}, no .onnx file and no shipped model (those: {shipped}); "
        f"train it first, or start from another: --set start=NAME"
    )


def describe(path: Path) -> dict[str, Any]:
    """How the weights at `path` came to be; `["recipe"]["generator"]` has the network's shape."""
    if path.suffix != ".onnx":
        return checkpoint.load(path)[1]
    return _read(path)[1]


def float_stage(about: dict[str, Any]) -> dict[str, Any]:
    """The last stage in `about`, a run's description, that was not about int8."""
    while about["recipe"].get("int8"):
        about = about["start"]
    return about


def ranges(path: Path) -> dict[str, tuple[float, float]]:
    """The int8 range of what each convolution reads, by the name of its module."""
    stored = onnx_reader.read(path).ranges if path.suffix == ".onnx" else {}
    if not stored:
        raise RecipeError(f"{path}: has no int8 ranges; run: python -m training quantize MODEL.onnx --data FOLDER")
    convolutions = [node for node in onnx_reader.read(path).nodes if node.op == "Conv" and node.inputs[0] in stored]
    return {node.inputs[1].removesuffix(".weight"): stored[node.inputs[0]] for node in convolutions}


def initialise(network: generators.Network, path: Path) -> None:
    """Copy into `network` what fits of the weights at `path`; of another scale, everything but the last layers."""
    if path.suffix == ".onnx":
        state = _read(path)[0]
    else:
        groups, about = checkpoint.load(path)
        source = generators.build(GeneratorShape(**about["recipe"]["generator"]))
        source.load_state_dict(checkpoint.averaged(groups))
        if type(source) is type(network) and source.state_dict().keys() == network.state_dict().keys():
            ours = network.state_dict()
            fitting = {k: v for k, v in source.state_dict().items() if v.shape == ours[k].shape}
            network.load_state_dict({**ours, **fitting})
            return
        state = generators.plain(source).state_dict()
    left = generators.load_plain(network, state)
    if len(left) == len(state):
        raise RecipeError(f"{path}: none of its weights fit this generator; its shape is {_shape(describe(path))}")


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    model = onnx.load_model(str(path))
    half_weights.widened(model)
    metadata = {p.key: p.value for p in model.metadata_props}
    if "about" not in metadata:
        raise RecipeError(f"{path}: was not written by `python -m training export`, so training cannot go on from it")
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    state = {name: t.flatten() if t.ndim == 3 else t for name, t in tensors.items()}  # slopes of PReLU
    return state, json.loads(metadata["about"])


def _shape(about: dict[str, Any]) -> str:
    return str(dataclasses.asdict(GeneratorShape(**about["recipe"]["generator"])))
