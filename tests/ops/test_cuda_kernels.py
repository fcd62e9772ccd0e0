"""The CUDA kernels, emulated on the host over their own grids, against the CPU kernels: bit for bit, without a GPU."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fastsr import _core, ops

_cuda = pytest.importorskip("fastsr._cuda", reason="the CUDA module was not built (FASTSR_CUDA=on pip install .)")

PIXELS = (np.uint8, np.uint16, np.float32)
LAYOUTS = ("NCHW", "NHWC")
# Grids of the full size, and grids so small that a call takes several launches; threads first to last, last to first.
WALKS = (_cuda.Walk(), _cuda.Walk(max_rows=2, max_tiles=1, backward=True))


def described(array, dtype=None):
    if array is None:
        return None
    return array.ctypes.data, list(array.shape), dtype or str(array.dtype), array.itemsize


def at_offset(array, elements):
    """A copy whose first element lies `elements` elements behind a 64-byte boundary."""
    room = np.empty(array.nbytes + 64 + elements * array.itemsize, np.uint8)
    start = -room.ctypes.data % 64 + elements * array.itemsize
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def frame_of(rng, shape, dtype):
    if dtype == np.float32:
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def gather(frame, origins, tile, dtype, layout, offset, walk):
    shape = _core.gather_shape(list(frame.shape), len(origins), *tile, layout == "NHWC")
    out = at_offset(np.full(shape, 7, dtype), offset)
    flat = np.asarray(origins).ravel().tolist()
    _cuda.emulate_tile_gather(described(frame), flat, described(out), layout == "NHWC", walk)
    return out


def scatter(batch, windows, frame, factor, residual, low, layout, walk):
    flat = np.asarray(windows).ravel().tolist()
    kind = ops.RESIDUALS.index(residual)
    _cuda.emulate_tile_scatter(
        described(batch), flat, described(frame), factor, kind, described(low), layout == "NHWC", walk
    )


def shuffle(x, factor, layout, offset=0, bias=None, slope=None, dtype=None, walk=WALKS[0]):
    out = at_offset(np.zeros(_core.shuffle_shape(list(x.shape), factor, layout == "NHWC"), x.dtype), offset)
    given_ = described(x, dtype), described(out, dtype), factor, layout == "NHWC"
    _cuda.emulate_pixel_shuffle(*given_, described(bias), described(slope), walk)
    return out


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(PIXELS),
    batch_dtype=st.sampled_from([np.float32, np.float16]),
    layout=st.sampled_from(LAYOUTS),
    channels=st.sampled_from([1, 2, 3, 3, 3, 4]),
    height=st.integers(1, 30),
    width=st.integers(1, 300),
)
def test_gather_equals_the_cpu(data, dtype, batch_dtype, layout, channels, height, width):
    rng = np.random.default_rng(height * 1000 + width)
    frame = at_offset(frame_of(rng, (height, width, channels), dtype), data.draw(st.integers(0, 16)))
    tile = (data.draw(st.integers(1, 20)), data.draw(st.integers(1, 300) | st.sampled_from([64, 128, 256])))
    origin = st.tuples(st.integers(-40, height + 20), st.integers(-80, width + 20))
    origins = data.draw(st.lists(origin, min_size=1, max_size=3))
    expected = ops.tile_gather(frame, origins, tile, batch_dtype, layout)
    offset = data.draw(st.integers(0, 8))
    for walk in WALKS:
        assert_array_equal(gather(frame, origins, tile, batch_dtype, layout, offset, walk), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_dtype", [np.float32, np.float16])
def test_gather_of_long_rows_takes_several_blocks(layout, batch_dtype):
    frame = frame_of(np.random.default_rng(0), (3, 2500, 3), np.uint8)
    expected = ops.tile_gather(frame, [(-1, -13)], (5, 2540), batch_dtype, layout)
    assert_array_equal(gather(frame, [(-1, -13)], (5, 2540), batch_dtype, layout, 0, WALKS[0]), expected)


def test_more_tiles_than_a_launch_holds():
    rng = np.random.default_rng(0)
    frame = frame_of(rng, (40, 300, 3), np.uint8)
    origins = [(y, x) for y in range(0, 40, 10) for x in range(0, 300, 10)]
    batch = gather(frame, origins, (10, 10), np.float32, "NCHW", 0, WALKS[0])
    assert_array_equal(batch, ops.tile_gather(frame, origins, (10, 10)))
    out = np.zeros_like(frame)
    scatter(batch, [(y, x, y, x, y + 10, x + 10) for y, x in origins], out, 1, "none", None, "NCHW", WALKS[0])
    assert_array_equal(out, frame)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_division_by_product_is_exact_for_every_pixel(dtype):
    frame = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(1, -1, 1)
    expected = frame.astype(np.float32) / np.float32(np.iinfo(dtype).max)
    made = gather(frame, [(0, 0)], frame.shape[:2], np.float32, "NHWC", 0, WALKS[0])
    assert_array_equal(made[0], expected)


def columns_apart(data, height, width, tile):
    """Windows whose cores do not overlap, as a GPU stores them in any order: each takes columns of its own."""
    windows, start = [], 0
    while start < width and len(windows) < 3:
        left = data.draw(st.integers(max(-3, start - 5), start))
        top = data.draw(st.integers(-3, max(0, height - 1)))
        right = data.draw(st.integers(start, min(width, left + tile[1]))) if left + tile[1] >= start else start
        core_top = data.draw(st.integers(max(0, top), max(0, min(height, top + tile[0]))))
        bottom = data.draw(st.integers(core_top, max(core_top, min(height, top + tile[0]))))
        if right <= left + tile[1] and bottom <= top + tile[0] and core_top >= top:
            windows.append((top, left, core_top, start, bottom, right))
        start = right + data.draw(st.integers(1, 4))
    return windows


@settings(max_examples=250, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(PIXELS),
    batch_dtype=st.sampled_from([np.float32, np.float16]),
    layout=st.sampled_from(LAYOUTS),
    shape=st.sampled_from([(3, 1), (3, 2), (3, 4), (3, 3), (1, 1), (1, 5), (2, 2), (4, 3)]),
    residual=st.sampled_from(ops.RESIDUALS),
)
def test_scatter_equals_the_cpu(data, dtype, batch_dtype, layout, shape, residual):
    channels, factor = shape
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 150))
    rng = np.random.default_rng(height * 1000 + width)
    low = at_offset(frame_of(rng, (height, width, channels), dtype), data.draw(st.integers(0, 3)))
    tile = (data.draw(st.integers(1, height + 4)), data.draw(st.integers(1, width + 4) | st.sampled_from([32, 64])))
    windows = columns_apart(data, height, width, tile)
    deep = channels * factor**2
    sides = (deep, *tile) if layout == "NCHW" else (*tile, deep)
    values = rng.random((len(windows), *sides), dtype=np.float32) * 1.6 - 0.3
    values[rng.random(values.shape) < 0.01] = np.nan
    batch = at_offset(values.astype(batch_dtype), data.draw(st.integers(0, 8)))
    before = frame_of(rng, (height * factor, width * factor, channels), dtype)
    expected = before.copy()
    ops.tile_scatter(batch, windows, expected, factor, residual, low, layout)
    offset = data.draw(st.integers(0, 16))
    for walk in WALKS:
        made = at_offset(before, offset)
        scatter(batch, windows, made, factor, residual, low, layout, walk)
        assert_array_equal(made, expected)


def test_scatter_of_rows_too_deep_for_shared_memory():
    rng = np.random.default_rng(0)
    batch = rng.random((1, 2, 3, 32 * 32 * 2), dtype=np.float32)
    frame, expected = np.zeros((2, 2 * 32, 3 * 32, 2), np.uint8)
    window = [(0, 0, 0, 0, 2, 3)]
    ops.tile_scatter(batch, window, expected, 32, layout="NHWC")
    scatter(batch, window, frame, 32, "none", None, "NHWC", WALKS[0])
    assert_array_equal(frame, expected)


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from([np.uint8, np.float16, np.float32, np.int64]),
    layout=st.sampled_from(LAYOUTS),
    channels=st.sampled_from([1, 2, 3, 7]),
    factor=st.sampled_from([1, 2, 2, 3, 4, 4, 5]),
    size=st.tuples(st.integers(1, 6), st.integers(1, 140) | st.sampled_from([16, 64])),
)
def test_pixel_shuffle_equals_the_cpu(data, dtype, layout, channels, factor, size):
    deep = channels * factor**2
    shape = (2, deep, *size) if layout == "NCHW" else (2, *size, deep)
    bits = np.random.default_rng(size[1]).integers(0, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    x = at_offset(bits.view(dtype)[..., 0], data.draw(st.integers(0, 16)))
    expected = ops.pixel_shuffle(x, factor, layout)
    offset = data.draw(st.integers(0, 16))
    for walk in WALKS:
        assert shuffle(x, factor, layout, offset, walk=walk).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("layout", "shape", "factor"),
    [
        ("NCHW", (1, 1024 * 1024, 1, 1), 1024),  # one column of 1024 planes
        ("NHWC", (1, 1, 2, 64 * 64 * 4), 64),  # pixels larger than shared memory
        ("NCHW", (1, 16, 2, 3000), 4),  # several blocks per row
        ("NCHW", (1, 0, 4, 4), 2),
        ("NHWC", (3, 4, 0, 4), 2),
    ],
)
def test_pixel_shuffle_of_unusual_shapes(layout, shape, factor):
    x = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    assert_array_equal(shuffle(x, factor, layout), ops.pixel_shuffle(x, factor, layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("given_", ["bias", "slope", "both"])
def test_bias_and_prelu_equal_the_cpu(layout, factor, dtype, given_):
    rng = np.random.default_rng(factor)
    deep = 3 * factor**2
    shape = (2, deep, 5, 37) if layout == "NCHW" else (2, 5, 37, deep)
    x = (rng.standard_normal(shape) * 3).astype(dtype)
    x.ravel()[:6] = [np.nan, np.inf, -np.inf, -0.0, 6e-8, -6e4]
    bias = rng.standard_normal(3).astype(np.float32) if given_ != "slope" else None
    slope = rng.standard_normal(3).astype(np.float32) if given_ != "bias" else None
    expected = ops.pixel_shuffle(x, factor, layout, bias, slope)
    assert shuffle(x, factor, layout, bias=bias, slope=slope).tobytes() == expected.tobytes()


def to_bfloat(values):
    """Round half to even on the bits; not-a-number is kept apart by the caller."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bfloat_arithmetic_covers_every_value(layout):
    every = np.arange(1 << 16, dtype=np.uint16)
    every[np.isnan(from_bfloat(every))] = 0x3F80
    x = every.reshape((1, 16, 8, 512) if layout == "NCHW" else (1, 64, 64, 16))
    bias, slope = np.array([0.1, -2, 3e38, -1e-39], np.float32), np.array([0.25, -1.5, 1e-3, 0.7], np.float32)
    along = (1, 4, 1, 1) if layout == "NCHW" else (1, 1, 1, 4)
    with np.errstate(over="ignore"):
        moved = from_bfloat(ops.pixel_shuffle(x, 2, layout)) + bias.reshape(along)
        expected = to_bfloat(np.where(moved > 0, moved, slope.reshape(along) * moved))
    assert_array_equal(shuffle(x, 2, layout, bias=bias, slope=slope, dtype="bfloat16"), expected)


