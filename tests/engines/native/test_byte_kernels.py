"""Bytes in and bytes out: kernels of their own for them make what the formulas say, infinities and NaN included."""

import numpy as np
import pytest
from support import reference_kernels as reference

from fastsr import _core

INF, NAN = float("inf"), float("nan")
NONE = np.empty(0, np.float32)
# among others halves of levels, which are rounded to even ones
SAMPLES = (NAN, INF, -INF, 3e38, -3e38, 1e10, -1e10, -0.0, 1.0, *(np.arange(9) / 510), 0.2501, 0.999)


@pytest.fixture(params=_core.available_isas(), autouse=True)
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", request.param)


def pixels_of(height, width):
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def conv(made, source, target, kernel, bias, scales=NONE, slopes=NONE):
    made.conv(source, target, kernel, bias, scales, slopes, -1, -INF, INF, 1)


def one_tap(channels, inputs):
    """An int8 kernel that hands the first channels on, over and over."""
    kernel = np.zeros((channels, inputs, 1, 1), np.int8)
    kernel[np.arange(channels), np.arange(channels) % inputs] = 1
    return kernel


@pytest.mark.parametrize("base", ["none", "nearest"])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [1, 3, 4, 31, 33, 70])
def test_stored_samples_are_rounded_and_clamped(base, factor, width):
    channels = 3 * factor**2
    bias = np.resize(np.array(SAMPLES, np.float32), channels)
    bias = np.roll(bias, width)
    made = _core.ConvProgram("fp32")
    made.tensor(3, 1, True, False)
    made.tensor(channels, 1, True, False)
    conv(made, 0, 1, np.zeros((channels, 3, 1, 1), np.float32), bias)
    made.store(1, factor, base)
    frame = pixels_of(5, width)
    # of each pixel of the result: (dy, dx, c)
    samples = np.tile(bias.reshape(factor, factor, 3), (5, width, 1))
    if base == "nearest":
        samples = samples + reference.enlarge_nearest(frame, factor)
    np.testing.assert_array_equal(made.run(frame), expected_bytes(samples))


def expected_bytes(samples):
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.where(np.isnan(samples), 0, samples).astype(np.float32) * np.float32(255)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("quantization", [(1 / 255, 0), (1 / 64, 128), (0.01, 3), (2 / 255, 0)])
@pytest.mark.parametrize("width", [1, 5, 6, 16, 17, 41])
def test_loaded_bytes_are_quantized(quantization, width):
    scale, zero = quantization
    made = _core.ConvProgram("int8")
    made.tensor(3, 1, False, True, scale, zero)
    made.tensor(3, 1, True, False)
    conv(made, 0, 1, one_tap(3, 3), np.zeros(3, np.int32), np.full(3, 1 / 255, np.float32))
    made.store(1, 1, "none")
    frame = pixels_of(3, width)
    inverse = np.float32(1) / np.float32(scale)
    values = np.clip(np.rint(reference.to_network(frame) * inverse), -zero, 255 - zero)
    np.testing.assert_array_equal(made.run(frame), np.clip(values, 0, 255))


@pytest.mark.parametrize("channels", [8, 16, 32, 48])
@pytest.mark.parametrize("width", [1, 7, 24, 25, 61])
def test_sums_are_quantized_alike_however_large_they_are(channels, width, monkeypatch):
    """Infinities, and NaN (an infinity times a slope of zero), between two convolutions."""

    def run():
        made = _core.ConvProgram("int8")
        made.tensor(3, 1, False, True, 1 / 255, 0)
        made.tensor(channels, 1, False, True, 1 / 64, 101)
        made.tensor(3, 1, True, False)
        scales = np.resize(np.array([1e-2, 1e38, 1e-4, 3e4, 1 / 128, 1e12, -1e38], np.float32), channels)
        slopes = np.resize(np.array([0.0, 0.25, -2.0, 0.0, 1.0], np.float32), channels)
        bias = np.resize(np.array([-90, 40, -128, 0, -7], np.int32), channels)
        conv(made, 0, 1, one_tap(channels, 3), bias, scales, slopes)
        kernel = np.random.default_rng(1).integers(-3, 4, (3, channels, 3, 3)).astype(np.int8)
        conv(made, 1, 2, kernel, np.full(3, 4000, np.int32), np.full(3, 1e-4, np.float32))
        made.store(2, 1, "none")
        return made.run(pixels_of(4, width))

    here = run()
    monkeypatch.setenv("FASTSR_ISA", "portable")
    np.testing.assert_array_equal(here, run())
    assert len(np.unique(here)) > 3 or width == 1
