"""Colours of a video stream: how its samples become RGB pixels (YuvToRgb) and RGB pixels its samples (RgbToYuv)."""

from __future__ import annotations

import dataclasses

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from fastsr.engines.protocol import Pixels
from fastsr.video.codecs.pixel_formats import is_deep, is_rgb
from fastsr.video.codecs.yuv420 import YUV420_FORMATS, has_chroma_left, rgb_to_yuv420, yuv420_to_rgb

UNSPECIFIED = 2  # of matrix, primaries and transfer (ITU-T H.273)
BT709, FCC, BT470BG, BT601, SMPTE240M, BT2020 = 1, 4, 5, 6, 7, 9  # matrices
LIMITED, FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)
HD_HEIGHT, HD_WIDTH = 720, 1280  # from here on players take an unspecified matrix for BT.709, below for BT.601

# Chroma is interpolated at every pixel, nothing is rounded early, and any processor gives the same bytes.
_METHOD = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
_CONVERTIBLE = (BT709, UNSPECIFIED, FCC, BT470BG, BT601, SMPTE240M, BT2020)
# swscale counts matrices as H.273 does, but for these
_SWSCALE_MATRIX = {BT601: BT470BG}
# of red and blue in luma
_SHARES = {
    BT709: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    BT601: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}


@dataclasses.dataclass(frozen=True)
class Colors:
    """What a stream says of its colours, as numbers of ITU-T H.273; range 0 = unspecified, 1 = limited, 2 = full."""

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def convertible(self) -> bool:
        """Whether the matrix is one that swscale converts exactly."""
        return self.matrix in _CONVERTIBLE

    def matrix_at(self, width: int, height: int) -> int:
        """The matrix to convert with; an unspecified one is what players take for a frame of this size."""
        if self.matrix != UNSPECIFIED:
            return self.matrix
        return BT709 if height >= HD_HEIGHT or width >= HD_WIDTH else BT601

    def upscaled(self, before: tuple[int, int], after: tuple[int, int]) -> Colors:
        """What the upscaled stream must say: the same, unless a player would then take another matrix."""
        if self.matrix == UNSPECIFIED and self.matrix_at(*before) != self.matrix_at(*after):
            return dataclasses.replace(self, matrix=self.matrix_at(*before))
        return self


RGB_SOURCE_COLORS = Colors(BT709, LIMITED, BT709, BT709)
"""How frames that come as RGB are stored."""


def colors_of(frame: VideoFrame) -> Colors:
    """What a decoded frame says of its colours, and where it is RGB, how it will be stored."""
    if is_rgb(frame.format.name):
        return RGB_SOURCE_COLORS
    given = int(frame.color_range)
    if frame.format.name.startswith("yuvj"):
        given = FULL
    return Colors(int(frame.colorspace), given, int(frame.color_primaries), int(frame.color_trc))


class YuvToRgb:
    """Frames of one stream to H x W x 3 RGB pixels: uint8, or uint16 where they have more than 8 bits."""

    def __init__(self, colors: Colors, width: int, height: int) -> None:
        matrix = colors.matrix_at(width, height)
        self._matrix, self._shares = _swscale(matrix), _SHARES[matrix]
        self._range = colors.range or LIMITED
        self._reformatter = VideoReformatter()
        # of a stream in 4:2:0: whether its chroma lies on even columns; None = our kernels cannot convert it
        self._chroma_left: bool | None = None
        self._looked = False

    def __call__(self, frame: VideoFrame) -> Pixels:
        """The pixels of a frame, C-contiguous."""
        if frame.format.name in YUV420_FORMATS:
            if not self._looked:
                self._chroma_left, self._looked = has_chroma_left(frame), True
            if self._chroma_left is not None:
                full_range = self._range == FULL
                return yuv420_to_rgb(frame, self._shares, full_range=full_range, chroma_left=self._chroma_left)
        wanted = "rgb48le" if is_deep(frame.format.name) else "rgb24"
        if is_rgb(frame.format.name):
            return _array(self._reformatter.reformat(frame, format=wanted, interpolation=_METHOD, threads=1))
        made = self._reformatter.reformat(
            frame,
            format=wanted,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            interpolation=_METHOD,
            src_color_range=self._range,
            dst_color_range=FULL,
            threads=1,
        )
        return _array(made)


class RgbToYuv:
    """H x W x 3 RGB pixels (uint8 or uint16) to frames of one pixel format."""

    def __init__(self, colors: Colors, pix_fmt: str, width: int, height: int, *, chroma_left: bool = False) -> None:
        """`chroma_left`: in 8-bit 4:2:0, chroma samples lie on even columns; else between them and the next."""
        matrix = colors.matrix_at(width, height)
        self._colors, self._pix_fmt, self._chroma_left = colors, pix_fmt, chroma_left
        self._matrix, self._shares = _swscale(matrix), _SHARES[matrix]
        self._range = colors.range or LIMITED
        self._reformatter = VideoReformatter()

    def __call__(self, pixels: Pixels) -> VideoFrame:
        """A new frame with a copy of the pixels."""
        if self._pix_fmt == "yuv420p" and pixels.dtype == np.uint8:
            full_range = self._range == FULL
            return self._said(rgb_to_yuv420(pixels, self._shares, full_range=full_range, chroma_left=self._chroma_left))
        given = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
        source = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=given)
        if is_rgb(self._pix_fmt):
            return self._reformatter.reformat(source, format=self._pix_fmt, interpolation=_METHOD, threads=1)
        made = self._reformatter.reformat(
            source,
            format=self._pix_fmt,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            interpolation=_METHOD,
            src_color_range=FULL,
            dst_color_range=self._range,
            threads=1,
        )
        return self._said(made)

    def _said(self, made: VideoFrame) -> VideoFrame:
        """The frame, which now says what the stream says."""
        made.colorspace, made.color_range = self._colors.matrix, self._colors.range
        made.color_primaries, made.color_trc = self._colors.primaries, self._colors.transfer
        return made


def _swscale(matrix: int) -> int:
    return _SWSCALE_MATRIX.get(matrix, matrix)


def _array(frame: VideoFrame) -> Pixels:
    made: Pixels = frame.to_ndarray()
    return np.ascontiguousarray(made)