@pytest.mark.parametrize("bits", [0x7FC1, 0xFFC0, 0x7F81])
def test_bfloat_makes_one_kind_of_nan(bits):
    x = np.full((1, 4, 1, 1), bits, np.uint16)
    made = shuffle(x, 2, "NCHW", bias=np.ones(1, np.float32), dtype="bfloat16")
    assert_array_equal(made, np.full((1, 1, 2, 2), 0x7FC0))


def test_emulation_refuses_what_does_not_fit():
    x, out = np.zeros((1, 4, 2, 2), np.float32), np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match="one per output channel"):
        _cuda.emulate_pixel_shuffle(
            described(x), described(out), 2, False, described(np.zeros(4, np.float32)), None, WALKS[0]
        )
    with pytest.raises(ValueError, match="1 x 1 x 4 x 4 is needed"):
        _cuda.emulate_pixel_shuffle(described(x), described(x), 2, False, None, None, WALKS[0])
    with pytest.raises(ValueError, match="needs float16, bfloat16 or float32"):
        _cuda.emulate_pixel_shuffle(
            described(x, "int32"), described(out, "int32"), 2, False, described(np.zeros(1, np.float32)), None, WALKS[0]
        )


# Arrays that end, and arrays that begin, at a page which may not be touched: a kernel that reads or writes a byte too
# many ends the process.
FENCED = """
import ctypes, mmap, numpy as np
from fastsr import _core, _cuda
libc, page = ctypes.CDLL(None), mmap.PAGESIZE

def fenced(array, at_end):
    pages = -(-array.nbytes // page)
    room = mmap.mmap(-1, (pages + 2) * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(room))
    for fence in (base, base + (pages + 1) * page):
        assert libc.mprotect(ctypes.c_void_p(fence), page, 0) == 0
    start = page + (pages * page - array.nbytes if at_end else 0)
    copy = np.frombuffer(room, array.dtype, array.size, start).reshape(array.shape)
    copy[...] = array
    return copy

def described(a):
    return a.ctypes.data, list(a.shape), str(a.dtype), a.itemsize

rng, walk = np.random.default_rng(0), _cuda.Walk()
for at_end in (False, True):
    for width in (1, 5, 16, 37, 64):
        for last in (False, True):
            for dtype in (np.uint8, np.uint16, np.float32):
                frame = fenced(np.zeros((3, width, 3), dtype), at_end)
                for kind in (np.float16, np.float32):
                    for tile in ((3, width), (2, width + 3)):
                        batch = fenced(np.zeros(_core.gather_shape([3, width, 3], 2, *tile, last), kind), at_end)
                        _cuda.emulate_tile_gather(described(frame), [0, 0, -1, -2], described(batch), last, walk)
                    for factor in (1, 2, 3, 4):
                        deep = 3 * factor**2
                        batch = fenced(np.zeros((1, 3, width, deep) if last else (1, deep, 3, width), kind), at_end)
                        out = fenced(np.zeros((3 * factor, width * factor, 3), dtype), at_end)
                        windows = [0, 0, 0, 0, 3, width]
                        for residual in range(3):
                            arrays = described(batch), windows, described(out), factor, residual, described(frame)
                            _cuda.emulate_tile_scatter(*arrays, last, walk)
            for item in (np.uint8, np.uint16, np.uint32, np.uint64):
                for factor in (1, 2, 3, 4):
                    deep = 3 * factor**2
                    x = fenced(np.zeros((2, 3, width, deep) if last else (2, deep, 3, width), item), at_end)
                    out = fenced(np.zeros(_core.shuffle_shape(list(x.shape), factor, last), item), at_end)
                    _cuda.emulate_pixel_shuffle(described(x), described(out), factor, last, None, None, walk)
print("inside")
"""


def test_kernels_stay_inside_their_arrays():
    done = subprocess.run([sys.executable, "-c", FENCED], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr
