"""Samples of a video stream to RGB pixels and back."""

import numpy as np
import pytest
from support.video_samples import planes

pytest.importorskip("av")

from av.video.frame import VideoFrame

from fastsr.video.codecs.color_conversion import (
    BT601,
    BT709,
    BT2020,
    FULL,
    LIMITED,
    Colors,
    RgbToYuv,
    YuvToRgb,
    colors_of,
)

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
KR_KB = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}


def made(pix_fmt, width, height, values):
    """A frame whose planes are `values(plane, y, x)` in 8-bit levels."""
    frame = VideoFrame(width, height, pix_fmt)
    scale = 4 if "10" in pix_fmt else 1
    for number, plane in enumerate(frame.planes):
        y, x = np.mgrid[0 : plane.height, 0 : plane.width]
        samples = np.rint(np.broadcast_to(values(number, y / plane.height, x / plane.width), x.shape) * scale)
        dtype = np.uint8 if scale == 1 else np.uint16
        rows = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        rows[:, : plane.width] = samples
        plane.update(rows.tobytes())
    return frame


def smooth(plane, y, x):
    if plane == 0:
        return 125 + 40 * np.sin(x * 9)
    return 128 + 20 * np.sin(x * 4 + plane) + 15 * np.cos(y * 5 + 2 * plane)


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_there_and_back(pix_fmt, matrix, span):
    """Within 1 level; in 10 bits of full range within 2 of 1023, which swscale's own arithmetic costs."""
    for width, height in ((64, 48), (62, 38), (854, 48)):
        frame = made(pix_fmt, width, height, smooth)
        frame.colorspace, frame.color_range = matrix, span
        colors = colors_of(frame)
        pixels = YuvToRgb(colors, width, height)(frame)
        back = RgbToYuv(colors, pix_fmt, width, height)(pixels)
        worst = max(np.abs(a - b).max() for a, b in zip(planes(frame), planes(back), strict=True))
        assert worst <= (2 if "10" in pix_fmt and span == FULL else 1)
        assert (back.colorspace, back.color_range) == (matrix, span)


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le"])
def test_pixels_are_what_the_formula_says(pix_fmt, matrix, span):
    y, cb, cr = 120, 100, 150
    frame = made(pix_fmt, 16, 16, lambda plane, *_: np.float64((y, cb, cr)[plane]))
    frame.colorspace, frame.color_range = matrix, span
    pixels = YuvToRgb(colors_of(frame), 16, 16)(frame)
    low, luma, chroma = (16, 219, 224) if span == LIMITED else (0, 255, 255)
    kr, kb = KR_KB[matrix]
    light, blue, red = (y - low) / luma, (cb - 128) / chroma, (cr - 128) / chroma
    r, b = light + 2 * (1 - kr) * red, light + 2 * (1 - kb) * blue
    g = (light - kr * r - kb * b) / (1 - kr - kb)
    expected = np.array([r, g, b]) * np.iinfo(pixels.dtype).max
    # 10 bits of full range are stretched by their 1023rd part
    tolerance = 1 if pixels.dtype == np.uint8 else 160
    np.testing.assert_allclose(pixels[8, 8].astype(float), expected, atol=tolerance)


def test_unspecified_is_what_players_take():
    nothing = Colors()
    assert nothing.matrix_at(854, 480) == BT601
    assert nothing.matrix_at(1280, 720) == BT709
    assert Colors(BT2020).matrix_at(320, 180) == BT2020


def test_the_result_says_the_matrix_where_players_would_take_another():
    assert Colors().upscaled((480, 270), (1920, 1080)).matrix == BT601
    assert Colors().upscaled((480, 270), (960, 540)) == Colors()
    assert Colors(BT709, LIMITED, 1, 1).upscaled((480, 270), (1920, 1080)) == Colors(BT709, LIMITED, 1, 1)


def test_full_range_of_old_jpeg_formats():
    frame = VideoFrame(16, 16, "yuvj420p")
    assert colors_of(frame).range == FULL
