"""The families of super-resolution networks that people share, which engine runs each, and how one is examined.

A network with random weights is written as a file, imported, run, and compared with PyTorch. spandrel's class is taken
where it has one, else `published_networks`.
"""

import copy
import dataclasses
import importlib
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import torch
from support import published_networks as published
from torch import nn

import fastsr
from fastsr.importing import conversion, torchvision_operators
from fastsr.network import arithmetic, onnx_reader

CHECKPOINT, ONNX = ".pth", ".onnx"
NATIVE, RUNTIME = "cpu", "runtime"  # ONNX Runtime, or OpenVINO where it is installed and faster
SIDES = (24, 32)  # height and width of the image that is compared
TOLERANCE = 1e-4
SPREAD, MIDDLE = 0.2, 0.5  # standard deviation and mean that outputs are brought to, so that nearly none are clipped
MOST = 10  # times that outputs are made larger: rounding errors grow as they do
UNCOUNTED = {"MatMul", "Einsum", "Gemm"}  # arithmetic that `mflop_per_pixel` does not see


@dataclasses.dataclass(frozen=True)
class Family:
    """A family, or a variant of one.

    Attributes:
        title: of its row in docs/models.md.
        network: makes the network; the keywords are `small` or `full`.
        engine: what runs it on a CPU, NATIVE or RUNTIME.
        small: sizes for tests that take a second.
        full: sizes that models are shared in, for the table.
        file: kind of file.
        border: pixels that lack on each side of the output (in input pixels), because nothing is padded.

    """

    title: str
    network: Callable[..., nn.Module]
    engine: str
    small: dict = dataclasses.field(default_factory=dict)
    full: dict = dataclasses.field(default_factory=dict)
    file: str = CHECKPOINT
    border: int = 0

    def __call__(self, sizes):
        torch.manual_seed(0)
        return centred(self.network(**sizes).eval(), self.border)


@dataclasses.dataclass(frozen=True)
class Export:
    """How people write ONNX files."""

    opset: int
    any_size: bool = True
    half: bool = False

    def __str__(self):
        return f"opset {self.opset}, {'any' if self.any_size else 'one'} size{', half' if self.half else ''}"


EXPORTS = (
    Export(17),
    Export(11),
    Export(18, any_size=False),
    Export(16, any_size=False, half=True),
    Export(14, half=True),
)


def has_spandrel():
    """Whether the checkpoints' families can be built."""
    if any(importlib.util.find_spec(name) is None for name in ("spandrel", "einops", "safetensors")):
        return False
    torchvision_operators.settle()
    return True


def spandrel(module, name=None):
    """What makes one of spandrel's networks, which is imported then."""

    def make(**sizes):
        torchvision_operators.settle()
        return getattr(importlib.import_module(f"spandrel.architectures.{module}"), name or module)(**sizes)

    return make


def centred(network, border=0):
    """`network` with a last layer that makes values around the middle of 0..1."""
    last = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [m for m in network.modules() if isinstance(m, kinds) and m.bias is not None]
    hooks = [layer.register_forward_hook(lambda layer, *_: last.append(layer)) for layer in layers]
    image = bordered(torch.from_numpy(drawn(channels(network))).permute(2, 0, 1)[None], border)
    with torch.no_grad():
        network(image.clone())  # some networks write into what they are handed
        for hook in hooks:
            hook.remove()
        last[-1].bias += MIDDLE - network(image.clone()).mean()  # where the network clamps, that hides its spread
        last[-1].weight *= min(SPREAD / float(network(image.clone()).std()), MOST)
        last[-1].bias += MIDDLE - network(image.clone()).mean()
    return network


def bordered(image, border):
    """N x C x H x W with the outermost pixels repeated, as programs around networks that do not pad hand it on."""
    return nn.functional.pad(image, [border] * 4, mode="replicate") if border else image


def channels(network):
    """Of the image that a network takes: gray or colour; one that unshuffles pixels first reads more of them."""
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    return 1 if first.in_channels == 1 else 3


