"""What `benchmarks.instruction_counts` counts: each family of CPU kernels on its own, and fast-x4 as a whole.

A case is something done to a frame of `rows` x WIDTH pixels. Run as a program, this module does the named cases, each
at two heights, with a marker before and after every run.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

import fastsr
from fastsr import _core, ops

Array = npt.NDArray[Any]
Call = Callable[[], object]

WIDTH = 125  # no multiple of a vector or a tile, so that what is left at a row's end is counted too
HEIGHTS = (16, 48)  # in rows; the difference is a multiple of a Winograd tile
TALL = (64, 256)  # for cases of few instructions a pixel
WARM_UP_ROWS, WARM_UP_CALLS = 8, 2  # before the counted call: symbols are looked up by then
MARKER = "getppid"  # a function of the C library that `os` has too and nothing else calls


@dataclasses.dataclass(frozen=True)
class Case:
    """A call over `rows` rows; where its kernel cannot run alone, also the same call without it."""

    run: Callable[[int], Call]
    without: Callable[[int], Call] | None = None
    heights: tuple[int, int] = HEIGHTS

    def sides(self) -> list[Callable[[int], Call]]:
        """What is run: the call, then the one without the kernel."""
        return [self.run] if self.without is None else [self.run, self.without]


class Run(NamedTuple):
    """A counted call: of which case, which of its sides, over how many rows."""

    case: str
    side: int
    rows: int


def plan(names: list[str]) -> list[Run]:
    """The runs of the named cases, in order."""
    return [
        Run(name, side, rows)
        for name in names
        for side in range(len(CASES[name].sides()))
        for rows in CASES[name].heights
    ]


def main() -> None:
    """Do the runs of the cases named on the command line."""
    gc.disable()
    mark = getattr(os, MARKER)
    for run in plan(sys.argv[1:]):
        make = CASES[run.case].sides()[run.side]
        for _ in range(WARM_UP_CALLS):
            make(WARM_UP_ROWS)()
        call = make(run.rows)
        mark()
        call()
        mark()


# ---- arrays --------------------------------------------------------------------------------------------------------


def _levels(*shape: int) -> Array:
    return (np.arange(np.prod(shape)) * 37 % 256).astype(np.uint8).reshape(shape)


def _floats(*shape: int) -> Array:
    return (_levels(*shape) / 255).astype(np.float32)


def _batch(rows: int, channels: int, layout: str, dtype: str) -> Array:
    shape = (1, channels, rows, WIDTH) if layout == "NCHW" else (1, rows, WIDTH, channels)
    return _floats(*shape).astype(dtype)


# ---- fastsr.ops ----------------------------------------------------------------------------------------------------


def _tile_gather(rows: int, layout: str, dtype: str) -> Call:
    frame, out = _levels(rows, WIDTH, 3), _batch(rows, 3, layout, dtype)
    return functools.partial(ops.tile_gather, frame, [[0, -3]], (rows, WIDTH), layout=layout, out=out)


def _tile_scatter(rows: int, layout: str, dtype: str, residual: str) -> Call:
    batch, frame, low = _batch(rows, 48, layout, dtype), _levels(rows * 4, WIDTH * 4, 3), _levels(rows, WIDTH, 3)
    window = [[0, 0, 0, 0, rows, WIDTH]]
    added = None if residual == "none" else low
    return functools.partial(ops.tile_scatter, batch, window, frame, 4, residual, added, layout)


def _pixel_shuffle(rows: int, layout: str, prelu: bool = False) -> Call:
    x = _batch(rows, 48, layout, "float32")
    shape = (1, 3, rows * 4, WIDTH * 4) if layout == "NCHW" else (1, rows * 4, WIDTH * 4, 3)
    values = _floats(3) if prelu else None
    return functools.partial(ops.pixel_shuffle, x, 4, layout, values, values, np.empty(shape, np.float32))


# ---- steps of the native engine ------------------------------------------------------------------------------------

_NONE = np.empty(0, np.float32)
_INF = float("inf")
_GRID = (1 / 64, 128)  # of int8 tensors: scale and zero point


def _program(precision: str, *tensors: tuple[int, int, bool, bool]) -> _core.ConvProgram:
    """A program with the input and tensors of (channels, resolution, held as floats, held as levels)."""
    made = _core.ConvProgram(precision)
    for tensor in ((3, 1, True, precision == "int8"), *tensors):
        made.tensor(*tensor, *_GRID)
    return made


def _conv(
    made: _core.ConvProgram,
    source: int,
    target: int,
    shape: tuple[int, int, int, int],
    int8: bool = False,
    raw: bool = False,
    add: int = -1,
    factor: int = 1,
) -> None:
    """A convolution with PReLU; `raw` ones keep the integers of their sums."""
    out = shape[0]
    kernel = (_levels(*shape) % 127).astype(np.int8) if int8 else _floats(*shape) / np.float32(np.prod(shape[1:]))
    bias = np.zeros(out, np.int32 if int8 else np.float32)
    scales = np.full(out, 1e-4, np.float32) if int8 and not raw else _NONE
    slopes = _NONE if raw else np.full(out, 0.25, np.float32)
    made.conv(source, target, kernel, bias, scales, slopes, add, -_INF, _INF, factor)


def _on_frame(made: _core.ConvProgram) -> Callable[[int], Call]:
    return lambda rows: functools.partial(made.run, _levels(rows, WIDTH, 3))


def _convs(
    count: int, channels: int, kernel: tuple[int, int], precision: str = "fp32", added: bool = False
) -> Callable[[int], Call]:
    """`count` equal convolutions between two of one tap."""
    int8, last = precision == "int8", count + 2
    made = _program(precision, *[(channels, 1, not int8, int8)] * (count + 1), (3, 1, True, False))
    _conv(made, 0, 1, (channels, 3, 1, 1))
    for i in range(1, count + 1):
        _conv(made, i, i + 1, (channels, channels, *kernel), int8, add=i if added else -1)
    _conv(made, last - 1, last, (3, channels, 1, 1), int8)
    made.store(last, 1, "none")
    return _on_frame(made)


def _one_conv(channels: int, kernel: tuple[int, int], precision: str = "fp32") -> Case:
    """A convolution: what two take less what one takes."""
    return Case(_convs(2, channels, kernel, precision), _convs(1, channels, kernel, precision))


def _sub_pixel() -> Callable[[int], Call]:
    """A convolution that stores its outputs shuffled by two, between two of one tap."""
    made = _program("fp32", (32, 1, True, False), (32, 2, True, False), (3, 2, True, False))
    _conv(made, 0, 1, (32, 3, 1, 1))
    _conv(made, 1, 2, (128, 32, 3, 3), factor=2)
    _conv(made, 2, 3, (3, 32, 1, 1))
    made.store(3, 1, "none")
    return _on_frame(made)


def _remaps(count: int, precision: str = "fp32") -> Callable[[int], Call]:
    """Samples moved and activated by steps of their own; in int8 also requantized."""
    int8, last = precision == "int8", count + 2
    made = _program(precision, *[(16, 1, True, int8)] * (count + 1), (3, 1, True, False))
    _conv(made, 0, 1, (16, 3, 1, 1))
    table, slopes = np.arange(16, dtype=np.int32)[::-1].copy(), np.full(16, 0.25, np.float32)
    for i in range(1, count + 1):
        made.remap(i, i + 1, 1, table, slopes, -1, -_INF, _INF)
    _conv(made, last - 1, last, (3, 16, 1, 1))
    made.store(last, 1, "none")
    return _on_frame(made)


def _sums(count: int, precision: str = "fp32") -> Callable[[int], Call]:
    """Nine rows of three outputs, summed once or twice; the last step adds the first sum and the last."""
    int8 = precision == "int8"
    terms, channels = 9, 30 if int8 else 27  # int8: three more, what the middle row's levels miss
    made = _program(precision, (channels, 1, True, False), *[(3, 1, True, False)] * (count + 1))
    _conv(made, 0, 1, (channels, 3, 1, 1), int8, raw=True)
    scales = np.full(channels, 1e-4, np.float32) if int8 else _NONE
    for i in range(count):
        made.reduce_rows(1, 2 + i, terms, np.zeros(3, np.float32), scales)
    made.remap(2, 2 + count, 1, np.arange(3, dtype=np.int32), _NONE, 1 + count, -_INF, _INF)
    made.store(2 + count, 1, "none")
    return _on_frame(made)


def _stored(base: str) -> Callable[[int], Call]:
    """One convolution of the input's pixels, shuffled by four into the frame, the enlarged input added."""
    made = _program("fp32", (48, 1, True, False))
    _conv(made, 0, 1, (48, 3, 3, 3))
    made.store(1, 4, base)
    return _on_frame(made)


