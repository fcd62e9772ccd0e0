"""The networks that are trained, and the plain form of them that is shipped."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.fake_quantization import FakeQuantization
from training.settings import require

# Middle of the range of the input: kernels of the first layer see deviations from it, or they all learn brightness.
CENTRE = 0.5
SLOPE = 0.25  # of a new PReLU (He et al. 2015)


@dataclasses.dataclass(frozen=True)
class GeneratorShape:
    """What determines a generator's network, besides its weights."""

    scale: int
    kind: str = "compact"
    channels: int = 32
    depth: int = 10  # convolutions of compact, residual blocks of srresnet
    expansion: int = 128  # width of the collapsed linear branch; 0 trains plain convolutions
    upsampler: str = "subpixel"  # of srresnet
    fold: int = 1  # of compact: it works on blocks of fold x fold pixels (space to depth)
    base: str = "nearest"  # of compact: the enlargement that its last layer is added to

    def check(self) -> None:
        require(self.kind in ("compact", "srresnet"), "generator.kind", self.kind, "compact or srresnet")
        require(self.scale in (2, 3, 4), "generator.scale", self.scale, "2, 3 or 4")
        require(self.channels > 0 and self.depth > 0, "generator.channels / depth", self.channels, "positive")
        require(self.expansion >= 0, "generator.expansion", self.expansion, "0 or more")
        known = ("subpixel", "deconv", "resize")
        require(self.upsampler in known, "generator.upsampler", self.upsampler, ", ".join(known))
        require(self.fold in (1, 2, 4), "generator.fold", self.fold, "1, 2 or 4")
        require(self.base in ("nearest", "bicubic"), "generator.base", self.base, "nearest or bicubic")
        if self.kind != "compact":
            require(
                self.fold == 1 and self.base == "nearest", "generator.fold / base", self.fold, "left out: compact's"
            )


