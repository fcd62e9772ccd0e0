"""Samples of pixels: their depth, their range, and the planes of a frame joined and split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastsr.errors import ImageError
from fastsr.images.decoded_image import Array, Frame, Rows

_BAND = 256  # rows joined at a time, which bounds the memory
_RANGES = {"u1": 255, "u2": 65535}


def to_depth(samples: Array, dtype: Any) -> Array:
    """Samples in another depth (uint8, uint16 or float32 in 0..1), rounded to the nearest."""
    wanted = np.dtype(dtype)
    if samples.dtype == wanted:
        return samples
    if samples.dtype.kind == "f" and wanted.kind == "f":
        return samples.astype(wanted)
    if samples.dtype.kind == "f":
        top = _RANGES[wanted.str[1:]]
        scaled = np.clip(np.nan_to_num(samples.astype(np.float64)), 0, 1) * top
        return np.floor(scaled + 0.5).astype(wanted)
    if wanted.kind == "f":
        return (samples.astype(np.float64) / _RANGES[samples.dtype.str[1:]]).astype(wanted)
    if samples.itemsize == 2 and wanted.itemsize == 1:
        return ((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(wanted)
    return samples.astype(wanted) * (257 if samples.itemsize < wanted.itemsize else 1)


def stored_depth(frame: Frame) -> type[np.generic]:
    """The depth in which formats of up to 16 bits keep a frame."""
    return np.uint8 if frame.color.dtype == np.uint8 else np.uint16


def color_space(channels: int) -> bytes:
    """The colour space of joined samples, by the name ICC profiles give it."""
    return b"RGB " if channels >= 3 else b"GRAY"


def joined(frame: Frame, dtype: Any) -> Array:
    """Colour and alpha, H x W x (C or C + 1)."""
    if frame.alpha is None:
        return np.ascontiguousarray(to_depth(frame.color, dtype))
    return np.concatenate([to_depth(frame.color, dtype), to_depth(frame.alpha, dtype)], axis=2)


def rows_of(frame: Frame, dtype: Any) -> Rows:
    """Colour and alpha of a frame, joined band by band."""
    height, width, colors = frame.color.shape

    def bands() -> Iterator[Array]:
        for top in range(0, height, _BAND):
            rows = slice(top, top + _BAND)
            yield joined(Frame(frame.color[rows], None if frame.alpha is None else frame.alpha[rows]), dtype)

    return Rows((height, width, colors + (frame.alpha is not None)), np.dtype(dtype), bands())


def regrouped(bands: Iterable[Array], rows: int) -> Iterator[Array]:
    """The same rows in bands of so many each; the last may have fewer."""
    held: list[Array] = []
    count = 0
    for band in bands:
        for top in _cuts(len(band), rows - count, rows):
            held.append(band[top])
            count += len(held[-1])
            if count == rows:
                yield held[0] if len(held) == 1 else np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)


def _cuts(length: int, first: int, step: int) -> Iterator[slice]:
    edges = [0, *range(first, length, step), length]
    return (slice(begin, end) for begin, end in pairwise(edges) if begin < end)


def split(samples: Array) -> Frame:
    """Colour and alpha of H x W x (1, 2, 3 or 4) samples; copies, so that the caller's pixels stay free."""
    shared = views(samples)
    alpha = None if shared.alpha is None else np.array(shared.alpha, order="C")
    return Frame(np.array(shared.color, order="C"), alpha)


def views(samples: Array) -> Frame:
    """As `split`, without a copy."""
    colors = 3 if samples.shape[2] >= 3 else 1
    return Frame(samples[..., :colors], samples[..., colors:] if samples.shape[2] > colors else None)


def on_white(frame: Frame, dtype: type[np.generic]) -> Frame:
    """The frame in uint8 or uint16, as seen on white paper."""
    color = to_depth(frame.color, dtype)
    if frame.alpha is None:
        return Frame(color, black=frame.black)
    top = int(np.iinfo(color.dtype).max)
    alpha = to_depth(frame.alpha, dtype).astype(np.uint64)
    return Frame(((color * alpha + top * (top - alpha) + top // 2) // top).astype(dtype))


def keyed_alpha(color: Array, key: Any) -> Array:
    """Alpha of an image one of whose colours counts as transparent."""
    hidden = (color == np.asarray(key).reshape(-1)).all(axis=2, keepdims=True)
    return np.where(hidden, 0, np.iinfo(color.dtype).max).astype(color.dtype)


def check_sides(width: int, height: int, name: str) -> None:
    """ImageError for an image without pixels."""
    if width < 1 or height < 1:
        raise ImageError(f"{name}: is {width} x {height}, without pixels; hand in an image of at least 1 x 1")
