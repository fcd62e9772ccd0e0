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


def chains(b, x):
    """What exporters write for one function of `x`, by its name; each leaves its result in the builder."""
    half, one = b.constant(0.5), b.constant(1)

    def silu():
        b.x = x
        b.add("Sigmoid").add("Mul", x)

    def mish():
        b.x = x
        b.add("Softplus").add("Tanh").add("Mul", x)

    def gelu_halved_last():
        b.x = x
        b.add("Div", b.constant(2**0.5)).add("Erf").add("Add", one)
        b.both("Mul", x, b.x).add("Mul", half)

    def gelu_halved_first():
        b.x = x
        b.add("Mul", b.constant(0.5**0.5)).add("Erf").add("Add", one)
        curve, b.x = b.x, x
        b.add("Mul", half).add("Mul", curve)

    def gelu_tanh():
        b.x = x
        b.add("Pow", b.constant(3)).add("Mul", b.constant(0.044715))
        b.both("Add", x, b.x).add("Mul", b.constant((2 / np.pi) ** 0.5)).add("Tanh").add("Add", one)
        b.both("Mul", x, b.x).add("Mul", half)

    def hard_swish():
        b.x = x
        b.add("HardSigmoid", alpha=1 / 6, beta=0.5).add("Mul", x)

    return silu, mish, gelu_halved_last, gelu_halved_first, gelu_tanh, hard_swish


FUNCTIONS = ("Sigmoid", "Tanh", "Softplus", "Elu", "HardSwish", "HardSigmoid", "Erf", "Abs", "Neg")


def functions(seed=0):
    """Every function of one operator: behind a convolution, in front of one and behind other steps."""
    b = Builder(3, seed)
    for i, op in enumerate(FUNCTIONS):
        b.conv(8 if i % 2 else 33, 3 if i % 3 else 1).add(op, **({"alpha": 0.7} if op == "Elu" else {}))
    b.prelu().add("Abs").conv(8).add("Exp").add("Add", b.constant(1)).add("Sqrt").add("Pow", b.constant(2)).conv(16)
    return b.shuffle(2).add("Clip", b.constant(0.2), b.constant(1)).add("Reciprocal").resize(2).conv(3).scaled(0.3)


def chained(seed=0):
    """Functions as chains of operators, behind convolutions in tiles and along the row, and behind a shuffle."""
    b = Builder(3, seed)
    for i in range(len(chains(Builder(), "input"))):
        b.conv(40 if i % 2 else 24)
        chains(b, b.x)[i]()
    b.conv(128).shuffle(2)
    chains(b, b.x)[0]()
    return b.add("Tanh").conv(3).scaled(0.3).add("Add", b.constant(0.5))


def gates(seed=0):
    """Products and quotients of tensors, in every order; one channel times many; an activation behind a sum."""
    b = Builder(3, seed).conv(24)
    x = b.x
    b.conv(24).add("Sigmoid").both("Mul", x, b.x)  # RealPLKSR's gate
    y = b.x
    b.conv(24).add("Mul", y)
    b.conv(24).both("Add", y, b.x).add("Relu")
    z = b.x
    b.conv(24).add("Add", z).add("LeakyRelu", alpha=0.3).add("Tanh")
    b.both("Sub", z, b.x).conv(24).add("Add", x).add("Clip", b.constant(-1), b.constant(1))
    kept = b.x
    b.add("Abs").add("Add", b.constant(0.5))
    b.both("Div", kept, b.x).conv(1).add("Sigmoid")
    b.both("Mul", kept, b.x)
    b.deep = 24
    b.conv(40)
    wide = b.x
    b.add("Sigmoid").add("Sub", b.constant(0.5)).add("Mul", wide).conv(40).add("Mul", b.x).conv(3)
    return b.add("Max", b.constant(-0.2)).add("Min", b.constant(0.9)).residual(1)


def layer_norm(b, axes, x):
    """A normalization written out, over an axis; `x` less its mean is computed once."""
    b.x = x
    b.add("ReduceMean", axes=axes, keepdims=1)
    b.both("Sub", x, b.x)
    apart = b.x
    b.add("Pow", b.constant(2)).add("ReduceMean", axes=axes, keepdims=1).add("Add", b.constant(1e-6)).add("Sqrt")
    return b.both("Div", apart, b.x)