class CollapsibleConv(nn.Module):
    """A convolution trained as size x size -> `expansion` channels -> 1x1 (+ identity), folded in weight space.

    Only the folded kernel meets the image, so the over-parameterisation costs a small matrix product per step and
    nothing at run time (collapsible linear blocks: Bhardwaj et al. 2022, SESR). With an `expansion` of 0 it is trained
    as it is. `centre` is subtracted from every input by way of the bias; the zero padding stays zero. `start` is a
    kernel that what is learned is added to, instead of the identity.
    """

    start: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        expansion: int,
        size: int = 3,
        gain: float = 1.0,
        centre: float = 0.0,
        identity: bool = True,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.size, self.centre = inputs, outputs, size, centre
        fan = inputs * size**2
        if expansion:
            self.spatial = nn.Parameter(torch.randn(expansion, fan) * math.sqrt(2 / fan))
            self.project = nn.Parameter(torch.randn(outputs, expansion) * (0.5 * gain / math.sqrt(expansion)))
        else:
            self.register_parameter("spatial", None)
            self.project = nn.Parameter(torch.randn(outputs, fan) * (gain * math.sqrt(2 / fan)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        fixed = torch.zeros(outputs, inputs, size, size)
        if start is not None:
            fixed = start
        elif identity and inputs == outputs:
            fixed[range(outputs), range(inputs), size // 2, size // 2] = 1
        self.register_buffer("start", fixed, persistent=False)
        self.fake_quantization: FakeQuantization | None = None  # set while training simulates int8

    def kernel(self) -> Tensor:
        """The folded kernel, outputs x inputs x size x size."""
        with torch.autocast(self.project.device.type, enabled=False):
            flat = self.project if self.spatial is None else self.project @ self.spatial
            return flat.view(self.start.shape) + self.start

    @torch.no_grad()
    def set_kernel(self, kernel: Tensor) -> None:
        """Fold to `kernel` from now on: balanced factors by singular values, spare rows kept behind zeros."""
        wanted = (kernel - self.start).flatten(1)
        if self.spatial is None:
            self.project.copy_(wanted)
            return
        u, s, v = torch.linalg.svd(wanted, full_matrices=False)
        rank, width = len(s), self.spatial.shape[0]
        if rank > width:
            raise ValueError(f"an expansion of {width} cannot hold a kernel of rank {rank}")
        self.spatial[:rank] = s.sqrt()[:, None] * v
        self.project.zero_()
        self.project[:, :rank] = u * s.sqrt()

    def shift(self, kernel: Tensor) -> Tensor:
        """The bias that goes with `kernel`, `centre` folded in."""
        return self.bias - self.centre * kernel.sum((1, 2, 3)) if self.centre else self.bias

    @torch.no_grad()
    def set_shift(self, shift: Tensor) -> None:
        """The inverse of `shift`, for the present kernel."""
        self.bias.copy_(shift + self.centre * self.kernel().sum((1, 2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel().contiguous(memory_format=torch.channels_last)
        shift = self.shift(kernel)
        if self.fake_quantization is not None:
            x, kernel = self.fake_quantization(x, kernel)
        return F.conv2d(x, kernel, shift, padding=self.size // 2)

    @torch.no_grad()
    def plain(self) -> nn.Conv2d:
        """The same function as an ordinary convolution."""
        conv = nn.Conv2d(self.inputs, self.outputs, self.size, padding=self.size // 2)
        kernel = self.kernel()
        conv.weight.copy_(kernel)
        conv.bias.copy_(self.shift(kernel))  # type: ignore[union-attr]
        return conv


class Compact(nn.Module):
    """conv 3->C, `depth` x (conv C->C + PReLU), conv C->3s^2, pixel shuffle, + an enlargement of the input.

    NCHW float RGB in 0..1, output `scale` times larger. (The plain chain of Shi et al. 2016 with
    the anchor residual of Du et al. 2021.) With `fold` f it works on blocks of f x f pixels as f^2 times as many
    channels: at equal work twice the reach and four times the weights for f = 2. Sides must be multiples of f: the
    runtime fills frames up. `base`: the enlargement, "nearest" or "bicubic" (Keys 1981 with a = -0.75).
    """

    def __init__(
        self,
        scale: int,
        channels: int = 32,
        depth: int = 10,
        expansion: int = 128,
        fold: int = 1,
        base: str = "nearest",
    ) -> None:
        super().__init__()
        self.scale, self.fold, self.base = scale, fold, base
        convs = [CollapsibleConv(3 * fold**2, channels, expansion, centre=CENTRE)]
        # Without an expansion, which tames it, what is added to the identity doubles the variance layer by layer.
        gain = 1.0 if expansion else 0.1
        convs += [CollapsibleConv(channels, channels, expansion, gain=gain) for _ in range(depth)]
        self.body = nn.ModuleList(convs)
        self.activations = nn.ModuleList(nn.PReLU(channels, init=SLOPE) for _ in convs)
        self.tail = CollapsibleConv(channels, 3 * (scale * fold) ** 2, expansion, gain=0.1 if expansion else 0.02)
        if fold > 1:
            start_equal(self.tail, (scale * fold) ** 2)

    def forward(self, x: Tensor) -> Tensor:
        features = space_to_depth(x, self.fold).contiguous(memory_format=torch.channels_last)
        for conv, activation in zip(self.body, self.activations, strict=True):
            features = activation(conv(features))
        made = F.pixel_shuffle(self.tail(features).to(x.dtype), self.scale * self.fold)
        return made + enlarged(x, self.scale, self.base)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """NCHW to N x block^2 C x H/block x W/block; a pixel's channels stay together, as in ONNX's SpaceToDepth."""
    n, c, h, w = x.shape
    return F.pixel_unshuffle(x, block).view(n, c, block**2, h // block, w // block).transpose(1, 2).flatten(1, 2)


def enlarged(x: Tensor, scale: int, base: str) -> Tensor:
    """NCHW `x` enlarged by interpolation: "nearest" or "bicubic"."""
    corners = None if base == "nearest" else False
    return F.interpolate(x, scale_factor=float(scale), mode=base, align_corners=corners)


@torch.no_grad()
def start_equal(conv: CollapsibleConv, factor: int) -> None:
    """Let the `factor` sub-pixels of a channel begin equal: no checkerboard to unlearn (ICNR: Aitken et al. 2017)."""
    conv.project.copy_(conv.project[::factor].repeat_interleave(factor, 0))


CARRIED = 3  # first channels of an SRResNet, which begin as the colours, enlarged by interpolation


def triangle(factor: int, kind: str) -> Tensor:
    """Bilinear enlargement along one axis as an upsampler's taps.

    "subpixel": factor x 3, for each sub-pixel; "deconv": 2 * factor; "resize": 3, behind repeated pixels.
    """
    if kind == "resize":
        return torch.tensor([1 / 4, 1 / 2, 1 / 4] if factor == 2 else [1 / 3, 1 / 3, 1 / 3])
    if kind == "deconv":
        middle = (factor + 1) // 2 + (factor - 1) / 2
        return (1 - (torch.arange(2 * factor) - middle).abs() / factor).clamp(min=0)
    offset = (torch.arange(factor) + 0.5) / factor - 0.5
    return torch.stack([(-offset).clamp(min=0), 1 - offset.abs(), offset.clamp(min=0)], 1)


def carrying(outputs: int, inputs: int, taps: Tensor) -> Tensor:
    """A kernel that hands the carried channels on through `taps`, rows x columns (or sub-pixels x rows x columns)."""
    taps = taps.reshape(-1, *taps.shape[-2:])
    start = torch.zeros(outputs, inputs, *taps.shape[-2:])
    for c in range(min(CARRIED, inputs, outputs // len(taps))):
        start[c * len(taps) : (c + 1) * len(taps), c] = taps
    return start


def delta(size: int) -> Tensor:
    """Taps that change nothing."""
    taps = torch.zeros(size, size)
    taps[size // 2, size // 2] = 1
    return taps


class SubPixel(nn.Module):
    """Convolution to channels * factor^2, pixel shuffle, PReLU (Shi et al. 2016)."""

    def __init__(self, channels: int, factor: int, expansion: int) -> None:
        super().__init__()
        self.factor = factor
        taps = triangle(factor, "subpixel")
        taps = torch.einsum("ay,bx->abyx", taps, taps).flatten(0, 1)
        self.conv = CollapsibleConv(
            channels, channels * factor**2, expansion, start=carrying(channels * factor**2, channels, taps)
        )
        start_equal(self.conv, factor**2)
        self.conv.project.data[: CARRIED * factor**2] = 0
        self.activation = nn.PReLU(channels, init=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.activation(F.pixel_shuffle(self.conv(x), self.factor))
        return made


class Deconvolution(nn.Module):
    """Transposed convolution, PReLU; the kernel is a multiple of the stride, or it leaves a checkerboard."""

    def __init__(self, channels: int, factor: int, expansion: int) -> None:
        super().__init__()
        pad, extra = (factor + 1) // 2, factor % 2
        self.conv = nn.ConvTranspose2d(channels, channels, 2 * factor, factor, pad, extra)
        taps = triangle(factor, "deconv")
        with torch.no_grad():
            self.conv.weight[:, :CARRIED] = carrying(channels, channels, taps.outer(taps)).transpose(0, 1)[:, :CARRIED]
            self.conv.bias[:CARRIED] = 0  # type: ignore[index]
        self.activation = nn.PReLU(channels, init=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.activation(self.conv(x))
        return made


class ResizeConvolution(nn.Module):
    """Pixels repeated, then a convolution and PReLU (Odena et al. 2016)."""

    def __init__(self, channels: int, factor: int, expansion: int) -> None:
        super().__init__()
        self.factor = factor
        taps = triangle(factor, "resize")
        start = carrying(channels, channels, taps.outer(taps))
        self.conv = CollapsibleConv(channels, channels, expansion, start=start)
        self.conv.project.data[:CARRIED] = 0
        self.activation = nn.PReLU(channels, init=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.activation(self.conv(F.interpolate(x, scale_factor=float(self.factor), mode="nearest")))
        return made


UPSAMPLERS = {"subpixel": SubPixel, "deconv": Deconvolution, "resize": ResizeConvolution}


class ResidualBlock(nn.Module):
    """conv, PReLU, conv, + input; batch norm left out (it costs fidelity and range: Lim et al. 2017)."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.first = CollapsibleConv(channels, channels, expansion, identity=False)  # the block has its own
        self.activation = nn.PReLU(channels, init=SLOPE)
        self.second = CollapsibleConv(channels, channels, expansion, gain=0.1, identity=False)
        self.second.project.data[:CARRIED] = 0

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.second(self.activation(self.first(x)))
        return made


class SRResNet(nn.Module):
    """9x9 head, `depth` residual blocks, a skip around them, upsamplers of 2 or 3, 9x9 tail (Ledig et al. 2017).

    NCHW float RGB in 0..1, any height and width; output `scale` times larger. Untrained it is a bilinear enlargement,
    nearly: three channels begin as the colours and are handed through, so that learning begins there.
    """

    def __init__(
        self, scale: int, channels: int = 64, depth: int = 16, expansion: int = 0, upsampler: str = "subpixel"
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = CollapsibleConv(3, channels, 0, size=9, centre=CENTRE, start=carrying(channels, 3, delta(9)))
        self.head.project.data[:CARRIED] = 0
        self.head.bias.data[:CARRIED] = CENTRE  # colours are carried as they are: PReLU bends what is below 0
        self.head_activation = nn.PReLU(channels, init=SLOPE)
        self.blocks = nn.ModuleList(ResidualBlock(channels, expansion) for _ in range(depth))
        self.after = CollapsibleConv(channels, channels, expansion, gain=0.1, identity=False)
        self.after.project.data[:CARRIED] = 0
        factors = [2] * int(math.log2(scale)) if scale in (2, 4) else [scale]
        make = UPSAMPLERS[upsampler]
        self.upsamplers = nn.ModuleList(make(channels, factor, expansion) for factor in factors)
        self.tail = CollapsibleConv(channels, 3, 0, size=9, gain=0.02, start=carrying(3, channels, delta(9)))

    def forward(self, x: Tensor) -> Tensor:
        start = self.head_activation(self.head(x.contiguous(memory_format=torch.channels_last)))
        features = start
        for block in self.blocks:
            features = block(features)
        features = start + self.after(features)
        for upsampler in self.upsamplers:
            features = upsampler(features)
        made: Tensor = self.tail(features)
        return made.to(x.dtype)


Network = Compact | SRResNet


@torch.no_grad()
def plain(network: Any) -> Any:
    """A copy of `network` whose convolutions are ordinary ones, for export and inference."""
    made = copy.deepcopy(network)
    for parent in list(made.modules()):
        for name, child in parent.named_children():
            if isinstance(child, CollapsibleConv):
                setattr(parent, name, child.plain())
    return made.eval()


@torch.no_grad()
def load_plain(network: Network, state: dict[str, Tensor]) -> list[str]:
    """Give `network` the tensors of a plain one (`name.weight`, `name.bias`); returns the names that do not fit."""
    left = dict(state)
    for name, module in network.named_modules():
        for key, tensor in [(k, left[k]) for k in (f"{name}.weight", f"{name}.bias") if k in left]:
            kind = key.rpartition(".")[2]
            collapsible = isinstance(module, CollapsibleConv)
            held = module.start if collapsible and kind == "weight" else getattr(module, kind, None)
            if held is None or held.shape != tensor.shape:
                continue
            if not isinstance(module, CollapsibleConv):
                held.copy_(tensor)
            elif kind == "weight":
                module.set_kernel(tensor)
            else:
                module.set_shift(tensor)
            del left[key]
    return list(left)


def simulate_int8(network: Network, ranges: dict[str, tuple[float, float]]) -> None:
    """Let each convolution that `ranges` names, by its module, round as int8 would; all others compute in float."""
    for name, module in network.named_modules():
        if isinstance(module, CollapsibleConv):
            module.fake_quantization = FakeQuantization(*ranges[name]) if name in ranges else None


def build(shape: GeneratorShape) -> Network:
    """An untrained generator of this shape, initialised from torch's global random state."""
    if shape.kind == "srresnet":
        return SRResNet(shape.scale, shape.channels, shape.depth, shape.expansion, shape.upsampler)
    return Compact(shape.scale, shape.channels, shape.depth, shape.expansion, shape.fold, shape.base)
