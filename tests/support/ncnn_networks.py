"""Networks of the kinds that other projects share as ncnn files, small, with random weights."""

from collections import Counter

import numpy as np
from support.ncnn_files import kernel, param, plain

LEAKY = "9=2 -23310=1,2.000000e-01"


class Network:
    """Adds layers in the order of a file; `files` gives the .param and the .bin."""

    def __init__(self, half=False, seed=0):
        self.layers, self.weights, self.half = [], [], half
        self.random = np.random.default_rng(seed)
        self.add("Input", [], name="data")

    def add(self, kind, reads, parameters="", name=None):
        """A layer; returns the name of what it makes."""
        name = name or f"b{len(self.layers)}"
        self.layers.append((kind, [reads] if isinstance(reads, str) else reads, name, parameters))
        return name

    def values(self, *shape, scale=1.0):
        return self.random.standard_normal(shape).astype(np.float32) * scale

    def conv(self, x, inputs, outputs, side=3, more="4=1", kind="Convolution", group=1, bias=True):
        """A layer with a kernel; `more` are parameters such as pads, strides and the activation."""
        size = outputs * (inputs // group) * side**2
        self.weights.append(kernel(self.values(size, scale=(inputs // group * side**2) ** -0.5), self.half))
        if bias:
            self.weights.append(plain(self.values(outputs, scale=0.1)))
        return self.add(kind, x, f"0={outputs} 1={side} {more} 5={int(bias)} 6={size}")

    def deconv(self, x, inputs, outputs, side=2, more="3=2"):
        return self.conv(x, inputs, outputs, side, more, kind="Deconvolution")

    def prelu(self, x, channels):
        self.weights.append(plain(self.random.random(channels)))
        return self.add("PReLU", x, f"0={channels}")

    def inner(self, x, inputs, outputs, activation):
        self.weights += [kernel(self.values(inputs * outputs, scale=inputs**-0.5), self.half)]
        self.weights += [plain(self.values(outputs))]
        return self.add("InnerProduct", x, f"0={outputs} 1=1 2={inputs * outputs} 9={activation}")

    def files(self):
        """The .param and the .bin; a tensor that several layers read goes through a Split, as ncnn wants it."""
        readers = Counter(name for _, reads, _, _ in self.layers for name in reads)
        taken, lines = Counter(), []
        for kind, reads, made, parameters in self.layers:
            names = []
            for name in reads:
                names.append(f"{name}_{taken[name]}" if readers[name] > 1 else name)
                taken[name] += 1
            lines.append(f"{kind} l{len(lines)} {len(names)} 1 {' '.join([*names, made])} {parameters}".strip())
            if readers[made] > 1:
                copies = " ".join(f"{made}_{i}" for i in range(readers[made]))
                lines.append(f"Split l{len(lines)} 1 {readers[made]} {made} {copies}")
        return param(*lines, tensors=sum(int(line.split()[3]) for line in lines)), b"".join(self.weights)


def esrgan(half=False, channels=8, growth=4, seed=0):
    """x4plus with one dense block: Concat, Eltwise with factors, Interp."""
    n = Network(half, seed)
    head = n.conv("data", 3, channels)
    parts = [head]
    for i in range(4):
        x = n.add("Concat", parts) if i else head
        parts = [*parts, n.conv(x, channels + i * growth, growth, more=f"4=1 {LEAKY}")]
    x = n.conv(n.add("Concat", parts), channels + 4 * growth, channels)
    x = n.add("Eltwise", [x, head], "0=1 -23301=2,2.000000e-01,1.000000e+00")
    for _ in range(2):
        x = n.add("Interp", x, "0=1 1=2.000000e+00 2=2.000000e+00")
        x = n.conv(x, channels, channels, more=f"4=1 {LEAKY}")
    n.conv(x, channels, 3)
    return n


def compact(half=False, reduction=None, channels=8, seed=0):
    """animevideov3: PReLU, PixelShuffle, the enlarged input added; with `reduction` a last bicubic one."""
    n = Network(half, seed)
    x = n.prelu(n.conv("data", 3, channels), channels)
    x = n.prelu(n.conv(x, channels, channels), channels)
    x = n.add("PixelShuffle", n.conv(x, channels, 48), "0=4")
    base = n.add("Interp", "data", "0=1 1=4.000000e+00 2=4.000000e+00")
    x = n.add("BinaryOp", [x, base])
    if reduction:
        n.add("Interp", x, f"0=3 1={reduction:e} 2={reduction:e}")
    return n


def cugan(half=False, pooled=True, seed=0):
    """Real-CUGAN's first network: no pads, strides, Crop by amounts, Deconvolution, squeeze and excitation."""
    n = Network(half, seed)
    more = f"4=0 {LEAKY}"
    skip = n.conv("data", 3, 8, more=more)
    x = n.conv(skip, 8, 8, 2, more=f"3=2 {LEAKY}")
    x = n.conv(x, 8, 8, more=more)
    if pooled:
        y = n.inner(n.inner(n.add("Pooling", x, "0=1 4=1"), 8, 4, 1), 4, 8, 4)
        x = n.add("BinaryOp", [x, y], "0=2")
    x = n.deconv(x, 8, 8, 2, more=f"3=2 {LEAKY}")
    skip = n.add("Crop", skip, "-23309=2,2,2 -23310=2,-2,-2 -23311=2,-2,-1")
    x = n.conv(n.add("BinaryOp", [x, skip]), 8, 8, more=more)
    n.deconv(x, 8, 3, 4, more="3=2 4=3")
    return n


def cunet(half=False, seed=0):
    """waifu2x's CUNet: Crop to the size of another tensor, Scale by a second input, Eltwise."""
    n = Network(half, seed)
    more = f"4=0 {LEAKY}"
    skip = n.conv("data", 3, 8, more=more)
    x = n.conv(n.conv(skip, 8, 8, 2, more=f"3=2 {LEAKY}"), 8, 8, more=more)
    y = n.inner(n.inner(n.add("Pooling", x, "0=1 4=1"), 8, 4, 1), 4, 8, 4)
    x = n.add("Scale", [x, y], "0=-233")
    x = n.deconv(x, 8, 8, 2, more=f"3=2 {LEAKY}")
    skip = n.add("Crop", [skip, x], "0=2 1=2")
    x = n.conv(n.add("Eltwise", [skip, x], "0=1"), 8, 8, more=more)
    n.conv(x, 8, 3, more="4=0")
    return n


def upconv7(half=False, seed=0):
    """waifu2x's: convolutions without pads, one Deconvolution."""
    n = Network(half, seed)
    x = n.conv("data", 3, 8, more=f"4=0 {LEAKY}")
    for _ in range(5):
        x = n.conv(x, 8, 8, more=f"4=0 {LEAKY}")
    n.deconv(x, 8, 3, 4, more="3=2 4=3")
    return n


def others(half=False, seed=0):
    """What none of those has: groups, dilation, kernels that are no squares, activations, clamps, padding, numbers."""
    n = Network(half, seed)
    x = n.conv("data", 3, 8, 3, more="4=2 2=2 9=1")
    x = n.conv(x, 8, 8, 3, more="4=1 7=4", kind="ConvolutionDepthWise", group=4)
    x = n.conv(x, 8, 8, 5, more="4=-233 9=4", bias=False)
    for kind, parameters in [("Swish", ""), ("Mish", ""), ("ReLU", "0=1.000000e-01"), ("TanH", ""), ("Noop", "")]:
        x = n.add(kind, x, parameters)
    x = n.add("BinaryOp", x, "0=7 1=1 2=5.000000e-01")  # 0.5 - x
    n.weights += [plain(n.random.random(8)), plain(n.values(8))]
    x = n.add("Scale", x, "0=8 1=1")
    x = n.add("Concat", [n.add("Sigmoid", x), n.add("ReLU", x)], "0=0")
    x = n.add("Padding", x, "0=1 1=1 2=1 3=1 4=1")
    x = n.conv(x, 16, 12, more="4=0")
    x = n.add("PixelShuffle", x, "0=2")
    x = n.conv(n.add("Interp", x, "0=2 1=2.000000e+00 2=2.000000e+00"), 3, 3)
    x = n.add("Eltwise", [x, x], "0=2")
    n.add("Clip", x, "0=-5.000000e-01 1=1.000000e+00")
    return n


NETWORKS = {
    "esrgan": esrgan,
    "compact": compact,
    "cugan": cugan,
    "cunet": cunet,
    "upconv7": upconv7,
    "others": others,
}


def write(network, folder, name="small"):
    """The files of a network; returns the path of its .param."""
    text, weights = network.files()
    (folder / f"{name}.param").write_bytes(text)
    (folder / f"{name}.bin").write_bytes(weights)
    return folder / f"{name}.param"