def drawn(deep, sides=SIDES):
    """An image of patches and noise, H x W x C."""
    random = np.random.default_rng(0)
    patches = random.random((sides[0] // 4, sides[1] // 4, deep), np.float32).repeat(4, 0).repeat(4, 1)
    return np.asarray(patches * 0.8 + random.random((*sides, deep), np.float32) * 0.2, np.float32)


def written(family, network, path, export=EXPORTS[0]):
    """The file of a network, as its users share it."""
    if family.file == CHECKPOINT:
        torch.save(network.state_dict(), path)
        return
    sides = [side + 2 * family.border for side in SIDES]
    image = torch.rand(1, channels(network), *sides)
    stored = copy.deepcopy(network).half() if export.half else network
    axes = {"input": {0: "n", 2: "h", 3: "w"}, "output": {0: "n", 2: "y", 3: "x"}} if export.any_size else None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            stored,
            (image.half() if export.half else image,),
            path,
            opset_version=export.opset,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes=axes,
            dynamo=False,
        )


def examined(family, sizes, folder, export=EXPORTS[0]):
    """A family's network written, imported, run on the CPU and compared with PyTorch.

    Returns what a row of the table says. The models are kept in $FASTSR_MODELS.
    """
    network = family(sizes)
    path = folder / f"model{family.file}"
    written(family, network, path, export)
    (card,) = conversion.import_file(str(path))
    graph = onnx_reader.read(card.path)
    if export.half and family.file == ONNX:  # its weights were rounded
        network = network.half().float()
    image = drawn(channels(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that the native engine cannot run it
        upscaler = fastsr.load(card.name, device="cpu")
    ours = upscaler.upscale(image)
    with torch.inference_mode():
        made = network(bordered(torch.from_numpy(image).permute(2, 0, 1)[None], family.border))
    theirs = made[0].permute(1, 2, 0).clip(0, 1).numpy()
    counted = graph.operators.isdisjoint(UNCOUNTED)
    return {
        "family": family.title,
        "file": family.file,
        "engine": NATIVE if upscaler.engine == NATIVE else RUNTIME,
        "difference": float(np.abs(ours.reshape(theirs.shape) - theirs).max()),
        "scale": upscaler.scale,
        "mflop_per_pixel": round(arithmetic.mflop_per_pixel(graph), 4) if counted else None,
        "radius": graph.radius,
        "inside": float(((theirs > 0) & (theirs < 1)).mean()),
    }


RRDB, RRDB_FULL = {"num_filters": 8, "num_blocks": 2}, {"num_filters": 64, "num_blocks": 23}
WINDOWED = {"upscale": 4, "upsampler": "pixelshuffle", "resi_connection": "1conv"}
PLK = {"dim": 16, "n_blocks": 2, "kernel_size": 17}


def onnx(title, network, engine, small, full, border=0):
    return Family(title, network, engine, small, full, ONNX, border)


def esrgan(title, engine=NATIVE, **rules):
    return Family(title, spandrel("ESRGAN"), engine, RRDB | rules, RRDB_FULL | rules)


def realplksr(title, engine, **rules):
    make = spandrel("PLKSR", "RealPLKSR")
    return Family(title, make, engine, {"dim": 16, "n_blocks": 1, "kernel_size": 17} | rules, rules)


def span(scale, engine=NATIVE):
    rules = {"num_in_ch": 3, "num_out_ch": 3, "upscale": scale}
    return Family(f"SPAN, x{scale}", spandrel("SPAN"), engine, rules | {"feature_channels": 8}, rules)


def compact(scale, layers):
    full = {"num_feat": 64, "num_conv": layers, "upscale": scale}
    small = full | {"num_feat": 8, "num_conv": 2}
    return Family(f"Compact (SRVGGNet) 64x{layers}, x{scale}", spandrel("Compact"), NATIVE, small, full)


FAMILIES = {
    "esrgan-x4": esrgan("ESRGAN (RRDBNet), x4", scale=4),
    "esrgan-x8": esrgan("ESRGAN, x8", scale=8),
    "esrgan-x2": esrgan("ESRGAN, x2", scale=2),
    "esrgan-x1": esrgan("ESRGAN, x1", scale=1),
    "esrgan-unshuffled-x2": esrgan("ESRGAN with pixel-unshuffle, x2", in_nc=12, scale=4, shuffle_factor=2),
    "esrgan-unshuffled-x1": esrgan("ESRGAN with pixel-unshuffle, x1", in_nc=48, scale=4, shuffle_factor=4),
    "esrgan-plus": esrgan("ESRGAN+, x4", scale=4, plus=True),
    "compact-x4": compact(4, 16),
    "compact-x2": compact(2, 16),
    "span-x4": span(4),
    "span-x2": span(2),
    "plksr": Family("PLKSR, x4", spandrel("PLKSR"), NATIVE, PLK),
    "realplksr-layer-norm": realplksr("RealPLKSR with layer norm, x4", NATIVE, layer_norm=True),
    "realplksr-group-norm": realplksr("RealPLKSR with group norm, x4", RUNTIME),
    "realplksr-dysample": realplksr("RealPLKSR with DySample, x4", RUNTIME, dysample=True),
    "real-cugan": Family("Real-CUGAN, x2", spandrel("RealCUGAN", "UpCunet2x"), RUNTIME),
    "real-cugan-unpooled": onnx(
        "Real-CUGAN without pooling, x2", published.CUNet, NATIVE, {"pooled": False, "wide": 16}, {"pooled": False}, 18
    ),
    "artcnn-c4f32": onnx("ArtCNN C4F32, x2", published.ArtCNN, NATIVE, {"wide": 8}, {}),
    "artcnn-r8f64": onnx(
        "ArtCNN R8F64, x2",
        published.ArtCNN,
        NATIVE,
        {"wide": 8, "depth": 2, "residual": True},
        {"wide": 64, "depth": 8, "residual": True},
    ),
    "srcnn": onnx("SRCNN, x1", published.SRCNN, NATIVE, {"wide": 8, "narrow": 8}, {}),
    "espcn": onnx("ESPCN, x3", published.ESPCN, NATIVE, {"wide": 8, "narrow": 8}, {}),
    "fsrcnn": onnx("FSRCNN, x3", published.FSRCNN, NATIVE, {"wide": 8, "narrow": 4, "depth": 2}, {}),
    "srresnet": onnx("SRResNet, x4", published.SRResNet, NATIVE, {"wide": 8, "depth": 2}, {}),
    "edsr": onnx("EDSR, x4", published.EDSR, NATIVE, {"wide": 8, "depth": 2}, {}),
    "edsr-baseline": onnx(
        "EDSR baseline, x3",
        published.EDSR,
        NATIVE,
        {"wide": 8, "depth": 2, "residual": 1.0, "scale": 3},
        {"wide": 64, "depth": 16, "residual": 1.0, "scale": 3},
    ),
    "carn": onnx("CARN, x4", published.CARN, NATIVE, {"wide": 8}, {}),
    "carn-m": onnx("CARN-M, x4", published.CARN, NATIVE, {"wide": 8, "groups": 4}, {"groups": 4}),
    "ecbsr": onnx("ECBSR 4x16 on luma, x4", published.ECBSR, NATIVE, {"wide": 8, "depth": 2}, {}),
    "ecbsr-colour": onnx(
        "ECBSR 10x32, x2",
        published.ECBSR,
        NATIVE,
        {"wide": 8, "depth": 2, "channels": 3, "scale": 2},
        {"wide": 32, "depth": 10, "channels": 3, "scale": 2},
    ),
    "vgg-7": onnx("waifu2x vgg_7, x1", published.VGG7, NATIVE, {"widths": (8, 8, 8, 8, 16, 16)}, {}, 7),
    "upconv-7": onnx("waifu2x upconv_7, x2", published.UpConv7, NATIVE, {"widths": (8, 8, 8, 8, 16, 16)}, {}, 7),
    "cunet-x2": onnx("waifu2x cunet, x2", published.CUNet, RUNTIME, {"wide": 16}, {}, 18),
    "cunet-x1": onnx("waifu2x cunet, x1", published.CUNet, RUNTIME, {"wide": 16, "scale": 1}, {"scale": 1}, 28),
    "imdn": onnx("IMDN, x4", published.IMDN, RUNTIME, {"wide": 16, "depth": 2}, {}),
    "rfdn": onnx("RFDN, x4", published.RFDN, RUNTIME, {"wide": 16, "depth": 2}, {}),
    "rlfn": onnx("RLFN, x4", published.RLFN, RUNTIME, {"wide": 16, "depth": 2, "attention": 4}, {}),
    "rcan": Family("RCAN, x4", spandrel("RCAN"), RUNTIME, {"n_resgroups": 1, "n_resblocks": 2, "n_feats": 16}),
    "swinir": Family(
        "SwinIR-M, x4",
        spandrel("SwinIR"),
        RUNTIME,
        WINDOWED | {"img_size": 48, "window_size": 8, "depths": [2], "embed_dim": 12, "num_heads": [2]},
        WINDOWED
        | {"img_size": 64, "window_size": 8, "depths": [6] * 6, "embed_dim": 180, "num_heads": [6] * 6, "mlp_ratio": 2},
    ),
    "hat": Family(
        "HAT, x4",
        spandrel("HAT"),
        RUNTIME,
        WINDOWED
        | {"img_size": 64, "window_size": 16, "depths": [2], "embed_dim": 24, "num_heads": [2], "squeeze_factor": 6},
        WINDOWED
        | {
            "img_size": 64,
            "window_size": 16,
            "depths": [6] * 6,
            "embed_dim": 180,
            "num_heads": [6] * 6,
            "mlp_ratio": 2,
        },
    ),
    "dat": Family(
        "DAT, x4",
        spandrel("DAT"),
        RUNTIME,
        WINDOWED | {"img_size": 64, "split_size": [8, 16], "depth": [2], "embed_dim": 24, "num_heads": [2]},
        WINDOWED | {"img_size": 64, "split_size": [8, 32], "depth": [6] * 6, "embed_dim": 180, "num_heads": [6] * 6},
    ),
    "omnisr": Family(
        "OmniSR, x4",
        spandrel("OmniSR"),
        RUNTIME,
        {"num_feat": 16, "res_num": 1, "block_num": 1, "window_size": 8, "up_scale": 4},
        {"num_feat": 64, "res_num": 5, "block_num": 1, "window_size": 8, "up_scale": 4},
    ),
    "safmn": Family(
        "SAFMN, x4",
        spandrel("SAFMN"),
        RUNTIME,
        {"dim": 12, "n_blocks": 1, "upscaling_factor": 4},
        {"dim": 36, "n_blocks": 8, "upscaling_factor": 4},
    ),
}
