"""Generators of sizes that no weights ship for, with random ones: time does not depend on the weights."""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastsr.importing import simplification

NAME = re.compile(r"(?P<kind>compact|rrdb|span)-(?P<size>\d+)(x(?P<depth>\d+))?")  # all x4
NAMES = "compact-64x16 (channels x layers), rrdb-23 (blocks) or span-48 (channels)"


SLOPE = 0.2  # of ESRGAN's LeakyReLU
RESIDUAL = 0.2  # what one of its blocks adds to its input is scaled by this


class DenseBlock(nn.Module):
    """Five convolutions, each of which reads all that came before it; + input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + i * growth, width, 3, padding=1) for i, width in enumerate(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for conv in self.convs[:-1]:
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), SLOPE))
        made: Tensor = x + RESIDUAL * self.convs[-1](torch.cat(parts, 1))
        return made


class RRDB(nn.Module):
    """Three dense blocks; + input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + RESIDUAL * self.blocks(x)
        return made


class RRDBNet(nn.Module):
    """head, `depth` RRDBs with a skip around them, two nearest upsamplings by 2, tail; x4.

    NCHW float RGB in 0..1 to the same, four times as high and wide.
    """

    scale = 4

    def __init__(self, channels: int = 64, growth: int = 32, depth: int = 23) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(depth)))
        self.after, self.up1, self.up2, self.last = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(4))
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        start = self.head(x.contiguous(memory_format=torch.channels_last))
        features = start + self.after(self.body(start))
        for conv in (self.up1, self.up2):
            features = F.leaky_relu(conv(F.interpolate(features, scale_factor=2.0, mode="nearest")), SLOPE)
        made: Tensor = self.tail(F.leaky_relu(self.last(features), SLOPE))
        return made


class SPAN(nn.Module):
    """SPAN (Wan et al. 2023), its branches folded: attention without parameters, x * (sigmoid(x) - 0.5)."""

    def __init__(self, channels: int, scale: int = 4) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1))
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3)) for _ in range(6)
        )
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.joint = nn.Conv2d(4 * channels, channels, 1)
        self.tail = nn.Sequential(nn.Conv2d(channels, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        made = head = self.head(x - self.mean)
        kept = []
        for block in self.blocks:
            first, second, third = block.children()
            inner = first(made)
            kept.append((inner, made))
            attended = third(F.silu(second(F.silu(inner))))
            made = (attended + made) * (torch.sigmoid(attended) - 0.5)
        parts = [head, self.body(made), kept[1][1], kept[5][0]]
        shuffled: Tensor = self.tail(self.joint(torch.cat(parts, 1)))
        return shuffled


def write(name: str, folder: Path) -> Path:
    """`name`.onnx in `folder`, the same weights every time. Raises ValueError for a name that is not of NAME's form."""
    shape = NAME.fullmatch(name)
    if shape is None or (shape["depth"] is None) == (shape["kind"] == "compact"):
        raise ValueError(f"{name!r} is none of: {NAMES}")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _compact(name, int(shape["size"]), int(shape["depth"])) if shape["depth"] else _exported(shape)
    path = folder / f"{name}.onnx"
    onnx.save_model(model, str(path))
    return path


def _compact(name: str, channels: int, depth: int) -> onnx.ModelProto:
    from training.networks import generators  # with Lightning, which takes seconds
    from training.release import onnx_export

    wanted = generators.GeneratorShape(4, "compact", channels, depth, expansion=0)
    return onnx_export.to_onnx(generators.plain(generators.build(wanted)), {"name": name})


def _exported(shape: re.Match[str]) -> onnx.ModelProto:
    size = int(shape["size"])
    network = RRDBNet(depth=size) if shape["kind"] == "rrdb" else SPAN(size)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        path = Path(folder) / "exported.onnx"
        names = {"input_names": ["input"], "output_names": ["output"]}
        torch.onnx.export(network.eval(), (torch.rand(1, 3, 24, 32),), path, opset_version=17, dynamo=False, **names)  # type: ignore[arg-type]
        made = simplification.for_any_size(simplification.simplified(onnx.load(path)))
    onnx.helper.set_model_props(made, {"name": shape[0]})
    return made
