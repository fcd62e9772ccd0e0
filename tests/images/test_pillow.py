"""Pillow images of every mode in and out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import image_of_mode, noise, restored, twice

from fastsr.errors import ImageError
from fastsr.images import read


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I;16L", "I;16B", "I;16N", "I", "F"])
def test_modes_come_back_exactly(mode):
    image = image_of_mode(mode)
    result = restored(image)
    assert result.mode == mode
    assert result.size == (10, 8)
    np.testing.assert_array_equal(np.asarray(result), twice(np.asarray(image)))


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBa", "La"])
def test_modes_that_pass_through_another(mode):
    image = image_of_mode("LA" if mode == "La" else "RGBA" if mode == "RGBa" else "RGB").convert(mode)
    base = {"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")
    result = restored(image)
    assert result.mode == mode
    np.testing.assert_array_equal(np.asarray(result), twice(np.asarray(image.convert(base).convert(mode))))
    seen = image.convert(base)
    frame = read(image).frames[0]
    planes = [frame.color] if frame.alpha is None else [frame.color, frame.alpha]
    np.testing.assert_array_equal(np.concatenate(planes, axis=2), np.atleast_3d(np.asarray(seen)))


@pytest.mark.parametrize(("mode", "back"), [("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("RGBX", "RGB")])
def test_modes_that_become_another(mode, back):
    image = image_of_mode(mode)
    result = restored(image)
    assert result.mode == back
    np.testing.assert_array_equal(np.asarray(result), twice(np.asarray(image.convert(back))))


@pytest.mark.parametrize("key", [3, bytes(range(0, 250, 10)) + b"\xff" * 231])
def test_palette_transparency(key):
    image = image_of_mode("P")
    image.putdata([*range(20)])
    image.info["transparency"] = key
    result = restored(image)
    assert result.mode == "RGBA"
    expected = [0 if i == 3 else 255 for i in range(20)] if key == 3 else [*key[:20]]
    assert np.asarray(result)[::2, ::2, 3].ravel().tolist() == expected


@pytest.mark.parametrize(("mode", "key", "back"), [("L", 7, "LA"), ("RGB", (7, 7, 9), "RGBA"), ("1", 255, "LA")])
def test_color_keys_become_alpha(mode, key, back):
    image = Image.new(mode, (3, 1), 0)
    image.putpixel((1, 0), key)
    image.info["transparency"] = key
    result = restored(image)
    assert result.mode == back
    assert "transparency" not in result.info
    assert np.asarray(result)[0, ::2, -1].tolist() == [255, 0, 255]


def test_gray_stays_gray():
    assert read(image_of_mode("L")).frames[0].color.shape[2] == 1
    assert read(image_of_mode("LA")).frames[0].color.shape[2] == 1


def test_cmyk_planes_show_white_paper_as_white():
    frame = read(Image.new("CMYK", (2, 2), (0, 10, 20, 30))).frames[0]
    assert frame.color[0, 0].tolist() == [255, 245, 235]
    assert frame.black is not None
    assert frame.black[0, 0].tolist() == [225]


@pytest.mark.parametrize("value", [-1, 65536])
def test_wide_integers_are_refused(value):
    with pytest.raises(ImageError, match=r"0\.\.65535"):
        read(Image.new("I", (2, 2), value))


def test_float_image_out_of_range_is_refused():
    with pytest.raises(ImageError, match="divide by 255"):
        read(Image.new("F", (2, 2), 12.0))


def test_empty_image_is_refused():
    with pytest.raises(ImageError, match="0 x 5"):
        read(Image.new("RGB", (0, 5)))


def test_reading_leaves_the_image_alone():
    image = image_of_mode("P")
    image.info["transparency"] = b"\x80" * 256
    before = image.tobytes(), image.mode, dict(image.info), image.getpalette("RGB")
    read(image)
    assert before == (image.tobytes(), image.mode, dict(image.info), image.getpalette("RGB"))


def test_wrong_number_of_frames():
    decoded = read(noise(2, 2))
    with pytest.raises(ImageError, match="2 frames given for 1"):
        decoded.restore([*decoded.frames] * 2)


def test_unconvertible_mode(monkeypatch):
    def refuse(self, *rest, **options):
        raise ValueError("conversion not supported")

    image = image_of_mode("LAB")
    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(ImageError, match='cannot convert mode "LAB"'):
        read(image)
