"""The C++ kernels against their reference implementations: dtypes, odd sizes, edges, on every instruction set."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import reference_kernels as reference

from fastsr import _core, ops

PIXELS = (np.uint8, np.uint16, np.float32)


@pytest.fixture(params=_core.available_isas(), autouse=True)
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", request.param)
    assert _core.active_isa() == request.param


def frame_of(rng, shape, dtype):
    if dtype == np.float32:
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.uint16, np.float32, np.int64, np.float64])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (33, 70)])
def test_pixel_shuffle_equals_the_reference(layout, dtype, factor, size):
    rng = np.random.default_rng(0)
    deep = 3 * factor**2
    shape = (2, deep, *size) if layout == "NCHW" else (2, *size, deep)
    x = rng.integers(0, 200, shape).astype(dtype)
    made = ops.pixel_shuffle(x, factor, layout)
    assert made.dtype == dtype
    assert_array_equal(made, reference.pixel_shuffle(x, factor, layout))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(("bias", "slope"), [(True, False), (False, True), (True, True)])
def test_bias_and_prelu_equal_the_reference(layout, dtype, bias, slope):
    rng = np.random.default_rng(0)
    shape = (2, 12, 5, 9) if layout == "NCHW" else (2, 5, 9, 12)
    x = rng.standard_normal(shape).astype(dtype)
    b = rng.standard_normal(3).astype(np.float32) if bias else None
    s = rng.standard_normal(3).astype(np.float32) if slope else None
    made = ops.pixel_shuffle(x, 2, layout, b, s)
    along = (1, 3, 1, 1) if layout == "NCHW" else (3,)
    expected = reference.pixel_shuffle(x, 2, layout).astype(np.float32)
    if bias:
        expected = expected + b.reshape(along)
    if slope:
        expected = np.where(expected > 0, expected, s.reshape(along) * expected)
    assert made.dtype == dtype
    assert_array_equal(made, expected.astype(dtype))


def test_bias_and_prelu_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="bias needs float16, bfloat16 or float32 elements, not int32"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2), np.int32), 2, bias=[1])
    with pytest.raises(ValueError, match="slope must be 1 float32 numbers"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2), np.float32), 2, slope=[1, 2])


def test_results_go_into_out():
    rng = np.random.default_rng(0)
    x, frame = rng.random((1, 12, 4, 5), dtype=np.float32), rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    shuffled, batch = np.empty((1, 3, 8, 10), np.float32), np.empty((1, 4, 4, 3), np.float16)
    assert ops.pixel_shuffle(x, 2, out=shuffled) is shuffled
    assert_array_equal(shuffled, reference.pixel_shuffle(x, 2))
    assert ops.tile_gather(frame, [(-1, 2)], (4, 4), layout="NHWC", out=batch) is batch
    expected = reference.tile_gather(frame, [(-1, 2)], (4, 4), np.float16)
    assert_array_equal(batch, expected.transpose(0, 2, 3, 1))
    with pytest.raises(ValueError, match="1 x 3 x 8 x 10 is needed"):
        ops.pixel_shuffle(x, 2, out=shuffled[:, :2])
    with pytest.raises(ValueError, match="out has dtype float64"):
        ops.pixel_shuffle(x, 2, out=np.empty((1, 3, 8, 10)))
    with pytest.raises(ValueError, match=r"out has shape \(1, 4, 4, 3\) where \(1, 3, 4, 4\)"):
        ops.tile_gather(frame, [(0, 0)], (4, 4), out=batch)
    with pytest.raises(ValueError, match="out must be a NumPy array here, not list"):
        ops.pixel_shuffle(x, 2, out=[])


def test_pixel_shuffle_takes_strided_arrays():
    x = np.arange(2 * 8 * 6 * 10, dtype=np.float32).reshape(2, 8, 6, 10)[:, ::2, :, ::-1]
    assert_array_equal(ops.pixel_shuffle(x, 2), reference.pixel_shuffle(x, 2))


@pytest.mark.parametrize(
    ("shape", "factor", "message"),
    [
        ((1, 3, 4, 4), 2, "not a multiple of factor"),
        ((3, 4, 4), 1, "four dimensions"),
        ((1, 4, 4, 4), 0, "at least 1"),
        ((1, 4, 4, 4), 1 << 32, "at most 1024"),
    ],
)
def test_pixel_shuffle_refuses(shape, factor, message):
    with pytest.raises(ValueError, match=message):
        ops.pixel_shuffle(np.zeros(shape, np.float32), factor)


def test_pixel_shuffle_refuses_layout_and_wide_elements():
    with pytest.raises(ValueError, match="NHWC"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2), np.float32), 2, "CHWN")
    with pytest.raises(ValueError, match="bytes wide"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2), np.complex128), 2)
    with pytest.raises(ValueError, match="not Python objects"):
        ops.pixel_shuffle(np.zeros((1, 4, 2, 2), object), 2)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(PIXELS),
    batch_dtype=st.sampled_from([np.float32, np.float16]),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    channels=st.integers(1, 4),
    height=st.integers(1, 40),
    width=st.integers(1, 90),
)
def test_gather_equals_the_reference(data, dtype, batch_dtype, layout, channels, height, width):
    rng = np.random.default_rng(height * 1000 + width)
    frame = frame_of(rng, (height, width, channels), dtype)
    tile = (data.draw(st.integers(1, 30)), data.draw(st.integers(1, 80)))
    origin = st.tuples(st.integers(-50, height + 20), st.integers(-50, width + 20))
    origins = data.draw(st.lists(origin, min_size=1, max_size=3))
    made = ops.tile_gather(frame, origins, tile, batch_dtype, layout)
    # The reference pads only as far as a tile reaches: tiles wholly outside are left to the reflection test.
    inside = [i for i, (y, x) in enumerate(origins) if y < height and x < width and y + tile[0] > 0 and x + tile[1] > 0]
    if inside:
        expected = reference.tile_gather(frame, [origins[i] for i in inside], tile, batch_dtype)
        assert_array_equal(made[inside], expected if layout == "NCHW" else expected.transpose(0, 2, 3, 1))
    assert made.dtype == batch_dtype


def test_gather_mirrors_over_any_distance():
    frame = np.arange(4, dtype=np.uint8).reshape(1, 4, 1)
    made = ops.tile_gather(frame, [(-5, -9)], (1, 22))[0, 0, 0] * 255
    assert_array_equal(np.rint(made), np.pad(np.arange(4), (9, 9), mode="reflect"))


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(PIXELS),
    batch_dtype=st.sampled_from([np.float32, np.float16]),
    channels=st.integers(1, 4),
    factor=st.integers(1, 5),
    residual=st.sampled_from(ops.RESIDUALS),
    layout=st.sampled_from(["NCHW", "NHWC"]),
)
def test_scatter_equals_the_reference(data, dtype, batch_dtype, channels, factor, residual, layout):
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 100))
    rng = np.random.default_rng(height * 1000 + width)
    low = frame_of(rng, (height, width, channels), dtype)
    windows = []
    tile = (data.draw(st.integers(1, height + 4)), data.draw(st.integers(1, width + 4)))
    for _ in range(data.draw(st.integers(1, 3))):
        top, left = data.draw(st.integers(-3, height - 1)), data.draw(st.integers(-3, width - 1))
        core_top = data.draw(st.integers(max(0, top), max(0, min(height, top + tile[0]))))
        core_left = data.draw(st.integers(max(0, left), max(0, min(width, left + tile[1]))))
        bottom = data.draw(st.integers(core_top, max(core_top, min(height, top + tile[0]))))
        right = data.draw(st.integers(core_left, max(core_left, min(width, left + tile[1]))))
        if bottom <= top + tile[0] and right <= left + tile[1]:
            windows.append((top, left, core_top, core_left, bottom, right))
    shape = (len(windows), channels * factor**2, *tile)
    batch = (rng.random(shape, dtype=np.float32) * 1.6 - 0.3).astype(batch_dtype)
    made = frame_of(rng, (height * factor, width * factor, channels), dtype)
    expected = made.copy()
    laid_out = batch if layout == "NCHW" else batch.transpose(0, 2, 3, 1)
    ops.tile_scatter(laid_out, windows, made, factor, residual, low, layout)
    reference.tile_scatter(batch, windows, expected, factor, residual, low)
    assert_array_equal(made, expected)


def test_scatter_rounds_half_to_even_clamps_and_stores_nan_as_zero():
    values = np.array([0.5, 1.5, 2.5, -9.0, 300.0, np.inf, -np.inf, np.nan], np.float32) / np.float32(255)
    frame = np.full((1, 8, 1), 77, np.uint8)
    ops.tile_scatter(values.reshape(1, 1, 1, 8), [(0, 0, 0, 0, 1, 8)], frame)
    assert frame.ravel().tolist() == [0, 2, 2, 0, 255, 255, 0, 0]


@pytest.mark.parametrize("dtype", PIXELS)
def test_every_value_survives_gather_and_scatter(dtype):
    values = np.linspace(0, 1, 4096, dtype=np.float32) if dtype == np.float32 else np.arange(np.iinfo(dtype).max + 1)
    frame = values.astype(dtype).reshape(1, -1, 1)
    out = np.empty_like(frame)
    size = frame.shape[1]
    ops.tile_scatter(ops.tile_gather(frame, [(0, 0)], (1, size)), [(0, 0, 0, 0, 1, size)], out)
    assert_array_equal(out, frame)


def test_half_conversion_covers_every_value():
    bits = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    values = bits[np.isfinite(bits) & (bits >= 0) & (bits <= 1)]
    frame = values.astype(np.float32).reshape(1, -1, 1)
    assert_array_equal(ops.tile_gather(frame, [(0, 0)], (1, frame.shape[1]), np.float16).ravel(), values)
    out = np.empty_like(frame)
    window = [(0, 0, 0, 0, 1, frame.shape[1])]
    ops.tile_scatter(values.reshape(1, 1, 1, -1), window, out)
    assert_array_equal(out, frame)


def test_scatter_refuses_what_does_not_fit():
    batch, frame = np.zeros((1, 4, 4, 4), np.float32), np.zeros((8, 8, 1), np.uint8)
    window = [(0, 0, 0, 0, 4, 4)]
    with pytest.raises(ValueError, match="inside its tile"):
        ops.tile_scatter(batch, [(0, 0, 0, 0, 5, 4)], frame, 2)
    with pytest.raises(ValueError, match="one per tile"):
        ops.tile_scatter(batch, window * 2, frame, 2)
    with pytest.raises(ValueError, match="channels x factor"):
        ops.tile_scatter(batch, window, frame, 1)
    with pytest.raises(ValueError, match="channels x factor must not exceed 64"):  # nor overflow where it is empty
        ops.tile_scatter(np.zeros((0, 4, 4, 4), np.float32), [], np.zeros((0, 0, 1 << 60), np.uint8), 8)
    with pytest.raises(ValueError, match="needs the low-resolution frame"):
        ops.tile_scatter(batch, window, frame, 2, "nearest")
    with pytest.raises(ValueError, match="smaller by the factor"):
        ops.tile_scatter(batch, window, frame, 2, "nearest", np.zeros((3, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="bilinear"):
        ops.tile_scatter(batch, window, frame, 2, "bicubic")
    with pytest.raises(ValueError, match="C-contiguous"):
        ops.tile_scatter(batch, window, frame[:, ::-1], 2)
    frame.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ops.tile_scatter(batch, window, frame, 2)


@pytest.mark.parametrize("dtype", [np.int32, np.float64, np.bool_])
def test_gather_refuses_dtypes(dtype):
    with pytest.raises(ValueError, match="accepted: uint8, uint16, float32"):
        ops.tile_gather(np.zeros((4, 4, 3), dtype), [(0, 0)], (2, 2))


def test_gather_refuses_shapes():
    with pytest.raises(ValueError, match="height x width x channels"):
        ops.tile_gather(np.zeros((4, 4), np.uint8), [(0, 0)], (2, 2))
    with pytest.raises(ValueError, match="empty"):
        ops.tile_gather(np.zeros((0, 4, 3), np.uint8), [(0, 0)], (2, 2))
    with pytest.raises(ValueError, match="float16"):
        ops.tile_gather(np.zeros((4, 4, 3), np.uint8), [(0, 0)], (2, 2), np.float64)


def test_swapped_bytes_are_refused():
    with pytest.raises(ValueError, match="bytes swapped"):
        ops.tile_gather(np.full((2, 2, 1), 256, ">u2"), [(0, 0)], (2, 2))


def test_unaligned_arrays():
    x = np.arange(256, dtype=np.float32)
    unaligned = np.frombuffer(b"x" + x.tobytes(), np.float32, offset=1).reshape(1, 16, 4, 4)
    assert_array_equal(ops.pixel_shuffle(unaligned, 2), reference.pixel_shuffle(unaligned, 2))


@pytest.mark.parametrize("shape", [(1, 4, 1 << 60, 1), (1, 4, 1, 1 << 62), (1, -4, 2, 2), (1, 4, 2, -(1 << 62))])
def test_sides_that_cannot_be_counted_are_refused(shape):
    for last in (False, True):
        sides = [shape[0], *shape[2:], shape[1]] if last else list(shape)
        with pytest.raises(ValueError, match="out of bounds"):
            _core.shuffle_shape(sides, 16, last)


def test_origins_beyond_reason_are_refused():
    with pytest.raises(ValueError, match="too far"):
        ops.tile_gather(np.zeros((2, 2, 1), np.uint8), [(0, -(1 << 63))], (2, 2))


def test_many_threads_at_once():
    rng = np.random.default_rng(1)
    x = rng.random((1, 48, 120, 200), dtype=np.float32)
    expected = reference.pixel_shuffle(x, 4)
    wrong = []

    def work():
        for _ in range(5):
            if not np.array_equal(ops.pixel_shuffle(x, 4), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def test_pool_obeys_environment_and_affinity():
    code = "from fastsr import _core; print(_core.thread_count())"
    allowed = len(os.sched_getaffinity(0))
    assert int(_python(code, FASTSR_NUM_THREADS="1").stdout) == 1
    assert int(_python(code, FASTSR_NUM_THREADS="999").stdout) == allowed
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); " + code
    assert int(_python(one).stdout) == 1


def test_pool_works_after_fork():
    code = """
import os, numpy as np
from fastsr import ops
x = np.zeros((1, 48, 300, 300), np.float32)
ops.pixel_shuffle(x, 4)
child = os.fork()
if child == 0:
    ops.pixel_shuffle(x, 4)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert _python(code).stdout.strip() == "7"


def test_pool_does_without_threads_that_cannot_start():
    code = """
import resource, numpy as np
from fastsr import ops
x = np.zeros((1, 48, 120, 120), np.float32)
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, ((pages * resource.getpagesize() + (7 << 20)),) * 2)
print(ops.pixel_shuffle(x, 4).shape)
"""
    assert _python(code).stdout.strip() == "(1, 3, 480, 480)"


def test_daemon_threads_end_with_the_interpreter():
    code = """
import threading, time, numpy as np
from fastsr import ops
x = np.zeros((1, 48, 300, 300), np.float32)
def work():
    while True:
        ops.pixel_shuffle(x, 4)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
"""
    done = _python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_unknown_isa_is_named():
    done = _python("from fastsr import _core; _core.active_isa()", FASTSR_ISA="sse9")
    assert "FASTSR_ISA=sse9 is not available here; available: portable" in done.stderr
