"""TIFF encoder: 16-bit colour and pages of different kinds, which Pillow's own cannot write."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from fastsr.images.decoded_image import Array, DecodedImage, Frame, Metadata
from fastsr.images.exif import for_size_of, lasting_tags, parsed
from fastsr.images.pillow import to_pillow
from fastsr.images.samples import color_space, joined, stored_depth

_STRIP_BYTES = 1 << 18


@dataclass(frozen=True)
class _Page:
    """One page: H x W x C samples, uint8, uint16 or float32 (gray), and the tags beside them.

    C counts the colours (1 gray, 3 RGB, 4 with `cmyk`) and one more with `alpha`.
    """

    samples: Array
    alpha: bool
    cmyk: bool
    tags: dict[int, Any]


def encode_tiff(file: BinaryIO, image: DecodedImage, frames: Sequence[Frame], compress: bool = False) -> None:
    """Write frames as pages of one little-endian TIFF, in strips compressed with deflate; `compress`: harder.

    Raises:
        OverflowError: the file would pass the 4 GiB that TIFF can address.

    """
    pages = [_page(frame, metadata) for frame, metadata in zip(frames, image.metadata, strict=True)]
    start = file.tell()
    file.write(b"II*\0" + (8).to_bytes(4, "little"))
    for index, page in enumerate(pages):
        strips, rows = _compressed_strips(page.samples, 9 if compress else 6)
        offset = file.tell() - start
        directory = _directory(page, strips, rows)
        head = bytearray(directory.tobytes(offset))
        end = offset + len(head) + sum(map(len, strips))
        if end >= 1 << 32:
            raise OverflowError("larger than the 4 GiB a TIFF can hold")
        if index + 1 < len(pages):
            link = 2 + 12 * len(directory)
            head[link : link + 4] = (end + end % 2).to_bytes(4, "little")
        file.write(head)
        file.writelines(strips)
        # directories begin on an even byte
        file.write(b"\0" * (end % 2))


def _page(frame: Frame, metadata: Metadata) -> _Page:
    if frame.black is not None:
        samples = np.asarray(to_pillow(frame))
        space = b"CMYK"
    else:
        # Pillow, and so our own reader, knows floats of gray alone
        as_floats = frame.color.dtype == np.float32 and frame.color.shape[2] == 1 and frame.alpha is None
        samples = frame.color if as_floats else joined(frame, stored_depth(frame))
        if samples.shape[2] == 2 and samples.dtype == np.uint16:
            # Pillow, and so our own reader, knows no 16-bit gray with alpha in TIFF
            samples = samples[..., [0, 0, 0, 1]]
        space = color_space(samples.shape[2])
    tags = _metadata_tags(for_size_of(frame, metadata), space)
    return _Page(samples, alpha=frame.alpha is not None, cmyk=frame.black is not None, tags=tags)


def _metadata_tags(metadata: Metadata, space: bytes) -> dict[int, Any]:
    tags = lasting_tags(parsed(metadata.exif)) if metadata.exif else {}
    if metadata.dpi:
        tags |= {282: metadata.dpi[0], 283: metadata.dpi[1], 296: 2}
    if metadata.xmp:
        tags[700] = metadata.xmp
    if icc := metadata.icc_for(space):
        tags[34675] = icc
    return tags


def _compressed_strips(samples: Array, level: int) -> tuple[list[bytes], int]:
    rows = max(1, _STRIP_BYTES // (samples[0].size * samples.itemsize))
    little = samples.dtype.newbyteorder("<")
    parts = (samples[top : top + rows].astype(little, order="C") for top in range(0, len(samples), rows))
    return [zlib.compress(part.tobytes(), level) for part in parts], rows


def _directory(page: _Page, strips: list[bytes], rows: int) -> TiffImagePlugin.ImageFileDirectory_v2:
    height, width, channels = page.samples.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in page.tags.items():
        directory[tag] = value
    colors = channels - page.alpha
    sizes = [len(strip) for strip in strips]
    directory[256], directory[257] = width, height
    directory[258] = (8 * page.samples.itemsize,) * channels
    directory[259] = 8  # deflate
    directory[262] = 5 if page.cmyk else 2 if colors == 3 else 1
    directory[274] = 1
    directory[277] = channels
    directory[278] = min(rows, height)
    directory[284] = 1
    directory.tagtype[273] = directory.tagtype[279] = 4  # LONG: their values may outgrow a short
    directory[273] = tuple(np.cumsum([0, *sizes[:-1]]).tolist())
    directory[279] = tuple(sizes)
    if page.samples.dtype.kind == "f":
        directory[339] = 3
    if page.alpha:
        directory[338] = 2
    return directory
