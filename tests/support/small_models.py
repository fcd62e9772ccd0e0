"""Small generators with random weights, written as ONNX."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SAMPLE = Path(__file__).parents[2] / "benchmarks" / "assets" / "photo.jpg"


class Builder:
    """Adds operators to a chain that starts at "input"."""

    def __init__(self, channels=3, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []
        self.x, self.deep, self.inputs = "input", channels, channels

    def add(self, op, *inputs, **attributes):
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.x, *inputs], [name], **attributes))
        self.x = name
        return self

    def weight(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(self, out, kernel=3, dilation=1, stride=1, group=1, pads=None):
        fan = self.deep // group * kernel**2
        weight = self.random.standard_normal((out, self.deep // group, kernel, kernel)).astype(np.float32) / fan**0.5
        bias = self.random.standard_normal(out).astype(np.float32) * 0.1
        pad = dilation * (kernel - 1) // 2
        rules = {"pads": pads or [pad] * 4, "dilations": [dilation] * 2, "strides": [stride] * 2, "group": group}
        self.deep = out
        return self.add("Conv", self.weight(weight), self.weight(bias), kernel_shape=[kernel] * 2, **rules)

    def transposed(self, out, kernel=4, stride=2, pads=None, **rules):
        shape = (self.deep, out // rules.get("group", 1), kernel, kernel)
        weight = self.random.standard_normal(shape).astype(np.float32) / (self.deep * kernel)
        self.deep = out
        rules |= {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads or [(kernel - stride) // 2] * 4}
        return self.add("ConvTranspose", self.weight(weight), **rules)

    def pad(self, above, left, below, right, mode="constant"):
        return self.add("Pad", self.weight(np.array([0, 0, above, left, 0, 0, below, right])), mode=mode)

    def transposed_axes(self, *order):
        return self.add("Transpose", perm=order)

    def constant(self, value):
        return self.weight(np.float32(value))

    def each(self, shape=(1, -1, 1, 1)):
        """A number for each channel."""
        return self.weight(self.random.standard_normal(self.deep).astype(np.float32).reshape(shape))

    def both(self, op, first, second):
        """An operator of two tensors."""
        self.x = first
        return self.add(op, second)

    def prelu(self):
        slope = self.random.random((self.deep, 1, 1)).astype(np.float32)
        return self.add("PRelu", self.weight(slope))

    def shuffle(self, factor, mode="CRD"):
        self.deep //= factor**2
        return self.add("DepthToSpace", blocksize=factor, mode=mode)

    def unshuffle(self, factor):
        self.deep *= factor**2
        return self.add("SpaceToDepth", blocksize=factor)

    def resize(self, factor, mode="nearest", **rules):
        if mode == "nearest":
            rules = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", **rules}
        return self.add("Resize", "", self.weight(np.array([1, 1, factor, factor], np.float32)), mode=mode, **rules)

    def concat(self, *parts):
        """Tensors side by side, each as (name, channels)."""
        self.x, self.deep = parts[0][0], sum(channels for _, channels in parts)
        return self.add("Concat", *(name for name, _ in parts[1:]), axis=1)

    def split(self, *sizes):
        """Returns what the channels are split into, each as (name, channels)."""
        names = [f"Split{len(self.nodes)}_{i}" for i in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [self.x, self.weight(np.array(sizes))], names, axis=1))
        return list(zip(names, sizes, strict=True))

    def sliced(self, low, high, axis=1):
        """Channels low..high - 1 (counted from the end where negative)."""
        at = range(self.deep)[low:high] if axis == 1 else range(self.deep)
        self.add("Slice", *(self.weight(np.array([v])) for v in (low, high, axis)))
        self.deep = len(at)
        return self

    def scaled(self, factor):
        return self.add("Mul", self.weight(np.float32(factor)))

    def residual(self, factor):
        """Add the input, repeated."""
        made, self.x = self.x, "input"
        self.resize(factor)
        return self.add("Add", made)

    def model(self, height="H", width="W", metadata=None, opset=17):
        self.nodes[-1].output[0] = "output"
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", self.inputs, height, width])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", self.deep, None, None])],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        helper.set_model_props(made, metadata or {})
        return made

    def save(self, path, **options):
        onnx.save_model(self.model(**options), str(path))
        return path


def compact(scale=2, channels=8, depth=2, seed=0, inputs=3):
    """The network that ships, small."""
    b = Builder(inputs, seed).conv(channels).prelu()
    for _ in range(depth):
        b.conv(channels).prelu()
    return b.conv(inputs * scale**2).shuffle(scale).residual(scale)


def srresnet(scale=4, channels=8, seed=0):
    """9x9 head and tail, a residual block, sub-pixel upsamplers."""
    b = Builder(3, seed).conv(channels, 9).prelu()
    trunk = b.x
    b.conv(channels).prelu().conv(channels).add("Add", trunk)
    for _ in range({2: 1, 4: 2}[scale]):
        b.conv(channels * 4).shuffle(2).prelu()
    return b.conv(3, 9)


def _dense_block(b, growth):
    """Five convolutions, each of which reads all that came before it; + input."""
    parts = [(b.x, b.deep)]
    for _ in range(4):
        if len(parts) > 1:
            b.concat(*parts)
        b.conv(growth).add("LeakyRelu", alpha=0.2)
        parts.append((b.x, growth))
    return b.concat(*parts).conv(parts[0][1]).scaled(0.2).add("Add", parts[0][0])


def rrdb(channels=32, growth=16, depth=2, seed=0):
    """Residual-in-residual dense blocks (ESRGAN), and a nearest enlargement inside; x2."""
    b = Builder(3, seed).conv(channels)
    start = b.x
    for _ in range(depth):
        before = b.x
        for _ in range(3):
            _dense_block(b, growth)
        b.scaled(0.2).add("Add", before)
    b.conv(channels).add("Add", start).resize(2)
    return b.conv(channels).add("LeakyRelu", alpha=0.2).conv(3)


def gated(channels=20, depth=3, seed=0):
    """Attention without parameters (SPAN): x * (sigmoid(x) - 0.5), a mean taken off the input, a late concatenation."""
    b = Builder(3, seed)
    b.add("Sub", b.weight(np.array([0.4, 0.45, 0.5], np.float32).reshape(1, 3, 1, 1))).conv(channels)
    kept = [(b.x, channels)]
    for _ in range(depth):
        before = b.x
        b.conv(channels)
        made = b.x
        b.add("Sigmoid").add("Mul", made).conv(channels)
        made = b.x
        b.add("Add", before)
        both, b.x = b.x, made
        b.add("Sigmoid").add("Sub", b.weight(np.float32(0.5))).add("Mul", both)
        kept.append((b.x, channels))
    return b.concat(*kept).conv(channels, 1).conv(12).shuffle(2)


def mixed(seed=0):
    """Dilation, 1x1 and 5x5 kernels, groups, LeakyRelu, Clip, resize + convolution, bilinear resize."""
    b = Builder(3, seed).conv(8, 5).add("LeakyRelu", alpha=0.2).conv(8, 3, dilation=2).add("Relu").conv(8, 1)
    b.conv(8, 3, group=2).resize(2).conv(8).prelu()
    b.resize(2, "linear", coordinate_transformation_mode="half_pixel").conv(3)
    return b.add("Clip", b.weight(np.float32(0)), b.weight(np.float32(1)))


def deconvolved(seed=0):
    """A generator with transposed convolutions."""
    return Builder(3, seed).conv(8).prelu().transposed(8).prelu().transposed(3)


def downsampling(seed=0):
    """Works at half the input's resolution inside, so windows must start at even pixels."""
    return Builder(3, seed).unshuffle(2).conv(16).prelu().conv(3 * 16).shuffle(4)


MODELS = {
    "compact-x2": lambda seed=0: compact(2, seed=seed),
    "compact-x3": lambda seed=0: compact(3, seed=seed),
    "compact-x4": lambda seed=0: compact(4, seed=seed),
    "srresnet-x4": lambda seed=0: srresnet(4, seed=seed),
    "mixed-x4": mixed,
    "deconvolved-x4": deconvolved,
    "downsampling-x2": downsampling,
}
