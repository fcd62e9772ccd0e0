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
