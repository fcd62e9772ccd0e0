"""8-bit YUV 4:2:0 to RGB and back by our own kernels: in place in the planes of a frame, and faster than by swscale.

They compute what swscale is asked for, chroma interpolated at every pixel by cubic convolution, but round once: no
sample is further than 0.58 levels from the exact value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from fastsr import _core
from fastsr.engines.protocol import Pixels

YUV420_FORMATS = ("yuv420p", "yuvj420p")
"""The pixel formats."""

_PROBE = 16  # pixels a side


def yuv420_to_rgb(frame: VideoFrame, shares: tuple[float, float], *, full_range: bool, chroma_left: bool) -> Pixels:
    """The H x W x 3 uint8 pixels of a frame of a `YUV420_FORMATS` format.

    Args:
        frame: it is only read.
        shares: of red and blue in luma.
        full_range: black is 0 and white 255; else 16 and 235.
        chroma_left: chroma samples lie on even columns; else in the middle between those and the next.

    """
    pixels: Pixels = np.empty((frame.height, frame.width, 3), np.uint8)
    luma, blue, red = _planes(frame)
    _core.yuv420_to_rgb(luma, blue, red, pixels, shares, full_range, chroma_left)
    return pixels


def rgb_to_yuv420(pixels: Pixels, shares: tuple[float, float], *, full_range: bool, chroma_left: bool) -> VideoFrame:
    """A new frame in yuv420p of H x W x 3 uint8 pixels; the other arguments as for `yuv420_to_rgb`."""
    frame = VideoFrame(pixels.shape[1], pixels.shape[0], "yuv420p")
    luma, blue, red = _planes(frame)
    _core.rgb_to_yuv420(np.ascontiguousarray(pixels), luma, blue, red, shares, full_range, chroma_left)
    return frame


def has_chroma_left(frame: VideoFrame) -> bool | None:
    """Where swscale finds the chroma samples of a frame of a `YUV420_FORMATS` format, which PyAV does not tell.

    True: on even columns, as in H.264 and HEVC unless the stream says otherwise. False: between two columns, as in JPEG
    and where nothing is known. None: elsewhere, or not in the middle between two rows.
    """
    # one coloured sample in a gray frame that says the same of its chroma; with the frame's own size it would be the
    # frame itself
    side = _PROBE if frame.width != _PROBE else 2 * _PROBE
    probe = _reformatted(frame, side, "yuv420p")
    middle = side // 2
    for plane in _planes(probe):
        plane[:] = 128
    _planes(probe)[2][middle // 2, middle // 2] = 255
    red = _reformatted(probe, side, "rgb24").to_ndarray()[:, :, 0]
    row, column = red[middle], red[:, middle]
    if column[middle] != column[middle + 1]:
        return None
    if row[middle] == row[middle + 1]:
        return False
    return True if row[middle - 1] == row[middle + 1] else None


def _reformatted(frame: VideoFrame, side: int, pix_fmt: str) -> VideoFrame:
    """Of another size or format, converted as `color_conversion` has it; the colours do not matter."""
    method = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    matrix = Colorspace.ITU601
    return VideoReformatter().reformat(
        frame, side, side, pix_fmt, src_colorspace=matrix, dst_colorspace=matrix, interpolation=method, threads=1
    )


def _planes(frame: VideoFrame) -> list[npt.NDArray[np.uint8]]:
    return [_rows(plane) for plane in frame.planes]


def _rows(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """Rows of a plane with what lies behind them; a plane that is stored from below is turned."""
    buffer: Any = plane
    rows = np.frombuffer(buffer, np.uint8).reshape(plane.height, -1)
    return rows if plane.line_size > 0 else np.ascontiguousarray(rows[::-1])
