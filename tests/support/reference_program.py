"""The native engine's reference implementation in plain NumPy: whole tensors, integers where the engine has them."""

import numpy as np
from support.reference_kernels import to_network

from fastsr.engines.native.program import Conv, Remap

FUNCTIONS = {"none": lambda x: x, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}


def _shifted(x, kernel):
    """Every kernel tap with the image moved under it, zero outside."""
    rows, columns = kernel.shape[2:]
    padded = np.pad(x, ((rows // 2,) * 2, (columns // 2,) * 2, (0, 0)))
    for dy, dx in np.ndindex(rows, columns):
        yield kernel[:, :, dy, dx], padded[dy : dy + x.shape[0], dx : dx + x.shape[1]]


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


def _conv(step, program, tensors):
    x = tensors[step.source]
    if step.kernel.dtype == np.int8:
        x = _quantized(x, program.tensors[step.source].quantization)
        total = np.zeros((*x.shape[:2], len(step.kernel)), np.int64) + step.bias
        for kernel, image in _shifted(x, step.kernel.astype(np.int64)):
            total += image @ kernel.T
        assert np.abs(total).max() < 2**31
        if step.scales is None:
            return total
        made = total.astype(np.float32) * step.scales
    else:
        made = np.zeros((*x.shape[:2], len(step.kernel)), np.float64) + step.bias
        for kernel, image in _shifted(x.astype(np.float64), step.kernel):
            made += image @ kernel.T
        made = made.astype(np.float32)
    height, width, deep = made.shape
    f, channels = step.factor, deep // step.factor**2
    made = _activated(made, step.epilogue).reshape(height, width, f, f, channels).transpose(0, 2, 1, 3, 4)
    return _added(made.reshape(height * f, width * f, channels), step.epilogue, tensors)


def _remap(step, tensors):
    x, f = tensors[step.source], len(step.table)
    moved = x[:, :, step.table].transpose(0, 2, 1, 3, 4)
    moved = moved.reshape(x.shape[0] * f, x.shape[1] * f, -1)
    moved = moved if step.gains is None else moved * step.gains
    moved = moved if step.offsets is None else moved + step.offsets
    moved = FUNCTIONS[step.function](moved.astype(np.float64)).astype(np.float32)
    moved = _activated(moved, step.epilogue)
    return _added(moved if step.times < 0 else moved * tensors[step.times], step.epilogue, tensors)


def _reduce_rows(step, tensors):
    x = tensors[step.source].astype(np.float32)
    if step.scales is not None:
        x = x * step.scales
    half, channels = step.terms // 2, len(step.bias)
    padded = np.pad(x, ((half, half), (0, 0), (0, 0)))
    total = np.broadcast_to(step.bias, (*x.shape[:2], channels))
    for k in range(step.terms):
        total = total + padded[k : k + len(x), :, k * channels : (k + 1) * channels]
    return total if step.scales is None else total + x[:, :, step.terms * channels :]


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


def _bicubic(x, scale):
    """Along one axis, then along the other; taps outside are those of the edge."""
    for axis in (0, 1):
        length = x.shape[axis]
        at = (np.arange(length * scale) + 0.5) / scale - 0.5
        taps = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
        weights = _cubic(at[:, None] - taps)
        picked = np.take(x.astype(np.float64), taps.clip(0, length - 1), axis=axis)
        x = np.einsum("ik,ik...->i..." if axis == 0 else "ik,yik...->yi...", weights, picked)
    return x


class _Tensors(dict):
    """What steps have made, by number; views are looked up in it."""

    def __init__(self, program, first):
        super().__init__({0: first})
        self.tensors = program.tensors

    def __missing__(self, number):
        t = self.tensors[number]
        if t.parts:
            return np.concatenate([self[part] for part in t.parts], axis=2)
        return self[t.source][:, :, t.first : t.first + t.channels]


def run_program(program, frame):
    """H x W x C float32 pixels through a program."""
    low = to_network(frame)
    tensors = _Tensors(program, _folded(low, program.fold))
    for step in program.steps:
        if isinstance(step, Conv):
            tensors[step.target] = _conv(step, program, tensors)
        else:
            tensors[step.target] = _remap(step, tensors) if isinstance(step, Remap) else _reduce_rows(step, tensors)
    out, f = tensors[program.output], program.factor
    height, width, deep = out.shape
    out = out.reshape(height, width, f, f, deep // f**2).transpose(0, 2, 1, 3, 4).reshape(height * f, width * f, -1)
    if program.base == "nearest":
        out = out + low.repeat(f, 0).repeat(f, 1)
    if program.base == "bicubic":
        out = out + _bicubic(low, len(out) // len(low))
    return np.clip(out, 0, 1)
