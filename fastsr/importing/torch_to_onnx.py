"""A PyTorch network as ONNX: exported, simplified, for images of any size."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from fastsr.errors import ModelError
from fastsr.importing import simplification
from fastsr.importing.checkpoint import Checkpoint
from fastsr.importing.exportable_modules import exportable
from fastsr.network import onnx_reader
from fastsr.network.graph import SCALE, Graph

OPSET = 17
AS_IT_IS = torch.onnx.TrainingMode.PRESERVE  # as `exportable` left it
EXPORTED_AT = (10, 14)  # height and width, in multiples of what the network takes
MAY_VARY = (11, 15)


def candidates(checkpoint: Checkpoint, path: Path) -> Iterator[tuple[onnx.ModelProto, Graph]]:
    """The network as ONNX, in the forms that may be right, the best first; which is, a comparison must tell.

    First what was exported for one size and no longer holds it, for engines know all of its operators; else what the
    exporter makes for any size. Raises ModelError, naming the file, where the network cannot be exported.
    """
    model, multiple = exportable(checkpoint.model)
    checkpoint = dataclasses.replace(checkpoint, model=model)
    step = math.lcm(max(checkpoint.multiple, 1), multiple)
    height, width = (max(side * step, checkpoint.minimum + step * side) for side in EXPORTED_AT)
    with contextlib.suppress(ModelError):
        fixed = _exported(checkpoint, path, height, width, None)
        made = simplification.for_any_size(_plainer(fixed))
        graph = onnx_reader.parsed(path, made.SerializeToString())
        if graph.radius is not None:
            yield made, graph
    axes = {"input": {0: "N", 2: "H", 3: "W"}, "output": {0: "N", 2: "Y", 3: "X"}}
    # A network that fills sides up itself shall do so while it is exported.
    odd = [side * step + checkpoint.minimum + (step > multiple) for side in MAY_VARY]
    made = _plainer(_exported(checkpoint, path, odd[0], odd[1], axes))
    onnx.helper.set_model_props(made, {SCALE: str(checkpoint.scale)})
    yield made, onnx_reader.parsed(path, made.SerializeToString())


def _plainer(model: onnx.ModelProto) -> onnx.ModelProto:
    """In plainer operators, where that can be told; the exporter's own form is right too."""
    try:
        return simplification.simplified(model)
    except MemoryError:
        raise
    except Exception:  # of onnx's inference and its evaluator, by what a network holds
        return model


def run(checkpoint: Checkpoint, path: Path, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What PyTorch makes of 1 x C x H x W. Raises ModelError where it does not run on that size."""
    try:
        with torch.inference_mode():
            given = torch.tensor(image)  # a copy, for some networks write into it
            return np.asarray(_image(checkpoint.model(given)).numpy(), np.float32)
    except (RuntimeError, IndexError, AssertionError) as error:
        size = "x".join(map(str, image.shape[:1:-1]))
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: its network does not run on an image of {size} pixels ({reason[:160]})") from None


def _image(made: Any) -> torch.Tensor:
    if not isinstance(made, torch.Tensor):
        raise ModelError(f"its network makes a {type(made).__name__}, not an image")
    return made


class _OneImage(nn.Module):
    """A network without its other arguments, which would become inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return _image(self.network(image))


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the exporter from printing a network that it cannot export, which its own switch does not."""
    original = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = original


def _exported(checkpoint: Checkpoint, path: Path, height: int, width: int, axes: Any) -> onnx.ModelProto:
    image = torch.rand(1, checkpoint.channels, height, width, generator=torch.Generator().manual_seed(0))
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["output"], "dynamic_axes": axes}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            _unlogged(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            written = Path(folder) / "exported.onnx"
            # not by torch.export, which needs a package more
            torch.onnx.export(
                _OneImage(checkpoint.model),
                (image,),
                written,
                opset_version=OPSET,
                dynamo=False,
                training=AS_IT_IS,
                **names,
            )
            return onnx.load(written)
    except MemoryError:
        raise
    except Exception as error:  # of the exporter and of the network, by what they do
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(" Please feel free")[0]
        raise ModelError(
            f"{path}: its network ({checkpoint.architecture}) cannot be exported as ONNX ({reason[:160]}); it runs in "
            "PyTorch alone"
        ) from None
    finally:
        logger.setLevel(level)