# ---- whole models --------------------------------------------------------------------------------------------------


def _model(precision: Literal["fp32", "int8"]) -> Callable[[int], Call]:
    def make(rows: int) -> Call:
        upscaler = fastsr.load("fast-x4", device="cpu", engine="cpu", precision=precision)
        return functools.partial(upscaler.upscale, _levels(rows, WIDTH, 3))

    return make


CASES = {
    "tile gather, NCHW, float32": Case(functools.partial(_tile_gather, layout="NCHW", dtype="float32"), heights=TALL),
    "tile gather, NHWC, float32": Case(functools.partial(_tile_gather, layout="NHWC", dtype="float32"), heights=TALL),
    "tile gather, NCHW, float16": Case(functools.partial(_tile_gather, layout="NCHW", dtype="float16"), heights=TALL),
    "tile scatter, NCHW, float32, nearest": Case(
        functools.partial(_tile_scatter, layout="NCHW", dtype="float32", residual="nearest")
    ),
    "tile scatter, NHWC, float32, bilinear": Case(
        functools.partial(_tile_scatter, layout="NHWC", dtype="float32", residual="bilinear")
    ),
    "tile scatter, NCHW, float16": Case(
        functools.partial(_tile_scatter, layout="NCHW", dtype="float16", residual="none")
    ),
    "pixel shuffle, NCHW": Case(functools.partial(_pixel_shuffle, layout="NCHW"), heights=TALL),
    "pixel shuffle, NHWC": Case(functools.partial(_pixel_shuffle, layout="NHWC"), heights=TALL),
    "pixel shuffle, NCHW, PReLU": Case(functools.partial(_pixel_shuffle, layout="NCHW", prelu=True), heights=TALL),
    "convolution, direct, 5x5, 16 channels": _one_conv(16, (5, 5)),
    "convolution, Winograd F(4,3) along the row, 3x3, 16 channels": _one_conv(16, (3, 3)),
    "convolution, Winograd F(4,3), 1x9, 16 channels": _one_conv(16, (1, 9)),
    "convolution, Winograd F(4x4,3x3), 32 channels": _one_conv(32, (3, 3)),
    "convolution, int8, 3x3, 32 channels": _one_conv(32, (3, 3), "int8"),
    "addition of a tensor, 32 channels": Case(_convs(1, 32, (3, 3), added=True), _convs(1, 32, (3, 3))),
    "sub-pixel convolution, 32 channels x2, between two of one tap": Case(_sub_pixel()),
    "remap and activation, 16 channels": Case(_remaps(2), _remaps(1)),
    "remap, activation and requantization, 16 channels": Case(_remaps(2, "int8"), _remaps(1, "int8")),
    "row sums, 9 of 3 channels": Case(_sums(2), _sums(1)),
    "row sums, 9 of 3 channels, int8": Case(_sums(2, "int8"), _sums(1, "int8")),
    "load, convolution of pixels 3x3 to 48 channels, store x4": Case(_stored("none")),
    "enlarged input x4, nearest": Case(_stored("nearest"), _stored("none")),
    "enlarged input x4, bicubic": Case(_stored("bicubic"), _stored("none")),
    "fast-x4, fp32": Case(_model("fp32")),
    "fast-x4, int8": Case(_model("int8")),
}


if __name__ == "__main__":
    main()
