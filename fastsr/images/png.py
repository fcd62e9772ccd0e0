"""PNG encoder: 16-bit colour and exact animations, which Pillow's own cannot write."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import PngImagePlugin

from fastsr.images.decoded_image import Animation, Array, DecodedImage, Frame, Metadata
from fastsr.images.pillow import metadata_without_black, without_black
from fastsr.images.samples import color_space, joined, stored_depth

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_FILTER_ROWS = 64
_PIECE_BYTES = 1 << 20


def encode_png(file: BinaryIO, image: DecodedImage, frames: Sequence[Frame]) -> None:
    """Write frames as PNG: one image, or an animation of full frames."""
    samples = [joined(without_black(frame), stored_depth(frame)) for frame in frames]
    metadata = metadata_without_black(frames[0], image.metadata[0])
    height, width, channels = samples[0].shape
    file.write(_SIGNATURE)
    depth = 8 * samples[0].itemsize
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
    if image.animation is None:
        for piece in _compressed_rows(samples[0]):
            _chunk(file, b"IDAT", piece)
    else:
        _write_animation(file, samples, image.animation)
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


def _write_animation(file: BinaryIO, frames: Sequence[Array], animation: Animation) -> None:
    _chunk(file, b"acTL", _u32(len(frames), animation.plays))
    sequence = 0
    for index, (frame, duration) in enumerate(zip(frames, animation.durations, strict=True)):
        height, width, _ = frame.shape
        # full frames that replace what was there: dispose none, blend source
        _chunk(file, b"fcTL", _u32(sequence, width, height, 0, 0), _delay(duration), b"\0\0")
        sequence += 1
        for piece in _compressed_rows(frame):
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
    data = b"".join(parts)
    file.write(_u32(len(data)) + name)
    file.write(data)
    file.write(_u32(zlib.crc32(data, zlib.crc32(name))))


def _compressed_rows(frame: Array) -> Iterator[bytes]:
    """The zlib stream of the filtered rows, in pieces of about one megabyte."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, strategy=zlib.Z_FILTERED)
    ready = bytearray()
    for rows in _filtered_rows(frame):
        ready += compressor.compress(rows)
        if len(ready) >= _PIECE_BYTES:
            yield bytes(ready)
            ready.clear()
    yield bytes(ready) + compressor.flush()


def _filtered_rows(frame: Array) -> Iterator[bytes]:
    """Rows as PNG bytes, each behind its filter type: of none, sub, up and Paeth the one of least absolute sum."""
    height, width, channels = frame.shape
    pixel_bytes = channels * frame.itemsize
    above = np.zeros((1, width * pixel_bytes), np.uint8)
    for top in range(0, height, _FILTER_ROWS):
        block = frame[top : top + _FILTER_ROWS]
        rows = block.astype(block.dtype.newbyteorder(">"), order="C").view(np.uint8).reshape(len(block), -1)
        up = np.concatenate([above, rows[:-1]])
        left, up_left = (np.pad(plane, ((0, 0), (pixel_bytes, 0)))[:, :-pixel_bytes] for plane in (rows, up))
        filtered = np.stack([rows, rows - left, rows - up, rows - _paeth(left, up, up_left)])
        costs = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
        best = costs.argmin(axis=0)
        types = np.array([0, 1, 2, 4], np.uint8)[best]
        yield np.column_stack([types, filtered[best, np.arange(len(rows))]]).tobytes()
        above = rows[-1:]


def _paeth(left: Array, up: Array, up_left: Array) -> Array:
    a, b, c = (plane.astype(np.int16) for plane in (left, up, up_left))
    near_a, near_b, near_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    use_a = (near_a <= near_b) & (near_a <= near_c)
    return np.where(use_a, left, np.where(near_b <= near_c, up, up_left))
