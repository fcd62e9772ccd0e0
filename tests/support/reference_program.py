"""The native engine's reference implementation in plain NumPy: whole tensors, integers where the engine has them."""

import math

import numpy as np
from support.reference_kernels import to_network

from fastsr.engines.native.program import (
    Bilinear,
    Conv,
    Normalization,
    Pad,
    Remap,
    RowReduction,
    SpaceToDepth,
    pointwise,
)

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {
    "none": lambda x: x,
    "abs": np.abs,
    "square": np.square,
    "cube": lambda x: x**3,
    "sqrt": np.sqrt,
    "reciprocal": lambda x: 1 / x,
    "exp": np.exp,
    "erf": _erf,
    "sigmoid": _sigmoid,
    "centred_sigmoid": lambda x: _sigmoid(x) - 0.5,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "gelu": lambda x: x * (1 + _erf(x / 2**0.5)) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2,
}


def _placed(x, first, size):
    """Rows and columns of an image from `first` on, as many as `size` says; zero outside."""
    made = np.zeros((*size, *x.shape[2:]), x.dtype)
    (y, x0), (height, width) = first, x.shape[:2]
    rows = slice(max(0, -y), max(0, -y, min(size[0], height - y)))
    columns = slice(max(0, -x0), max(0, -x0, min(size[1], width - x0)))
    made[rows, columns] = x[rows.start + y : rows.stop + y, columns.start + x0 : columns.stop + x0]
    return made


def _before(step):
    """Rows and columns of a convolution's kernel before its outputs' own."""
    if step.before is not None:
        return step.before
    return tuple(side // 2 * apart for side, apart in zip(step.kernel.shape[2:], step.dilation, strict=True))


def _shifted(step, x, kernel, size):
    """Every kernel tap with the image moved under it, zero outside; of as many rows and columns as are made."""
    for dy, dx in np.ndindex(kernel.shape[2:]):
        place = [k * apart - before for k, apart, before in zip((dy, dx), step.dilation, _before(step), strict=True)]
        yield kernel[:, :, dy, dx], _placed(x, place, size)


def _activated(x, epilogue):
    return x if epilogue.slopes is None else np.where(x < 0, x * epilogue.slopes, x)


def _added(x, epilogue, tensors):
    if epilogue.add >= 0:
        x = x + tensors[epilogue.add]
    return np.clip(x, epilogue.low, epilogue.high).astype(np.float32)


def _quantized(x, quantization):
    """Quantized values less their zero point."""
    scale, zero = np.float32(quantization[0]), quantization[1]
    return np.rint(np.clip(x * (np.float32(1) / scale), -zero, 255 - zero)).astype(np.int64)


def _bf16(x):
    """Rounded half to even; what is below the smallest normal number becomes zero."""
    x = np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), x.astype(np.float32))
    bits = x.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def _dot_bf16(total, x, weights):
    """Products added to `total` channel by channel, the odd one of each two first; each sum is rounded to float32."""
    total, x, weights = (v.astype(np.float64) for v in (total, x, weights))  # in which products and sums are exact
    order = [k for pair in range(0, x.shape[-1], 2) for k in (pair + 1, pair) if k < x.shape[-1]]
    for k in order:
        total = (total + x[..., k, None] * weights[:, k]).astype(np.float32)
        total = np.where(np.abs(total) < np.finfo(np.float32).tiny, 0, total).astype(np.float64)
    return total.astype(np.float32)


def _conv_bf16(step, x, size):
    made = np.broadcast_to(step.bias, (*size, len(step.kernel)))
    for kernel, image in _shifted(step, _bf16(x), _bf16(step.kernel), size):
        made = _dot_bf16(made, image, kernel)
    return made


