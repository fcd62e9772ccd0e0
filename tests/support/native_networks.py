"""Networks of every kind of step that the native engine has, with ranges for int8; and frames for them."""

import json

import numpy as np
from support.small_models import MODELS, Builder, gated, rrdb

from fastsr.network import onnx_reader, quantization

WIDE = (-2.0, 3.0)


def kernels(seed=0):
    """Every kernel size, kernels that are not square, PReLU before a shuffle."""
    b = Builder(3, seed).conv(10, 5).add("LeakyRelu", alpha=0.2).conv(7, 1).add("Relu").conv(9, 7)
    weight = b.random.standard_normal((12, 9, 1, 3)).astype(np.float32) * 0.2
    b.add("Conv", b.weight(weight), pads=[0, 1, 0, 1])
    b.deep = 12
    return b.prelu().shuffle(2).conv(12).shuffle(2, "DCR")


def sums(seed=0):
    """Additions on their own, of the input, of a tensor read twice; a clamp; the input repeated."""
    b = Builder(3, seed).conv(3).add("Add", "input").conv(16)
    trunk = b.x
    b.prelu()
    left, b.x = b.x, trunk
    b.conv(16).add("Add", left).add("Add", trunk).add("Clip", b.weight(np.float32(-0.5)), b.weight(np.float32(0.9)))
    return b.resize(3).conv(3, 9).add("LeakyRelu", alpha=0.1).residual(3)


def clipped(seed=0):
    """The clamp at the end that exporters like, and a shuffle that is not the last operator."""
    b = Builder(3, seed).conv(40).prelu().conv(12).shuffle(2).conv(3)
    return b.add("Clip", b.weight(np.float32(0)), b.weight(np.float32(1)))


def wide(seed=0):
    """Channels enough for tiles of four rows: stacked, shuffled, added, at two resolutions, beside other kernels."""
    b = Builder(3, seed).conv(40).prelu()
    trunk = b.x
    b.conv(40).prelu().conv(40).add("Add", trunk).conv(32, 5).conv(128).shuffle(2).prelu().conv(33).prelu()
    return b.conv(3).residual(2)


def deep(seed=0):
    """Tiles of four rows behind one another, so that they begin at every one of four rows and columns."""
    b = Builder(3, seed).conv(32)
    trunk = b.x
    for _ in range(DEEP):
        b.conv(32).prelu()
    return b.add("Add", trunk).conv(128).shuffle(2).conv(32).conv(32).conv(3)


def stack(channels):
    """Convolutions of one width: on their own, added, of one row, shuffled; and a 9x9 one of few outputs."""
    b = Builder(3, channels).conv(channels).prelu()
    trunk = b.x
    b.conv(channels).prelu().conv(channels).add("Add", trunk)
    weight = b.random.standard_normal((channels, channels, 1, 3)).astype(np.float32) * 0.1
    b.add("Conv", b.weight(weight), pads=[0, 1, 0, 1])
    return b.conv(4 * channels).shuffle(2).prelu().conv(3, 9)


def gray(seed=0):
    """One channel, a last shuffle behind a kernel of few outputs."""
    return Builder(1, seed).conv(5, 3).add("Relu").conv(1, 9).residual(1)


def folded(scale, channels, fold=2, base="cubic"):
    """Blocks of pixels as pixels, the input enlarged by cubic convolution behind the last shuffle."""
    b = Builder(3, scale).unshuffle(fold).conv(channels).prelu().conv(channels).prelu()
    b.conv(3 * (scale * fold) ** 2).shuffle(scale * fold)
    if base is None:
        return b
    made, b.x = b.x, "input"
    return b.resize(scale, "cubic").add("Add", made)


def bicubic(seed=0):
    """An enlargement in two steps with the bicubic one added: the last body row lies inside an input pixel."""
    b = Builder(3, seed).conv(16).prelu().conv(16).shuffle(2).prelu().conv(12).shuffle(2)
    made, b.x = b.x, "input"
    return b.resize(4, "cubic").add("Add", made)


def parted(seed=0):
    """Channels split off inside of a vector, and joined with themselves, the input, and across concatenations."""
    b = Builder(3, seed).conv(20)
    left, right = b.split(7, 13)
    b.x, b.deep = left
    b.conv(7).prelu()
    made = (b.x, 7)
    b.concat(made, right).add("LeakyRelu", alpha=0.3).conv(13).add("Div", b.weight(np.float32(3))).add("Mul", right[0])
    product, (b.x, _) = b.x, right
    b.add("Sub", product).add("Tanh")
    tanh = (b.x, 13)
    joined = b.concat(tanh, left, left, ("input", 3), made).x
    b.conv(27)
    first = (b.x, 27)
    b.conv(33).conv(5, 5)
    b.concat(made, (b.x, 5), first).prelu().conv(16, 9)
    b.concat((b.x, 16), (joined, 37)).conv(3, 1)
    return b


def affine(seed=0):
    """Constants for all and for each channel: before, between and behind convolutions, activations and a shuffle."""
    b = Builder(3, seed)

    def each(channels):
        return b.weight(b.random.standard_normal((1, channels, 1, 1)).astype(np.float32))

    b.scaled(2).conv(16).add("Mul", each(16)).add("Add", each(16)).prelu().scaled(0.5).conv(32, 1).add("Mul", each(32))
    b.shuffle(2).add("Mul", each(8)).add("LeakyRelu", alpha=0.2).add("Sub", each(8)).add("Relu").scaled(-3).prelu()
    trunk = b.x
    b.conv(8).add("Relu").scaled(-0.2).add("Add", trunk)
    made, b.x = b.x, b.weight(np.float32(0.7))
    return b.add("Sub", made).conv(3)


DEEP = 5  # convolutions

NATIVE = {name: MODELS[name] for name in ("compact-x2", "compact-x3", "compact-x4", "srresnet-x4")} | {
    "kernels-x4": kernels,
    "sums-x3": sums,
    "clipped-x2": clipped,
    "wide-x2": wide,
    "deep-x2": deep,
    "gray-x1": gray,
    "dense-x2": rrdb,
    "dense-odd-x2": lambda: rrdb(20, 7, 1),
    "gated-x2": gated,
    "parted-x1": parted,
    "affine-x2": affine,
    "folded-x4": lambda: folded(4, 32),
    "folded-x2": lambda: folded(2, 24, base=None),
    "folded-x1": lambda: folded(1, 8, fold=3),
    "bicubic-x4": bicubic,
}


def ranged(builder, folder):
    """A graph with a range for whatever a convolution reads."""
    bare = onnx_reader.read(builder.save(folder / "bare.onnx"))
    ranges = {name: WIDE for name in quantization.inputs(bare)} | {"input": (0.0, 1.0)}
    return onnx_reader.read(builder.save(folder / "m.onnx", metadata={"ranges": json.dumps(ranges)}))


def frame_of(seed, height, width, channels=3, dtype=np.uint8):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.random((height, width, channels), dtype=np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype=dtype)