def normalized(seed=0):
    """Normalization over channels in every form; of more channels than vectors, and none that fills one."""
    b = Builder(3, seed).conv(20)
    layer_norm(b, [1], b.x).add("Mul", b.each()).add("Add", b.each((-1, 1, 1))).conv(24).prelu()
    b.transposed_axes(0, 2, 3, 1).add("LayerNormalization", b.each((-1,)), b.each((-1,)), axis=-1, epsilon=1e-5)
    b.transposed_axes(0, 3, 1, 2).add("Sigmoid").conv(33).transposed_axes(0, 2, 3, 1)
    layer_norm(b, [-1], b.x).add("Mul", b.each((-1,))).add("Add", b.each((-1,))).transposed_axes(0, 3, 1, 2).conv(16)
    x = b.x
    b.add("Mul", x).add("ReduceMean", axes=[1], keepdims=1).add("Add", b.constant(1e-5)).add("Sqrt").add("Reciprocal")
    return b.both("Mul", x, b.x).add("Mul", b.each()).add("Add", x).conv(12).shuffle(2)


def enlarged(seed=0):
    """Bilinear enlargement inside, of the input, and behind the last layer."""
    place = {"coordinate_transformation_mode": "pytorch_half_pixel"}
    b = Builder(3, seed).conv(20).resize(2, "linear", coordinate_transformation_mode="half_pixel").prelu().conv(12)
    made, b.x, b.deep = b.x, "input", 3
    b.resize(2, "linear", **place).conv(12, 1).add("Add", made).conv(27).shuffle(3)
    made, b.x = b.x, "input"
    return b.resize(6, "linear", **place).add("Add", made)


def bilinear(seed=0):
    """The input enlarged bilinearly and added at the end, as the store does it."""
    b = Builder(3, seed).conv(16).prelu().conv(12).shuffle(2)
    made, b.x = b.x, "input"
    return b.resize(2, "linear", coordinate_transformation_mode="half_pixel").add("Add", made)


def constants(seed=0):
    """Constants as either operand, of every shape; a mean taken off before padding; operators without effect."""
    b = Builder(3, seed)
    b.both("Sub", "input", b.each()).add("Identity").conv(16)
    start = b.x
    b.both("Mul", b.each((-1, 1, 1)), b.x).both("Add", b.each(), b.x).both("Sub", b.constant([0.7]), b.x)
    b.add("Cast", to=1).conv(16).add("Dropout").both("Mul", b.constant(0.2), b.x).both("Add", b.x, start)
    b.conv(16).both("Mul", b.x, b.constant([[[0.2]]])).both("Add", start, b.x)
    b.add("Abs").add("Add", b.constant(1)).both("Div", b.constant(2), b.x).conv(16)
    weights = [b.weight(b.random.random(16).astype(np.float32) + 0.5) for _ in range(4)]
    return (
        b.add("BatchNormalization", *weights)
        .add("Relu")
        .conv(3, 1)
        .add("Div", b.each())
        .scaled(0.1)
        .add("Add", b.constant(0.5))
    )


def sliced(seed=0):
    """Channels cut out as an assignment to a part of them is exported (PLKSR); inside of a vector; of the input."""
    b = Builder(3, seed).conv(33)
    for first in (16, 5):
        whole = b.x
        b.sliced(0, first).conv(first, 5)
        made, (b.x, b.deep) = (b.x, first), (whole, 33)
        b.sliced(first, 1 << 40)
        b.concat(made, (b.x, 33 - first)).conv(33, 1).add("Tanh")
    wide = b.x
    b.sliced(-7, -2).add("Sigmoid")
    gate, (b.x, b.deep) = b.x, (wide, 33)
    b.sliced(3, 8).add("Mul", gate)
    made, (b.x, b.deep) = (b.x, 5), ("input", 3)
    return b.concat(made, (b.sliced(1, 3).x, 2)).conv(12).shuffle(2)


def valid(seed=0):
    """Convolutions that pad nothing, behind a border that is repeated; what is left of an earlier tensor is added."""
    b = Builder(3, seed).pad(7, 6, 7, 7, "edge").conv(16, 3, pads=[0] * 4).add("LeakyRelu", alpha=0.1)
    b.conv(32, 3, pads=[0] * 4).add("LeakyRelu", alpha=0.1)
    before = b.x
    b.conv(32, 3, pads=[0] * 4).prelu().conv(32, 5, pads=[1, 0, 1, 2])
    made, b.x = b.x, before
    b.pad(-2, -2, -2, -2).add("Add", made)
    b.conv(12, 3, pads=[0] * 4).conv(12, 3, pads=[0] * 4)
    return b.pad(0, 1, 0, -1).add("Slice", *(b.weight(np.array(v)) for v in ([1, 1], [-1, 2**62], [2, 3]))).shuffle(2)


def bordered(seed=0):
    """Borders of every kind inside of a network; kernels that are even, apart, or of 17 rows; one-sided pads."""
    b = Builder(3, seed).pad(1, 2, 3, 0, "reflect").conv(20, 4, pads=[0, 1, 0, 2])
    b.pad(-1, 2, 2, -1, "edge").conv(28, 3, pads=[1, 0, 0, 0]).prelu().pad(2, 1, 1, 1, "reflect")
    b.conv(28, 3, pads=[0, 0, 1, 1]).pad(2, 2, 2, 2).conv(16, 2, 3).conv(8, 3, 2)
    return b.conv(6, 17).pad(-3, -3, 4, 4).conv(3, 8, pads=[0, 0, 0, 1])