# Winograd's F(4,3) along one axis at the points 0, 2/3, -2/3, 3/2, -3/2 and infinity: its transforms, in float32.
_NEAR, _FAR = 2 / 3, 3 / 2
_FILTER = np.array(
    [
        [1 / (_NEAR * _FAR) ** 2, 0, 0],
        *(
            np.array([1, p, p * p]) / (2 * p * p * (p * p - other * other))
            for p, other in ((_NEAR, _FAR), (-_NEAR, _FAR), (_FAR, _NEAR), (-_FAR, _NEAR))
        ),
        [0, 0, 1],
    ]
)
# One over the sum of magnitudes of each plane's row of the input transform.
_PLANE_SCALES = 1 / np.array(
    [
        (1 + _NEAR**2) * (1 + _FAR**2),
        *[(1 + _NEAR) * (1 + _FAR**2)] * 2,
        *[(1 + _FAR) * (1 + _NEAR**2)] * 2,
        (1 + _NEAR**2) * (1 + _FAR**2),
    ]
)


def _fused(a, b, c):
    """One multiplication and addition: a * b + c, rounded to float32 once (but for one in 2^29 or so)."""
    return (np.float64(np.float32(a)) * b + c).astype(np.float32)


def _planes(d):
    even, odd = _fused(-(_FAR**2), d[2], d[4]), np.float32(_NEAR) * _fused(-(_FAR**2), d[1], d[3])
    even_2, odd_2 = _fused(-(_NEAR**2), d[2], d[4]), np.float32(_FAR) * _fused(-(_NEAR**2), d[1], d[3])
    total = -(_NEAR**2) - _FAR**2
    first, last = _fused(total, d[2], d[0] + d[4]), _fused(total, d[3], d[1] + d[5])
    return [first, even + odd, even - odd, even_2 + odd_2, even_2 - odd_2, last]


def _outputs(p):
    total, difference, total_2, difference_2 = p[1] + p[2], p[1] - p[2], p[3] + p[4], p[3] - p[4]
    return [
        p[0] + (total + total_2),
        _fused(_NEAR, difference, np.float32(_FAR) * difference_2),
        _fused(_NEAR**2, total, np.float32(_FAR**2) * total_2),
        _fused(_NEAR**3, difference, _fused(_FAR**3, difference_2, p[5])),
    ]


def _integer_weights(kernel, i, k):
    """A plane's transformed weights as integers (outputs x inputs), and what one of them is worth for each output."""
    weights = np.einsum("y,x,ocyx->oc", _FILTER[k], _FILTER[i], kernel.astype(np.float64))
    weights /= _PLANE_SCALES[i] * _PLANE_SCALES[k]
    sizes = np.abs(weights)
    steps = np.maximum(sizes.sum(axis=1) / (65536 - kernel.shape[1] / 2), sizes.max(axis=1) / 32767)
    return np.rint(weights / np.where(steps > 0, steps, 1)[:, None]).astype(np.int64), steps.astype(np.float32)


