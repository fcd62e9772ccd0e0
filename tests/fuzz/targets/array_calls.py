"""The kernels of `fastsr.ops` and of `fastsr._core`, called with arrays and numbers that do not fit.

A case is JSON: the function and its arguments by name. An accepted call must give what a plain call of it gives on the
same values, so that none reads or writes beside its arrays.
"""

import json
import random

import numpy as np

from fastsr import _core, ops
from fuzz import arrays
from fuzz.target import Target

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    64,
    65,
    1024,
    1025,
    2**15,
    2**31 - 1,
    2**31,
    -(2**31),
    2**40,
    2**62,
    2**63,
    -(2**63),
)
ODD = (None, "", "NHWC", "float16", 1.5, True, [], [1], [[0, 0]], float("nan"))
PLACES = {"ops": ops, "_core": _core}


def _array(shape, dtype, draw):
    return {"array": shape, "dtype": dtype, "layout": "plain", "seed": draw.randrange(1000)}


def _batch(n, channels, height, width, last):
    return [n, height, width, channels] if last else [n, channels, height, width]


def _shuffle(draw):
    last, factor, channels = draw.random() < 0.5, draw.choice((1, 2, 3, 4, 8)), draw.choice((1, 2, 3, 5))
    n, height, width = (draw.choice((1, 2, 3, 9, 17)) for _ in range(3))
    dtype = draw.choice(("float32", "float16", "uint8", "uint16", "int64"))
    bias = _array([channels], "float32", draw) if draw.random() < 0.5 and dtype.startswith("f") else None
    slope = _array([channels], "float32", draw) if draw.random() < 0.5 and dtype.startswith("f") else None
    x = _array(_batch(n, channels * factor**2, height, width, last), dtype, draw)
    out = _array(_batch(n, channels, height * factor, width * factor, last), dtype, draw)
    if draw.random() < 0.3:
        named = {"input": x, "output": out, "factor": factor, "channels_last": last, "bias": bias, "slope": slope}
        return "_core.pixel_shuffle", named
    named = {"x": x, "factor": factor, "layout": "NHWC" if last else "NCHW", "bias": bias, "slope": slope}
    return "ops.pixel_shuffle", named | ({"out": out} if draw.random() < 0.5 else {})


def _gather(draw):
    last, channels = draw.random() < 0.5, draw.choice((1, 2, 3, 4, 7))
    height, width, n = (draw.choice((1, 2, 5, 16, 33)) for _ in range(3))
    tile = [draw.choice((1, 2, 7, 16, 40)), draw.choice((1, 3, 8, 33))]
    frame = _array([height, width, channels], draw.choice(("uint8", "uint16", "float32")), draw)
    places = [draw.choice((0, 1, -1, -5, 9, 40, -100)) for _ in range(2 * n)]
    origins = {"array": [n, 2], "dtype": "int64", "layout": "plain", "seed": 0, "values": places}
    dtype = draw.choice(("float32", "float16"))
    out = _array(_batch(n, channels, *tile, last), dtype, draw)
    if draw.random() < 0.3:
        return "_core.tile_gather", {"frame": frame, "origins": origins, "batch": out, "channels_last": last}
    named = {"frame": frame, "origins": origins, "tile": tile, "dtype": dtype, "layout": "NHWC" if last else "NCHW"}
    return "ops.tile_gather", named | ({"out": out} if draw.random() < 0.5 else {})


def _scatter(draw):
    last, factor, channels = draw.random() < 0.5, draw.choice((1, 2, 3, 4)), draw.choice((1, 2, 3, 4))
    height, width = draw.choice((1, 4, 9, 20)), draw.choice((1, 5, 16, 35))
    dtype, n = draw.choice(("uint8", "uint16", "float32")), draw.choice((1, 2, 3))
    tile, windows = [max(1, height - 1), max(1, width - 2)], []
    for _ in range(n):
        top, left = draw.randint(0, height - tile[0]), draw.randint(0, width - tile[1])
        rows, columns = sorted(draw.choices(range(tile[0] + 1), k=2)), sorted(draw.choices(range(tile[1] + 1), k=2))
        windows += [top, left, top + rows[0], left + columns[0], top + rows[1], left + columns[1]]
    batch = _array(_batch(n, channels * factor**2, *tile, last), draw.choice(("float32", "float16")), draw)
    places = {"array": [n, 6], "dtype": "int64", "layout": "plain", "seed": 0, "values": windows}
    frame = _array([height * factor, width * factor, channels], dtype, draw)
    residual = draw.choice(("none", "nearest", "bilinear"))
    low = None if residual == "none" else _array([height, width, channels], dtype, draw)
    named = {"batch": batch, "windows": places, "frame": frame, "factor": factor}
    if draw.random() < 0.3:
        return "_core.tile_scatter", named | {
            "residual": ops.RESIDUALS.index(residual),
            "low": low,
            "channels_last": last,
        }
    return "ops.tile_scatter", named | {"residual": residual, "low": low, "layout": "NHWC" if last else "NCHW"}


def _shape(draw):
    if draw.random() < 0.5:
        sides = [draw.choice((*NUMBERS, 16, 36)) for _ in range(draw.choice((4, 4, 3, 5)))]
        return "_core.shuffle_shape", {"input": sides, "factor": draw.choice((1, 2, 3)), "channels_last": True}
    frame = [draw.choice((*NUMBERS, 16)) for _ in range(draw.choice((3, 3, 2, 4)))]
    named = {"frame": frame, "tiles": 2, "height": draw.choice(NUMBERS), "width": 3, "channels_last": False}
    return "_core.gather_shape", named


def _changed(draw, named):
    """One argument is another; the names stay, but for one that may be missing."""
    name = draw.choice(list(named))
    value = named[name]
    if draw.random() < 0.05:
        del named[name]
    elif arrays.is_described(value) and draw.random() < 0.85:
        named[name] = arrays.mutated(draw, value)
    elif isinstance(value, list) and value and draw.random() < 0.7:
        named[name] = [*value[:-1], draw.choice(NUMBERS)]
    else:
        named[name] = draw.choice(NUMBERS if draw.random() < 0.6 else ODD)


def make(draw: random.Random) -> bytes:
    """A call that fits, with up to three changes."""
    function, named = draw.choice((_shuffle, _gather, _scatter, _scatter, _shape))(draw)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        if named:
            _changed(draw, named)
    return json.dumps({"function": function, "arguments": named}).encode()


def run(content: bytes, folder) -> None:
    """Call, and compare with the same call on arrays that lie plainly in memory."""
    case = json.loads(content)
    place, _, function = case["function"].partition(".")
    called = getattr(PLACES[place], function)
    given = {name: arrays.made(v) if arrays.is_described(v) else v for name, v in case["arguments"].items()}
    plain = {name: np.array(v, order="C") if isinstance(v, np.ndarray) else v for name, v in given.items()}
    before = {name: v.copy() for name, v in given.items() if isinstance(v, np.ndarray)}
    made, expected = called(**given), called(**plain)
    if isinstance(made, np.ndarray):
        _check_same(made, expected)
    for name in before:
        _check_same(given[name], plain[name])
    written = {"out", "output", "batch", "frame"}
    for name in before.keys() - written:
        _check_same(given[name], before[name])


def _check_same(a, b):
    assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), "the order in memory changes the result, or an input"


TARGET = Target(make, run, refusals=(ValueError, TypeError, MemoryError))
