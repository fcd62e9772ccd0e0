"""Luma and chroma: against Pillow's, there and back, and of gray."""

import numpy as np
import pytest
from PIL import Image

from fastsr.images import luma


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (300, 17, 3), dtype=np.uint8)  # taller than a band


def test_luma_and_chroma_are_what_jpeg_has(pixels):
    y, chroma = luma.split(pixels)
    assert (y.shape, chroma.shape) == ((300, 17, 1), (300, 17, 2))
    expected = np.asarray(Image.fromarray(pixels).convert("YCbCr")).astype(float) - [0, 128, 128]
    np.testing.assert_allclose(np.concatenate([y, chroma], axis=2) * 255, expected, atol=1.01)  # it rounds down


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_there_and_back_is_the_same_image(pixels, dtype):
    given = pixels.astype(dtype) * dtype(257) if dtype == np.uint16 else pixels.astype(dtype)
    given = given / np.float32(255) if dtype == np.float32 else given
    made = luma.joined(*luma.split(given), given.dtype)
    assert made.dtype == dtype
    np.testing.assert_allclose(made, given, atol=1e-6 if dtype == np.float32 else 0)


def test_gray_has_no_chroma(pixels):
    gray = pixels[..., :1]
    y, chroma = luma.split(np.repeat(gray, 3, axis=2))
    np.testing.assert_allclose(y * 255, gray, atol=1e-4)
    np.testing.assert_allclose(chroma, 0, atol=1e-6)
