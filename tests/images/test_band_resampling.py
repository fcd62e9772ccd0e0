"""Cubic resampling in bands: Pillow's bits along each axis, however the bands are cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference_kernels as reference

from fastsr import _core
from fastsr.images import resample
from fastsr.images.band_resampling import part, read, resampled


@pytest.fixture(params=_core.available_isas())
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", request.param)


def floats(*shape):
    return np.random.default_rng(0).random(shape, np.float32) * 1.4 - 0.2  # some beyond 0..1


def in_bands(pixels, cuts):
    edges = sorted({0, len(pixels), *(cut % len(pixels) for cut in cuts)})
    return (pixels[top:bottom] for top, bottom in pairwise(edges))


def by_pillow(pixels, size, dtype):
    return resample.resize_to(pixels, size, np.dtype(dtype))


side = st.integers(1, 90)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@given(source=st.tuples(side, side), size=st.tuples(side, side), channels=st.integers(1, 4), cuts=st.lists(side))
@settings(max_examples=60, deadline=None)
def test_equals_pillow_in_any_bands(dtype, source, size, channels, cuts):
    pixels = floats(source[1], source[0], channels)
    made = np.concatenate(list(resampled(in_bands(pixels, cuts), source, size, dtype)))
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, by_pillow(pixels, size, dtype))


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("size", [(701, 300), (1500, 401), (640, 300), (701, 250), (5, 3)])
def test_many_rows_equal_pillow_on_every_instruction_set(size):
    pixels = floats(300, 701, 3)
    made = np.concatenate(list(resampled(in_bands(pixels, [130, 131, 290]), (701, 300), size, np.uint8)))
    np.testing.assert_array_equal(made, by_pillow(pixels, size, np.uint8))


def span(length):
    return st.tuples(st.integers(0, length - 1), st.integers(1, length)).map(
        lambda s: range(min(s), max(min(s) + 1, s[1]))
    )


def cut(pixels, rows, columns):
    return pixels[rows.start : rows.stop, columns.start : columns.stop]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_parts_are_those_of_the_whole_in_any_bands(data):
    source, size = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    rows, columns = data.draw(span(size[1])), data.draw(span(size[0]))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    pixels = floats(source[1], source[0], 3)
    needed = cut(pixels, read(source[1], size[1], rows), read(source[0], size[0], columns))
    bands = in_bands(needed.copy(), data.draw(st.lists(side)))
    made = np.concatenate(list(resampled(bands, source, size, dtype, rows, columns)))
    np.testing.assert_array_equal(made, cut(by_pillow(pixels, size, dtype), rows, columns))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_parts_by_every_filter_are_those_of_the_whole(data):
    source, size = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    rows, columns = data.draw(span(size[1])), data.draw(span(size[0]))
    method = data.draw(st.sampled_from(resample.METHODS))
    pixels = floats(source[1], source[0], 2)
    made = part(pixels, lambda samples: samples, size, rows, columns, method)
    np.testing.assert_array_equal(made, cut(resample.resize(pixels, size, method), rows, columns))


@pytest.mark.parametrize("method", resample.METHODS)
def test_a_part_reads_no_more_than_its_sums_span(method):
    asked = []

    def seen(samples):
        asked.append(samples.shape)
        return samples

    pixels = floats(1000, 2000, 1)
    part(pixels, seen, (8000, 4000), range(400, 440), range(700, 780), method)
    ((height, width, _),) = asked
    assert height <= (40 if method == "nearest" else 10 + 2 * 3 + 1)
    assert width <= (80 if method == "nearest" else 20 + 2 * 3 + 1)
    assert len(read(2000, 8000, range(700, 780))) <= 20 + 2 * 2 + 1


def test_rows_come_as_soon_as_they_can():
    pixels = floats(400, 8, 1)
    seen = 0

    def bands():
        nonlocal seen
        for top in range(0, 400, 40):
            seen = top + 40
            yield pixels[top : top + 40]

    made = 0
    for rows in resampled(bands(), (8, 400), (8, 300), np.uint8):
        made += len(rows)
        assert made >= (seen - 4) * 300 // 400 - 1
    assert made == 300


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_kernels_equal_the_reference(channels, dtype):
    rng = np.random.default_rng(1)
    pixels, weights = floats(23, 611, channels), rng.random((40, 5)) - 0.3
    across, down = rng.integers(0, 607, 40), rng.integers(0, 19, 40)
    columns = np.empty((23, 40, channels), np.float32)
    _core.resample_columns(pixels, across, weights, columns)
    np.testing.assert_array_equal(columns, reference.weighted_sums(pixels, across, weights, 1))
    rows = np.empty((40, 611, channels), dtype)
    _core.resample_rows(pixels, down, weights, rows)
    expected = reference.weighted_sums(pixels, down, weights, 0)
    np.testing.assert_array_equal(rows, reference.to_pixels(expected, np.dtype(dtype)))


PIXELS, WEIGHTS = np.zeros((6, 8, 3), np.float32), np.zeros((4, 3))


@pytest.mark.parametrize(
    ("rows", "starts", "weights", "out", "what"),
    [
        (PIXELS.astype(np.uint8), [0] * 4, WEIGHTS, np.empty((6, 4, 3), np.float32), "float32"),
        (PIXELS, [0] * 3, WEIGHTS, np.empty((6, 4, 3), np.float32), "as many rows as starts"),
        (PIXELS, [0] * 4, WEIGHTS.astype(np.float32), np.empty((6, 4, 3), np.float32), "float64"),
        (PIXELS, [0, 0, 0, 6], WEIGHTS, np.empty((6, 4, 3), np.float32), "beyond"),
        (PIXELS, [0, -1, 0, 0], WEIGHTS, np.empty((6, 4, 3), np.float32), "beyond"),
        (PIXELS, [0] * 4, np.zeros((4, 9)), np.empty((6, 4, 3), np.float32), "beyond"),
        (PIXELS, [0] * 4, WEIGHTS, np.empty((6, 5, 3), np.float32), "out must"),
        (PIXELS, [0] * 4, WEIGHTS, np.empty((6, 4, 3), np.float64), "out"),
    ],
)
def test_what_cannot_be_resampled(rows, starts, weights, out, what):
    starts = np.array(starts)
    with pytest.raises(ValueError, match=what):
        _core.resample_columns(rows, starts, weights, out)
    turned = [np.ascontiguousarray(array.transpose(1, 0, 2)) for array in (rows, out)]
    with pytest.raises(ValueError, match=what):
        _core.resample_rows(turned[0], starts, weights, turned[1])