def _winograd_bf16(step, x, begins, size):
    """A 3x3 convolution in tiles of four by four outputs, the first of which begins at row and column `begins`."""
    (height, width), outputs = size, len(step.kernel)
    down, across = ((length - begin + 3) // 4 for length, begin in zip(size, begins, strict=True))
    first = [begin - before for begin, before in zip(begins, _before(step), strict=True)]
    padded = _placed(_bf16(x), first, (4 * down + 2, 4 * across + 2))
    tiles = [[padded[k : k + 4 * down - 3 : 4, i : i + 4 * across - 3 : 4] for k in range(6)] for i in range(6)]
    largest = np.maximum(np.abs(tiles).max(axis=(0, 1, 4)), np.float32(2.0**-100))[:, :, None]
    rows = [_planes(column) for column in zip(*(_planes(column) for column in tiles), strict=True)]

    def products(i, k):
        scale = np.float32(_PLANE_SCALES[i] * _PLANE_SCALES[k] * 32767) * (np.float32(1) / largest)
        inputs = np.rint(rows[k][i].astype(np.float64) * scale).astype(np.int64)
        weights, steps = _integer_weights(step.kernel, i, k)
        total = inputs @ weights.T
        assert np.abs(total).max() < 2**31
        return total.astype(np.float32) * steps

    columns = [_outputs([products(i, k) for k in range(6)]) for i in range(6)]
    made = np.stack([np.stack(_outputs(row), axis=2) for row in zip(*columns, strict=True)], axis=1)
    unit = largest * (np.float32(1) / np.float32(32767))
    made = _fused(made, unit[:, None, :, None], step.bias)  # down, row, across, column, output
    made = made.reshape(4 * down, 4 * across, outputs)
    return made[-begins[0] : height - begins[0], -begins[1] : width - begins[1]]


def _in_bf16(step, program):
    return step.kernel.dtype == np.float32 and program.tensors[step.source].packed and not step.depthwise


def _in_tiles(step, program):
    """Whether a convolution in bf16 is Winograd's."""
    outputs, inputs, *size = step.kernel.shape
    dense = tuple(step.dilation) == (1, 1)
    return step.source != 0 and size == [3, 3] and dense and inputs >= 25 and outputs >= 16


def _grid(step, program, grids):
    """Rows (and columns) of its target that a step makes at once, and the row and the column where they begin.

    That of float convolutions is not the engine's; none in bf16 may follow on them, but for the one of the input.
    """
    if not isinstance(step, Conv):
        return 1, (0, 0)
    if not (_in_bf16(step, program) and _in_tiles(step, program)):
        return step.factor, (0, 0)
    alignment, begins = grids[step.source]
    if alignment % 4:
        return 4 * step.factor, (0, 0)
    after = (2 - before for before in _before(step))
    return 4 * step.factor, tuple(-step.factor * ((a - begin) % 4) for a, begin in zip(after, begins, strict=True))


def _conv(step, program, tensors, grid):
    x = tensors[step.source]
    size = [n // step.factor for n in tensors.size(step.target)]
    if _in_bf16(step, program):
        begins = [begin // step.factor for begin in grid[1]]
        made = _winograd_bf16(step, x, begins, size) if _in_tiles(step, program) else _conv_bf16(step, x, size)
    elif step.kernel.dtype == np.int8:
        x = _quantized(x, program.tensors[step.source].quantization)
        total = np.zeros((*size, len(step.kernel)), np.int64) + step.bias
        for kernel, image in _shifted(step, x, step.kernel.astype(np.int64), size):
            total += image @ kernel.T
        assert np.abs(total).max() < 2**31
        if step.scales is None:
            return total
        made = total.astype(np.float32) * step.scales
    else:
        made = np.zeros((*size, len(step.kernel)), np.float64) + step.bias
        for kernel, image in _shifted(step, x.astype(np.float64), step.kernel, size):
            made += image * kernel[:, 0] if step.depthwise else image @ kernel.T
        made = made.astype(np.float32)
    height, width, deep = made.shape
    f, channels = step.factor, deep // step.factor**2
    made = _activated(made, step.epilogue).reshape(height, width, f, f, channels).transpose(0, 2, 1, 3, 4)
    return _added(made.reshape(height * f, width * f, channels), step.epilogue, tensors)


def _remap(step, tensors):
    x, f = tensors[step.source], len(step.table)
    return x[:, :, step.table].transpose(0, 2, 1, 3, 4).reshape(x.shape[0] * f, x.shape[1] * f, -1)


def _normalization(step, tensors):
    x = tensors[step.source].astype(np.float64)
    x = x - x.mean(axis=2, keepdims=True) * step.centred
    scale = np.sqrt(np.square(x).mean(axis=2, keepdims=True) + step.epsilon)
    return (x / scale * step.gains + step.offsets).astype(np.float32)


def _bilinear(step, tensors):
    return _enlarged(tensors[step.source], step.factor, _linear).astype(np.float32)


def _single_values(values, x, tensors):
    x = x if values.gains is None else x * values.gains
    x = x if values.offsets is None else x + values.offsets
    x = FUNCTIONS[values.function](x.astype(np.float64)).astype(np.float32)
    x = _activated(x, values.epilogue)
    return _added(x if values.times < 0 else x * tensors[values.times], values.epilogue, tensors)


def _pad(step, tensors):
    x, size, (above, left) = tensors[step.source], tensors.size(step.target), step.added
    around = [(before, n - length - before) for n, length, before in zip(size, x.shape, step.added, strict=False)]
    mode = {"zeros": "constant"}.get(step.border, step.border)
    added = np.pad(x, [*([max(0, n) for n in both] for both in around), (0, 0)], mode=mode)
    first = max(0, -above), max(0, -left)
    return added[first[0] : first[0] + size[0], first[1] : first[1] + size[1]]


def _space_to_depth(step, tensors):
    size = [n * step.down for n in tensors.size(step.target)]
    return _folded(_placed(tensors[step.source], (0, 0), size), step.down)


def _reduce_rows(step, tensors):
    x = tensors[step.source].astype(np.float32)
    if step.scales is not None:
        x = x * step.scales
    before, channels = step.terms // 2 if step.before is None else step.before, len(step.bias)
    size = tensors.size(step.target)
    total = np.broadcast_to(step.bias, (*size, channels))
    for k in range(step.terms):
        total = total + _placed(x[:, :, k * channels : (k + 1) * channels], (k - before, 0), size)
    if step.scales is None:
        return total
    return total + _placed(x[:, :, step.terms * channels :], (step.terms // 2 - before, 0), size)


def _folded(x, side):
    """Blocks of side x side pixels as pixels, in the order (dy, dx, channel)."""
    height, width, channels = x.shape
    blocks = x.reshape(height // side, side, width // side, side, channels).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(height // side, width // side, side * side * channels)


def _cubic(x, a=-0.75):
    """Keys 1981."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    return np.where(x <= 1, near, np.where(x < 2, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a, 0))


def _linear(x):
    return np.maximum(0, 1 - np.abs(x))


def _enlarged(x, scale, weight):
    """Along one axis, then along the other; taps outside are those of the edge."""
    for axis in (0, 1):
        length = x.shape[axis]
        at = (np.arange(length * scale) + 0.5) / scale - 0.5
        taps = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
        weights = weight(at[:, None] - taps)
        picked = np.take(x.astype(np.float64), taps.clip(0, length - 1), axis=axis)
        x = np.einsum("ik,ik...->i..." if axis == 0 else "ik,yik...->yi...", weights, picked)
    return x


class _Tensors(dict):
    """What steps have made, by number; views are looked up in it."""

    def __init__(self, program, first):
        super().__init__({0: first})
        self.tensors = program.tensors
        self.blocks = [n // program.tensors[0].factor for n in first.shape[:2]]

    def size(self, number):
        """A tensor's rows and columns."""
        t = self.tensors[number]
        return [n * t.factor + more for n, more in zip(self.blocks, t.growth, strict=True)]

    def __missing__(self, number):
        t = self.tensors[number]
        if t.parts:
            return np.concatenate([self[part] for part in t.parts], axis=2)
        return self[t.source][:, :, t.first : t.first + t.channels]


class _Grids(dict):
    """Alignment and begins of what steps have made, by number (see `_grid`); a view has those of its last part."""

    def __init__(self, program):
        super().__init__({0: (1, (0, 0))})
        self.tensors = program.tensors

    def __missing__(self, number):
        t = self.tensors[number]
        if t.parts:
            return self[next(made for made in reversed(self) if made in t.parts)]
        return self[t.source]


_MADE_BY = {
    Remap: _remap,
    Normalization: _normalization,
    Bilinear: _bilinear,
    Pad: _pad,
    SpaceToDepth: _space_to_depth,
    RowReduction: _reduce_rows,
}


def run_program(program, frame):
    """H x W x C float32 pixels through a program."""
    low = to_network(frame)
    tensors, grids = _Tensors(program, _folded(low, program.fold)), _Grids(program)
    for step in program.steps:
        grids[step.target] = _grid(step, program, grids)
        if isinstance(step, Conv):
            made = _conv(step, program, tensors, grids[step.target])
        else:
            made = _MADE_BY[type(step)](step, tensors)
        values = pointwise(step)
        tensors[step.target] = made if values is None else _single_values(values, made, tensors)
    out, f = tensors[program.output], program.factor
    height, width, deep = out.shape
    out = out.reshape(height, width, f, f, deep // f**2).transpose(0, 2, 1, 3, 4).reshape(height * f, width * f, -1)
    repeated = 1 if program.base == "nearest" else np.float32(program.repeated)
    if repeated:
        out = out + repeated * low.repeat(f, 0).repeat(f, 1)
    if program.base in ("bilinear", "bicubic"):
        kernel = _cubic if program.base == "bicubic" else _linear
        out = out + np.float32(program.gain) * _enlarged(low, len(out) // len(low), kernel)
    return np.clip(out, 0, 1)
