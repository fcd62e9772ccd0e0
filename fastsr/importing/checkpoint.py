"""PyTorch checkpoints (.pth, .pt, .ckpt, .safetensors): weights read without running code, the network by spandrel."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
import os
import re
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsr.errors import ModelError
from fastsr.importing import torchvision_operators

if TYPE_CHECKING:
    import torch

INSTALL = 'pip install "fastsr[import]"'
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")  # best first
PURPOSES = ("SR", "Restoration")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A network with its weights.

    Attributes:
        model: the network, in float32, set to evaluate.
        architecture: what spandrel calls its kind.
        scale: its factor.
        channels: of its input and output.
        minimum: smallest side of an image that it takes.
        multiple: of which sides must be multiples.
        licence: as the file says; else empty.
        authors: as the file says; else empty.

    """

    model: torch.nn.Module
    architecture: str
    scale: int
    channels: int
    minimum: int
    multiple: int
    licence: str = ""
    authors: str = ""


def read(path: Path) -> Checkpoint:
    """The network of a checkpoint. Nothing in the file is executed.

    Raises ModelError, naming the file: for what is no checkpoint, for TorchScript archives and pickles that want code,
    for networks that spandrel does not know or that do no super-resolution, and where spandrel is not installed.
    """
    spandrel = _spandrel(path)
    safetensors = path.suffix.lower() == ".safetensors"
    state = _unwrapped(path, _safetensors(path) if safetensors else _pickled(path))
    try:
        found = spandrel.ModelLoader("cpu").load_from_state_dict(spandrel.canonicalize_state_dict(state))
    except spandrel.UnsupportedModelError:
        raise ModelError(
            f"{path}: its network is none that spandrel {spandrel.__version__} knows (its first weights are "
            f"{', '.join(map(str, list(state)[:3]))}); diffusion models, optimizer states and LoRAs are none; for "
            "another super-resolution network export it as ONNX, or take a newer spandrel"
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # of spandrel, by the architecture that it takes the weights for
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: its weights do not fit the network that they look like ({reason[:300]})") from None
    kind = found.architecture.name
    if found.purpose not in PURPOSES:
        what = {"FaceSR": "a face model, which restores one aligned face", "Inpainting": "for inpainting"}
        raise ModelError(
            f"{path}: is {what.get(found.purpose, found.purpose)} ({kind}); fastsr enlarges whole images, take a "
            "super-resolution model"
        )
    if found.input_channels != found.output_channels or found.input_channels not in (1, 3):
        raise ModelError(
            f"{path}: takes {found.input_channels} channels and makes {found.output_channels} ({kind}); fastsr needs 3 "
            "and 3, or 1 and 1"
        )
    licence, authors = _about(path) if safetensors else ("", "")
    needs = found.size_requirements
    shape = (found.scale, found.input_channels, needs.minimum, needs.multiple_of)
    return Checkpoint(found.model.float().eval().requires_grad_(False), kind, *shape, licence, authors)


def _spandrel(path: Path) -> Any:
    try:
        import torch  # noqa: F401 - named first, where both are missing
    except ImportError:
        raise ModelError(f"{path}: PyTorch is needed to read it: {INSTALL}") from None
    try:
        torchvision_operators.settle()
        import spandrel
    except ImportError as error:
        raise ModelError(f"{path}: spandrel is needed to read it: {INSTALL} ({error})") from None
    return spandrel


def version() -> str:
    """PyTorch's, for cards."""
    return importlib.metadata.version("torch")


class _SizedFile(io.BufferedReader):
    """A file that is never asked for more than it has: Python would allocate what a damaged pickle asks for first."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _pickled(path: Path) -> dict[str, Any]:
    """A file of `torch.save`, of which only tensors and plain containers are taken."""
    import pickle

    import torch

    try:
        with warnings.catch_warnings(), _SizedFile(io.FileIO(path)) as file:
            warnings.simplefilter("ignore")
            made = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise ModelError(
                f"{path}: is a pickle that wants to run code ({wanted[1]}), which is refused; take a file that holds "
                "weights alone, best as .safetensors"
            ) from None
        raise ModelError(
            f"{path}: is no checkpoint that can be read without running code; it is damaged, or something else"
        ) from None
    except Exception as error:  # of torch, by what is wrong with the file
        if "TorchScript" in str(error):
            raise ModelError(
                f"{path}: is a TorchScript archive, which holds code and is refused; take the checkpoint that it was "
                "made of"
            ) from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: is no checkpoint that can be read ({reason[:200]}); download it again") from None
    if not isinstance(made, dict):
        raise ModelError(f"{path}: holds a {type(made).__name__}, not the weights of a network")
    return made


def _safetensors(path: Path) -> dict[str, Any]:
    import safetensors
    import safetensors.torch

    try:
        return dict(safetensors.torch.load_file(path))
    except MemoryError:
        raise
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{path}: is no safetensors file that can be read ({error}); download it again") from None


def _unwrapped(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """The weights of a checkpoint of training: the averaged ones where there are such."""
    import torch

    while True:
        inner = next((state[key] for key in WRAPPERS if isinstance(state.get(key), dict)), None)
        if inner is None:
            break
        state = inner
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ModelError(f"{path}: holds no weights ({', '.join(map(str, list(state)[:5])) or 'it is empty'})")
    if any(value.is_floating_point() and not value.isfinite().all() for value in tensors.values()):
        raise ModelError(f"{path}: has weights that are no numbers; it is damaged, or its training failed")
    return {str(key): value.float() if value.is_floating_point() else value for key, value in tensors.items()}


def _about(path: Path) -> tuple[str, str]:
    """Licence and authors by the metadata of a safetensors file (modelspec.* or plain keys)."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        values = json.loads(file.read(size)).get("__metadata__", {})
    texts = {str(key).rpartition(".")[2]: str(value) for key, value in values.items()}
    return texts.get("license", texts.get("licence", ""))[:200], texts.get("author", "")[:200]
