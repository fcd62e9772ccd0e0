"""PNG encoder: 16-bit colour and exact animations, which Pillow's own cannot write."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from isal import isal_zlib
from PIL import PngImagePlugin

from fastsr import _core
from fastsr.images.decoded_image import Animation, DecodedImage, Frame, Metadata, Rows
from fastsr.images.deflate import PIECE_BYTES, zlib_stream
from fastsr.images.pillow import metadata_without_black, without_black
from fastsr.images.samples import color_space, regrouped, rows_of, stored_depth

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def encode_png(file: BinaryIO, image: DecodedImage, frames: Sequence[Frame], compress: bool = False) -> None:
    """Write frames as PNG: one image, or an animation of full frames; `compress`: small rather than fast."""
    samples = [rows_of(without_black(frame), stored_depth(frame)) for frame in frames]
    encode_rows(file, metadata_without_black(frames[0], image.metadata[0]), samples, image.animation, compress)


def encode_rows(
    file: BinaryIO, metadata: Metadata, samples: Sequence[Rows], animation: Animation | None, compress: bool
) -> None:
    """Write samples, uint8 or uint16, as an image or the frames of an animation, as their rows come."""
    height, width, channels = samples[0].shape
    file.write(_SIGNATURE)
    depth = 8 * samples[0].dtype.itemsize
    _chunk(file, b"IHDR", _u32(width, height), bytes([depth, _COLOR_TYPE[channels], 0, 0, 0]))
    icc = metadata.icc_for(color_space(channels))
    for name, data in metadata.png_color.items():
        if not (name == b"sRGB" and icc):  # a file may have one of them
            _chunk(file, name, data)
    if icc:
        _chunk(file, b"iCCP", b"ICC Profile\0\0", zlib.compress(icc))
    if metadata.dpi:
        _chunk(file, b"pHYs", _u32(*(round(value / 0.0254) for value in metadata.dpi)), b"\1")
    for name, data, *_ in _text(metadata).chunks:
        _chunk(file, name, data)
    if metadata.exif:
        _chunk(file, b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if animation is None:
        for piece in _compressed_rows(samples[0], compress):
            _chunk(file, b"IDAT", piece)
    else:
        _write_animation(file, samples, animation, compress)
    _chunk(file, b"IEND")


def _text(metadata: Metadata) -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    for key, value in metadata.text.items():
        text.add_text(key, value)
    if metadata.comment and "Comment" not in metadata.text:
        text.add_text("Comment", metadata.comment.decode("utf-8", "replace"))
    if metadata.xmp:
        text.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    return text


def _write_animation(file: BinaryIO, frames: Sequence[Rows], animation: Animation, compress: bool) -> None:
    _chunk(file, b"acTL", _u32(len(frames), animation.plays))
    sequence = 0
    for index, (frame, duration) in enumerate(zip(frames, animation.durations, strict=True)):
        height, width, _ = frame.shape
        # full frames that replace what was there: dispose none, blend source
        _chunk(file, b"fcTL", _u32(sequence, width, height, 0, 0), _delay(duration), b"\0\0")
        sequence += 1
        for piece in _compressed_rows(frame, compress):
            if index == 0:
                _chunk(file, b"IDAT", piece)
            else:
                _chunk(file, b"fdAT", _u32(sequence), piece)
                sequence += 1


def _delay(duration: float) -> bytes:
    """Milliseconds as the two 16-bit numbers of a fraction of a second."""
    seconds = Fraction(duration / 1000).limit_denominator(65535)
    if seconds.numerator > 65535:
        seconds = Fraction(min(round(duration / 1000), 65535))
    return seconds.numerator.to_bytes(2, "big") + seconds.denominator.to_bytes(2, "big")


def _u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def _chunk(file: BinaryIO, name: bytes, *parts: bytes) -> None:
    checksum = isal_zlib.crc32(name)
    file.write(_u32(sum(map(len, parts))) + name)
    for part in parts:
        checksum = isal_zlib.crc32(part, checksum)
        file.write(part)
    file.write(_u32(checksum))


def _compressed_rows(frame: Rows, smallest: bool) -> Iterator[bytes]:
    """The zlib stream of the filtered rows, in parts."""
    return zlib_stream(_filtered_rows(frame), smallest)


def _filtered_rows(frame: Rows) -> Iterator[memoryview]:
    """Rows as PNG bytes, each behind its filter type, in pieces to deflate."""
    _, width, channels = frame.shape
    row_bytes = width * channels * frame.dtype.itemsize
    step = max(1, PIECE_BYTES // row_bytes)
    above = None
    for rows in regrouped(frame.bands, step):
        filtered = np.empty((len(rows), 1 + row_bytes), np.uint8)
        _core.png_filter_rows(rows, above, filtered)
        yield filtered.reshape(-1).data
        above = rows[-1]
