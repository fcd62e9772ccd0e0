"""Frozen classifiers whose layers are compared instead of pixels: VGG19 and AlexNet, by layer name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fastsr.importing import torchvision_operators

VGG19_FILES = ("vgg19_features_fp16.safetensors", "vgg19*.safetensors")
ALEXNET_FILES = ("lpips_alex.safetensors", "alexnet*.safetensors")


class FeaturesError(ValueError):
    """Weights that are missing or do not fit, or a layer that does not exist; the message gives the remedy."""


@dataclass(frozen=True)
class Layer:
    """A convolution of a classifier: its name, its number in torchvision's `features`, and its shape."""

    name: str
    number: int
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: int = 0  # side of the max pooling (stride 2) in front of it; 0: none


def _vgg19() -> Iterator[Layer]:
    number, inputs = 0, 3
    for block, (count, outputs) in enumerate([(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)], start=1):
        for i in range(1, count + 1):
            yield Layer(f"conv{block}_{i}", number, inputs, outputs, pool=2 if block > 1 and i == 1 else 0)
            number, inputs = number + 2, outputs  # a convolution and its ReLU
        number += 1  # the pooling


VGG19 = tuple(_vgg19())  # Simonyan and Zisserman 2015, configuration E
ALEXNET = (  # Krizhevsky 2014, the one-column form
    Layer("conv1", 0, 3, 64, kernel=11, stride=4, padding=2),
    Layer("conv2", 3, 64, 192, kernel=5, padding=2, pool=3),
    Layer("conv3", 6, 192, 384, pool=3),
    Layer("conv4", 8, 384, 256),
    Layer("conv5", 10, 256, 256),
)


@dataclass(frozen=True)
class Normalisation:
    """What a network was trained to see: (RGB in 0..1 - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # torchvision; LPIPS writes it for -1..1
CAFFE = Normalisation((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255))  # the VGG authors
# How a file's metadata key `input` begins; a file without the key has torchvision's weights.
INPUTS = {
    "RGB in 0..255 minus mean 123.68,116.779,103.939": CAFFE,
    "RGB in -1..1, then (x-shift)/scale, shift=-.030,-.088,-.188 scale=.458,.448,.450": IMAGENET,
}


@dataclass(frozen=True)
class Weights:
    """Tensors under torchvision's names, with what they expect to see and where they come from (for messages)."""

    tensors: dict[str, Tensor]
    normalisation: Normalisation
    origin: str

    def take(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor `key` in float32, which must have this shape."""
        tensor = self.tensors.get(key)
        if tensor is None or tensor.shape != shape:
            found = "is missing" if tensor is None else f"has shape {tuple(tensor.shape)}"
            raise FeaturesError(f"{self.origin}: {key} {found}, must have shape {shape}; give torchvision's layout")
        return tensor.float()


def read(path: Path) -> Weights:
    """The weights in a safetensors file; its metadata key `input` says how images are normalised."""
    try:
        with safe_open(str(path), framework="pt") as file:
            stated = (file.metadata() or {}).get("input")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except (OSError, SafetensorError) as error:
        raise FeaturesError(f"{path}: not a readable safetensors file ({error}); fetch it again") from None
    if stated is None:
        return Weights(tensors, IMAGENET, str(path))
    for beginning, normalisation in INPUTS.items():
        if stated.startswith(beginning):
            return Weights(tensors, normalisation, str(path))
    known = " or ".join(map(repr, INPUTS))
    raise FeaturesError(f"{path}: metadata key input = {stated!r} is not understood; it must begin with {known}")


def _weights(folder: Path | None, files: Sequence[str], published: str) -> Weights:
    """From the first of `files` in `folder`; without a folder, torchvision's `published` enumeration of weights."""
    if folder is not None:
        for pattern in files:
            if found := sorted(folder.glob(pattern)):
                return read(found[0])
        raise FeaturesError(
            f"{folder}: holds no {' or '.join(files)}; put it there, or give no folder and install torchvision"
        )
    try:
        torchvision_operators.settle()
        models = importlib.import_module("torchvision.models")
    except ImportError:
        raise FeaturesError(
            f"no feature weights: name a folder that holds {' or '.join(files)}, or pip install torchvision"
        ) from None
    try:
        tensors = getattr(models, published).IMAGENET1K_V1.get_state_dict(check_hash=True, weights_only=True)
    except OSError as error:
        raise FeaturesError(
            f"torchvision has no cached {published} and cannot fetch it ({error}); name a folder that holds {files[0]}"
        ) from None
    return Weights(tensors, IMAGENET, f"torchvision {published}")


class Features(nn.Module):
    """A frozen classifier's convolutions: NCHW RGB float in 0..1 to the outputs of the named layers, before ReLU."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[Layer], weights: Weights) -> None:
        super().__init__()
        self.convs = nn.ModuleDict()
        self.pools = {layer.name: layer.pool for layer in layers}
        for x in layers:
            conv = nn.Conv2d(x.inputs, x.outputs, x.kernel, x.stride, x.padding, device="meta")  # not initialised twice
            shape = (x.outputs, x.inputs, x.kernel, x.kernel)
            conv.weight = nn.Parameter(weights.take(f"features.{x.number}.weight", shape))
            conv.bias = nn.Parameter(weights.take(f"features.{x.number}.bias", shape[:1]))
            self.convs[x.name] = conv
        self.register_buffer("mean", torch.tensor(weights.normalisation.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(weights.normalisation.std)[:, None, None])
        self.requires_grad_(False).eval()

    def check(self, layers: Sequence[str]) -> None:
        """Raise `FeaturesError` unless every name is a layer's."""
        unknown = [name for name in layers if name not in self.convs]
        if unknown or not layers:
            raise FeaturesError(f"layers {list(layers)}: name one or more of {', '.join(self.convs)}")

    def widths(self, layers: Sequence[str]) -> list[int]:
        """The channels of layers. Raises `FeaturesError` where a name is not one's."""
        if layers:
            self.check(layers)
        return [next(self.convs[name].parameters()).shape[0] for name in layers]

    def forward(self, image: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """The layers' outputs in the order asked for; nothing behind the deepest of them is computed."""
        self.check(layers)
        x, found = (image - self.mean) / self.std, {}
        for depth, (name, conv) in enumerate(self.convs.items()):
            if depth:
                x = F.relu(x)
            if self.pools[name]:
                x = F.max_pool2d(x, self.pools[name], stride=2)
            x = found[name] = conv(x)
            if found.keys() >= set(layers):
                break
        return [found[name] for name in layers]


def vgg19(folder: Path | None) -> Features:
    """VGG19 with the weights in `folder`, else torchvision's; layers conv1_1 .. conv5_4.

    The authors' weights see 0..255, torchvision's unit variance, so the two have features of different magnitude.
    """
    return Features(VGG19, _weights(folder, VGG19_FILES, "VGG19_Weights"))


def alexnet(folder: Path | None) -> Features:
    """AlexNet with the weights in `folder`, else torchvision's; layers conv1 .. conv5."""
    return Features(ALEXNET, _weights(folder, ALEXNET_FILES, "AlexNet_Weights"))
