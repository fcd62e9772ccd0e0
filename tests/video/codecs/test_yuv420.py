"""The kernels between RGB and 8-bit YUV 4:2:0: what the formulas say, rounded, and the same on every machine."""

import itertools

import numpy as np
import pytest
from support import reference_colors as reference

from fastsr import _core

SHARES = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722), "BT.2020": (0.2627, 0.0593), "FCC": (0.30, 0.11)}
SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (8, 16), (9, 33), (17, 15), (24, 70), (31, 64)]
# beyond half a level: what 16 bits of coefficients and 6 and 7 of chroma's fractions may cost
BEYOND = 0.08


@pytest.fixture(params=_core.available_isas(), autouse=True)
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", request.param)


def every_case():
    return itertools.product(SHARES.values(), (False, True), (False, True))


def random_pixels(height, width, seed=0):
    """Noise whose values are often extreme, so that sums reach as far as they can."""
    values = np.random.default_rng(seed).integers(-80, 336, (height, width, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def empty_planes(height, width, more=0):
    rows, columns = (height + 1) // 2, (width + 1) // 2
    shapes = [(height, width + more), (rows, columns + more), (rows, columns + more)]
    return [np.full(shape, 77, np.uint8) for shape in shapes]


def assert_rounded(made, exact):
    np.testing.assert_array_less(np.abs(made - np.clip(exact, 0, 255)), 0.5 + BEYOND)


@pytest.mark.parametrize("size", SIZES)
def test_rgb_to_yuv_is_the_formula_rounded(size):
    pixels = random_pixels(*size)
    for shares, full, left in every_case():
        planes = empty_planes(*size)
        _core.rgb_to_yuv420(pixels, *planes, shares, full, left)
        for made, exact in zip(planes, reference.rgb_to_yuv420(pixels, shares, full, left), strict=True):
            assert_rounded(made, exact)


@pytest.mark.parametrize("size", SIZES)
def test_yuv_to_rgb_is_the_formula_rounded(size):
    shapes = [plane.shape for plane in empty_planes(*size)]
    planes = [random_pixels(*shape, seed=i)[:, :, 0].copy() for i, shape in enumerate(shapes)]
    for shares, full, left in every_case():
        pixels = np.empty((*size, 3), np.uint8)
        _core.yuv420_to_rgb(*planes, pixels, shares, full, left)
        assert_rounded(pixels, reference.yuv420_to_rgb(*planes, shares, full, left))


@pytest.mark.parametrize("more", [1, 13, 32])
def test_only_the_samples_of_a_row_are_read_and_written(more):
    height, width = 13, 37
    pixels = random_pixels(height, width)
    plain, wide = empty_planes(height, width), empty_planes(height, width, more)
    arguments = SHARES["BT.709"], False, True
    _core.rgb_to_yuv420(pixels, *plain, *arguments)
    _core.rgb_to_yuv420(pixels, *wide, *arguments)
    for narrow, plane in zip(plain, wide, strict=True):
        np.testing.assert_array_equal(plane[:, : narrow.shape[1]], narrow)
        assert (plane[:, narrow.shape[1] :] == 77).all()
    backs = [np.empty_like(pixels) for _ in range(2)]
    _core.yuv420_to_rgb(*plain, backs[0], *arguments)
    _core.yuv420_to_rgb(*wide, backs[1], *arguments)
    np.testing.assert_array_equal(*backs)


def test_grays_have_no_colour_and_return_as_they_were():
    for (shares, full, left), value in itertools.product(every_case(), (0, 1, 100, 254, 255)):
        pixels = np.full((6, 20, 3), value, np.uint8)
        planes = empty_planes(6, 20)
        _core.rgb_to_yuv420(pixels, *planes, shares, full, left)
        assert (planes[1] == 128).all()
        assert (planes[2] == 128).all()
        back = np.empty_like(pixels)
        _core.yuv420_to_rgb(*planes, back, shares, full, left)
        assert np.abs(back.astype(int) - value).max() <= (0 if full else 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pixels": np.zeros((4, 6, 4), np.uint8)}, "x 3, uint8"),
        ({"pixels": np.zeros((4, 6, 3), np.uint16)}, "x 3, uint8"),
        ({"luma": np.zeros((4, 5), np.uint8)}, "luma must be uint8, 4 rows of at least 6"),
        ({"blue": np.zeros((3, 3), np.uint8)}, "blue must be uint8, 2 rows of at least 3"),
        ({"red": np.zeros((2, 3), np.float32)}, "red must be uint8"),
        ({"red": np.zeros((2, 6), np.uint8)[:, :3]}, "red must be C-contiguous"),
        ({"shares": (0.5, 0.4)}, "shares"),
        ({"shares": (0.0, 0.4)}, "shares"),
        ({"shares": (float("nan"), 0.1)}, "shares"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    luma, blue, red = empty_planes(4, 6)
    given = {"pixels": np.zeros((4, 6, 3), np.uint8), "luma": luma, "blue": blue, "red": red}
    given |= {"shares": (0.299, 0.114), "full_range": False, "chroma_left": True, **changed}
    for convert in (_core.rgb_to_yuv420, _core.yuv420_to_rgb):
        with pytest.raises(ValueError, match=message):
            convert(**given)


def test_every_instruction_set_makes_the_same_bytes(isa, monkeypatch):
    pixels = random_pixels(45, 83)
    for shares, full, left in every_case():
        results = []
        for name in (_core.active_isa(), "portable"):
            monkeypatch.setenv("FASTSR_ISA", name)
            planes, back = empty_planes(45, 83), np.empty_like(pixels)
            _core.rgb_to_yuv420(pixels, *planes, shares, full, left)
            _core.yuv420_to_rgb(*planes, back, shares, full, left)
            results.append([*planes, back])
            monkeypatch.undo()
        for made, expected in zip(*results, strict=True):
            np.testing.assert_array_equal(made, expected)