def unet(seed=0):
    """Half and a quarter of the resolution inside, nothing padded; crops of earlier tensors are added and joined."""
    b = Builder(3, seed).pad(13, 13, 13, 13, "reflect").conv(16, pads=[0] * 4).prelu()
    first = b.x
    b.conv(32, 2, stride=2, pads=[0] * 4).prelu().conv(32, pads=[0] * 4).prelu()
    second = b.x
    b.conv(40, 2, stride=2, pads=[0] * 4).conv(32, pads=[0] * 4).add("LeakyRelu", alpha=0.1)
    b.transposed(32, 2).scaled(8).prelu()
    made, b.x = b.x, second
    b.pad(-2, -2, -2, -2).add("Add", made).conv(32, pads=[0] * 4).transposed(12, 2).scaled(8)
    made, b.x = (b.x, 12), first
    b.pad(-8, -8, -8, -8)
    return b.concat((b.x, 16), made).conv(24, pads=[0] * 4).transposed(3, 4, pads=[7] * 4).scaled(4)


def strided(seed=0):
    """Strides at the input and behind it, blocks of pixels inside, kernels that blocks do not divide, other growths."""
    b = Builder(3, seed).conv(16, 3, stride=2).prelu()
    before = b.x
    b.conv(30, 5, stride=3, pads=[1, 2, 2, 0]).transposed(16, 5, 3, pads=[1, 1, 1, 1]).scaled(8).prelu()
    b.add("Add", before)
    b.unshuffle(3).conv(36, 1).shuffle(3).transposed(8, 3, pads=[1] * 4, output_padding=[1] * 2).scaled(4)
    b.conv(8, 2, 2, pads=[1] * 4)
    return b.transposed(3, 9, 2, pads=[4] * 4, output_padding=[1] * 2).scaled(2)


def halved(base, seed=0):
    """Half of the resolution inside, blocks of an input that is read elsewhere too, and added enlarged at the end."""
    b = Builder(3, seed).conv(16).prelu()
    first, b.x, b.deep = b.x, "input", 3
    b.unshuffle(2).conv(32).prelu().shuffle(2).conv(16).add("Add", first).conv(16, stride=2).conv(32).shuffle(2)
    b.conv(12).shuffle(2)
    made, b.x = b.x, "input"
    return b.resize(2, base).add("Add", made)


def grouped(seed=0):
    """Depthwise convolutions, with strides and apart ones too, groups small and large, also of transposed ones."""
    b = Builder(3, seed).conv(3, 5, group=3).conv(20).add("Relu")
    trunk = b.x
    b.conv(20, 7, group=20).prelu().conv(20, 3, 2, group=20).add("Add", trunk).conv(40, 3, group=2).prelu()
    left, right = b.split(17, 23)
    b.x, b.deep = left
    b.conv(17, 5, group=17, pads=[0, 1, 4, 3]).add("Clip", b.weight(np.float32(-1)), b.weight(np.float32(2)))
    b.concat((b.x, 17), right).conv(64, 1).conv(64, 3, group=32).add("LeakyRelu", alpha=0.2)
    b.conv(64, 3, stride=2, group=64).conv(48, 5, group=4).conv(96, 3, stride=2, group=3, pads=[1, 1, 1, 1])
    b.transposed(12, 4, group=6).scaled(10)
    return b.add("Tanh").transposed(3, 4, group=3).scaled(10)


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
    "functions-x4": functions,
    "chained-x2": chained,
    "gates-x1": gates,
    "normalized-x2": normalized,
    "enlarged-x6": enlarged,
    "bilinear-x2": bilinear,
    "constants-x1": constants,
    "sliced-x2": sliced,
    "folded-x4": lambda: folded(4, 32),
    "folded-x2": lambda: folded(2, 24, base=None),
    "folded-x1": lambda: folded(1, 8, fold=3),
    "bicubic-x4": bicubic,
    "valid-x2": valid,
    "unet-x2": unet,
    "strided-x2": strided,
    "grouped-x1": grouped,
    "halved-x2": lambda: halved("nearest"),
    "halved-cubic-x2": lambda: halved("cubic"),
    "deconvolved-x4": MODELS["deconvolved-x4"],
    "downsampling-x2": MODELS["downsampling-x2"],
    "bordered-x1": bordered,
}


# With convolutions that stay in float in int8: depthwise ones, and transposed ones, whose inputs have no ranges.
PARTLY_FLOAT = ("unet-x2", "strided-x2", "deconvolved-x4", "grouped-x1")


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
