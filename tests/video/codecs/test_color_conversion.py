"""Samples of a video stream to RGB pixels and back."""

from fractions import Fraction

import numpy as np
import pytest
from support.video_samples import planes

pytest.importorskip("av")

import av
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

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
from fastsr.video.codecs.yuv420 import has_chroma_left

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


def coded(codec, pix_fmt, parameters, shown):
    """A frame behind an encoder and its decoder."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = shown.width, shown.height, pix_fmt
    encoder.time_base = Fraction(1, 25)
    encoder.options = parameters
    packets = [*encoder.encode(shown), *encoder.encode(None)]
    decoder = av.CodecContext.create(av.Codec(codec, "w").name.removeprefix("lib").replace("x26", "h26"), "r")
    decoder.extradata = encoder.extradata
    return next(frame for packet in [*packets, None] for frame in decoder.decode(packet))


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "options", "left"),
    [
        ("libx264", "yuv420p", {"qp": "0"}, True),
        ("libx264", "yuv420p", {"x264-params": "chromaloc=1"}, False),
        ("libx264", "yuv420p", {"x264-params": "chromaloc=2"}, None),
        ("mjpeg", "yuvj420p", {}, False),
    ],
)
def test_chroma_is_found_where_the_stream_says(codec, pix_fmt, options, left):
    shown = made(pix_fmt, 64, 48, smooth)
    assert has_chroma_left(coded(codec, pix_fmt, options, shown)) is left


def test_chroma_stays_beside_its_luma_in_h264():
    """An edge from red to blue, encoded and decoded, lies where it was; half a column off where nothing is said."""
    pixels = np.full((64, 64, 3), (200, 60, 60), np.uint8)
    pixels[:, 32:] = (60, 60, 200)
    colors = Colors(BT709, LIMITED, 1, 1)

    def edge(chroma_left):
        frame = RgbToYuv(colors, "yuv420p", 64, 64, chroma_left=chroma_left)(pixels)
        back = YuvToRgb(colors, 64, 64)(coded("libx264", "yuv420p", {"qp": "0"}, frame))[32].astype(float)
        redness = back[:, 0] - back[:, 2]
        return ((redness - redness[-1]) / (redness[0] - redness[-1])).sum()

    assert abs(edge(True) - 32) < 0.1
    assert abs(edge(False) - 32) > 0.4


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_swscale_is_never_further_than_a_level_from_our_kernels(matrix, span):
    """Both ways, with chroma between two columns, as swscale has it where nothing is said."""
    colors = Colors(matrix, span)
    pixels = np.clip(np.random.default_rng(0).normal(128, 40, (50, 70, 3)), 0, 255).astype(np.uint8)
    ours = RgbToYuv(colors, "yuv420p", 70, 50)(pixels)
    theirs = swscale(VideoFrame.from_ndarray(pixels, format="rgb24"), "yuv420p", matrix, (FULL, span))
    assert max(np.abs(a - b).max() for a, b in zip(planes(ours), planes(theirs), strict=True)) <= 1
    back = YuvToRgb(colors, 70, 50)(theirs)
    again = swscale(theirs, "rgb24", matrix, (span, FULL)).to_ndarray()
    assert np.abs(back.astype(int) - again).max() <= 2


def swscale(frame, pix_fmt, matrix, spans):
    method = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    method |= Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    number = 5 if matrix == BT601 else matrix
    return VideoReformatter().reformat(
        frame,
        format=pix_fmt,
        src_colorspace=number,
        dst_colorspace=number,
        interpolation=method,
        src_color_range=spans[0],
        dst_color_range=spans[1],
        threads=1,
    )
