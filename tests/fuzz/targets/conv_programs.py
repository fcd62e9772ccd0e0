"""Convolution programs: calls of `fastsr._core.ConvProgram`, as the native engine makes them, changed and run.

A case is JSON: the precision, the calls, and the frame. A refused call leaves the program as it was, so the others go
on. A frame that is run must give the same bytes in one piece, cut into parts, made out of the result of another frame,
and in parts from no more than they depend on.
"""

import contextlib
import functools
import json
import random
import tempfile
from pathlib import Path

import numpy as np
from support.native_networks import NATIVE, ranged

from fastsr import _core
from fastsr.engines.native import engine
from fastsr.engines.native.draft import Unsupported
from fastsr.engines.native.lowering import lower
from fastsr.errors import FastsrError
from fuzz import arrays
from fuzz.target import Target

NUMBERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 17, 64, 1023, 1024, 1025, 4096, 4097, 2**16, 2**31 - 1, -(2**31), 2**40)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, 3.4e38, 1e39, float("inf"), float("-inf"), float("nan"))
TEXTS = ("none", "nearest", "bilinear", "bicubic", "zeros", "edge", "reflect", "sqrt", "erf", "gelu", "", "odd")
MOST_RINGS = 64 << 20  # bytes of rings that a case may ask for


class _Recorder:
    """Stands in for a program and keeps what is called."""

    def __init__(self, precision):
        self.calls = []

    def __getattr__(self, name):
        def called(*arguments):
            self.calls.append([name, [_plain(a) for a in arguments]])

        return called


def _plain(value):
    if isinstance(value, np.ndarray):
        return arrays.described(value)
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value


@functools.cache
def _seeds():
    """(precision, calls, channels of the frame) of the small networks that the engine's tests run."""
    made = []
    usual = _core.ConvProgram
    with tempfile.TemporaryDirectory() as folder:
        for builder in NATIVE.values():
            graph = ranged(builder(), Path(folder))
            for precision in ("fp32", "int8", "bf16"):
                try:
                    program = lower(graph, precision)
                except (Unsupported, FastsrError):
                    continue
                _core.ConvProgram = _Recorder
                try:
                    recorded = engine.packed(program, precision)
                finally:
                    _core.ConvProgram = usual
                made.append((precision, recorded.calls, graph.channels))
    return made


def _changed(draw, value):
    """Another value of the same kind."""
    if arrays.is_described(value):
        return arrays.mutated(draw, value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice((value + 1, value - 1, value * 2, draw.choice(NUMBERS), draw.randint(0, 9)))
    if isinstance(value, float):
        return draw.choice((value / 2, -value, *FLOATS))
    if isinstance(value, str):
        return draw.choice(TEXTS)
    if isinstance(value, list) and value:
        at, kind = draw.randrange(len(value)), draw.randrange(6)
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return [*value, value[at]]
        return [*value[:at], _changed(draw, value[at]), *value[at + 1 :]]
    return draw.choice((None, [1, 1], [0, 0], 1))


def make(draw: random.Random) -> bytes:
    """The calls of a network with up to four changes."""
    precision, calls, channels = draw.choice(_seeds())
    calls = list(calls)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        at, kind = draw.randrange(len(calls)), draw.random()
        if kind < 0.7 and calls[at][1]:
            name, given = calls[at]
            which = draw.randrange(len(given))
            calls[at] = [name, [*given[:which], _changed(draw, given[which]), *given[which + 1 :]]]
        elif kind < 0.78 and len(calls) > 1:
            del calls[at]
        elif kind < 0.84:
            calls.insert(draw.randrange(len(calls) + 1), calls[at])
        elif kind < 0.9:
            other = draw.randrange(len(calls))
            calls[at], calls[other] = calls[other], calls[at]
        else:
            calls.insert(at, draw.choice(draw.choice(_seeds())[1]))
    sides = [draw.choice((1, 2, 3, 5, 8, 13, 16, 24)) * draw.choice((1, 1, 2)) for _ in range(2)]
    pixels = {
        "array": [*sides, channels],
        "dtype": draw.choice(("uint8", "uint8", "uint16", "float32")),
        "layout": "plain",
        "seed": draw.randrange(1000),
    }
    if draw.random() < 0.1:
        pixels = arrays.mutated(draw, pixels)
    side = draw.choice((1, 3, 8, 16, *NUMBERS)) if draw.random() < 0.2 else draw.choice((1, 3, 8, 16))
    memory = draw.choice((0, 1, 4096, 1 << 20, *NUMBERS)) if draw.random() < 0.2 else 0
    if draw.random() < 0.05:
        precision = draw.choice(("fp32", "int8", "bf16", "fp16", ""))
    case = {"precision": precision, "calls": calls, "pixels": pixels, "side": side, "memory": memory}
    return json.dumps(case).encode()


def run(content: bytes, folder) -> None:
    """Build the program, run the frame whole, in parts and with tensors that are kept, and compare."""
    case = json.loads(content)
    program = _core.ConvProgram(case["precision"])
    for name, given in case["calls"]:
        with contextlib.suppress(ValueError, TypeError):
            getattr(program, name)(*(arrays.made(a) if arrays.is_described(a) else a for a in given))
    pixels = arrays.made(case["pixels"])
    _refuse_large(program, pixels)
    whole = program.run(pixels)
    parts = program.run(pixels, case["side"], case["memory"])
    assert np.array_equal(whole, parts, equal_nan=whole.dtype.kind == "f"), "the cut changes the result"
    assert not np.shares_memory(whole, pixels)
    other = pixels.copy()
    other[len(other) // 2, 0] = other[-1, -1]
    changed, expected = program.changed_parts(pixels, other), program.run(other)
    _run_with_kept_tensors(program, pixels, other, whole, expected)
    if changed is not None:
        program.run_parts(other, changed, whole)
        assert np.array_equal(whole, expected, equal_nan=whole.dtype.kind == "f"), "a change is missed"
        for top, bottom, left, right in changed:
            first_row, last_row = program.input_rows(len(other), top, bottom)
            first_column, last_column = program.input_columns(other.shape[1], left, right)
            excerpt = other[first_row : last_row + 1, first_column : last_column + 1].copy()
            part = program.run_part(
                excerpt, other.shape[:2], (first_row, first_column), (top, bottom, left, right), case["side"]
            )
            scale = len(expected) // len(other)
            cropped = expected[top * scale : bottom * scale, left * scale : right * scale]
            assert np.array_equal(part, cropped, equal_nan=part.dtype.kind == "f"), "a part differs from the whole"


def _run_with_kept_tensors(program, before, after, *expected):
    """One frame behind the other: the second makes what has changed, and makes it again the other way round."""
    tensors, made = program.keep(*before.shape[:2]), np.full_like(expected[0], 77)
    for frame, last, result in ((before, None, 0), (after, before, 1), (before, after, 0)):
        share = program.run_kept(tensors, frame, made, last)
        assert share == 1 if last is None else 0 <= share <= 1
        equal = np.array_equal(made, expected[result], equal_nan=made.dtype.kind == "f")
        assert equal, "what is kept of a frame changes the next one"


def _refuse_large(program, pixels):
    """Raise ValueError for what is refused nowhere but would take all day."""
    sides = pixels.shape[:2]
    if pixels.ndim != 3 or min(pixels.shape) == 0:
        return
    if max(program.cut(*sides).memory, program.kept_bytes(*sides)) > MOST_RINGS:
        raise ValueError("too large for a test")


TARGET = Target(make, run, refusals=(ValueError, TypeError), megabytes=600)
