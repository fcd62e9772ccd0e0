"""ncnn files made for tests."""

from __future__ import annotations

import struct

import numpy as np

HALF = struct.pack("<I", 0x01306B47)
FULL = struct.pack("<I", 0)


def param(*lines: str, tensors: int | None = None) -> bytes:
    """A .param file of these layers."""
    count = len(lines) if tensors is None else tensors
    return "\n".join(["7767517", f"{len(lines)} {count}", *lines, ""]).encode()


def kernel(values, half=False) -> bytes:
    """A tagged weight as a .bin holds it."""
    if not half:
        return FULL + np.asarray(values, "<f4").tobytes()
    stored = np.asarray(values, "<f2").tobytes()
    return HALF + stored + bytes(-len(stored) % 4)


def plain(values) -> bytes:
    """An untagged weight."""
    return np.asarray(values, "<f4").tobytes()


def esrgan(network, half=True) -> tuple[bytes, bytes]:
    """The files of a `training.networks.rrdb.RRDBNet`, as its exporter orders the convolutions."""
    from training.networks import rrdb

    lines, weights, tensor = ["Input in 0 1 data"], b"", "data"
    for i, conv in enumerate(rrdb._convolutions(network)):
        out, inputs, rows, columns = conv.weight.shape
        bias = f"0={out} 1={columns} 4=1 5=1 6={out * inputs * rows * columns}"
        lines.append(f"Convolution Conv_{i} 1 1 {tensor} c{i} {bias} 9=2 -23310=1,2.000000e-01")
        tensor = f"c{i}"
        weights += kernel(conv.weight.detach().numpy().ravel(), half) + plain(conv.bias.detach().numpy())
    return param(*lines), weights
