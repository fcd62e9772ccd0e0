"""TIFF encoder: 16-bit colour and pages of different kinds, which Pillow's own cannot write."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from isal import isal_zlib
from PIL import TiffImagePlugin

from fastsr.images.decoded_image import Array, DecodedImage, Frame, Metadata, Rows
from fastsr.images.exif import for_size_of, lasting_tags, parsed
from fastsr.images.in_order import in_order
from fastsr.images.pillow import to_pillow
from fastsr.images.samples import color_space, regrouped, rows_of, stored_depth

_STRIP_BYTES = 1 << 18
_STRIP_OFFSETS = 273
_MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class _Page:
    """One page: its samples, uint8, uint16 or float32 (gray), and the tags beside them.

    Channels are the colours (1 gray, 3 RGB, 4 with `cmyk`) and one more with `alpha`.
    """

    samples: Rows
    alpha: bool
    cmyk: bool
    tags: dict[int, Any]


def encode_tiff(file: BinaryIO, image: DecodedImage, frames: Sequence[Frame], compress: bool = False) -> None:
    """Write frames as pages of one little-endian TIFF, in strips compressed with deflate; `compress`: harder.

    `file` can be sought in.

    Raises:
        OverflowError: the file would pass the 4 GiB that TIFF can address.

    """
    pages = (_page(frame, metadata) for frame, metadata in zip(frames, image.metadata, strict=True))
    _write_pages(file, pages, compress)


def encode_rows(file: BinaryIO, metadata: Metadata, samples: Rows, compress: bool) -> None:
    """Write opaque samples, gray or RGB, as `encode_tiff` does, as their rows come."""
    tags = _metadata_tags(metadata, color_space(samples.shape[2]))
    _write_pages(file, [_Page(samples, alpha=False, cmyk=False, tags=tags)], compress)


def _write_pages(file: BinaryIO, pages: Iterable[_Page], compress: bool) -> None:
    start = file.tell()
    file.write(b"II*\0\0\0\0\0")
    link, end = 4, 8  # where it is to be said where the next directory begins; bytes so far
    for page in pages:
        rows = max(1, _STRIP_BYTES // (page.samples.shape[1] * page.samples.shape[2] * page.samples.dtype.itemsize))
        starts, sizes = [], []
        for strip in in_order(_smallest_strip if compress else _strip, regrouped(page.samples.bands, rows)):
            starts.append(end)
            sizes.append(len(strip))
            end += file.write(strip)
            if end >= _MOST_BYTES:
                raise OverflowError("larger than the 4 GiB a TIFF can hold")
        end += file.write(b"\0" * (end % 2))  # directories begin on an even byte
        directory = _directory(page, starts, sizes, rows)
        written = _directory_bytes(directory, end, starts)
        if end + len(written) >= _MOST_BYTES:
            raise OverflowError("larger than the 4 GiB a TIFF can hold")
        file.write(written)
        file.seek(start + link)
        file.write(end.to_bytes(4, "little"))
        link = end + 2 + 12 * len(directory)
        end += len(written)
        file.seek(start + end)


def _page(frame: Frame, metadata: Metadata) -> _Page:
    if frame.black is not None:
        plain = Frame(np.asarray(to_pillow(frame)))
        samples, space = rows_of(plain, np.uint8), b"CMYK"
    else:
        # Pillow, and so our own reader, knows floats of gray alone
        as_floats = frame.color.dtype == np.float32 and frame.color.shape[2] == 1 and frame.alpha is None
        depth = np.float32 if as_floats else stored_depth(frame)
        if frame.color.shape[2] == 1 and frame.alpha is not None and depth is np.uint16:
            # Pillow, and so our own reader, knows no 16-bit gray with alpha in TIFF
            frame = Frame(np.repeat(frame.color, 3, axis=2), frame.alpha)
        samples = rows_of(frame, depth)
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


def _strip(samples: Array) -> bytes:
    return isal_zlib.compress(_differences(samples), 1)


def _smallest_strip(samples: Array) -> bytes:
    return zlib.compress(_differences(samples), 9)


def _differences(samples: Array) -> bytes:
    """Bytes of the samples, each but the first pixel's less its left neighbour's; floats as they are."""
    made = samples.astype(samples.dtype.newbyteorder("<"), order="C")
    if samples.dtype.kind != "f":
        made[:, 1:] -= samples[:, :-1]
    return made.tobytes()


def _directory(
    page: _Page, starts: Sequence[int], sizes: Sequence[int], rows: int
) -> TiffImagePlugin.ImageFileDirectory_v2:
    height, width, channels = page.samples.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in page.tags.items():
        directory[tag] = value
    colors = channels - page.alpha
    directory[256], directory[257] = width, height
    directory[258] = (8 * page.samples.dtype.itemsize,) * channels
    directory[259] = 8  # deflate
    directory[262] = 5 if page.cmyk else 2 if colors == 3 else 1
    directory[274] = 1
    directory[277] = channels
    directory[278] = min(rows, height)
    directory[284] = 1
    directory.tagtype[_STRIP_OFFSETS] = directory.tagtype[279] = 4  # LONG: their values may outgrow a short
    directory[_STRIP_OFFSETS] = (0,) * len(starts)
    directory[279] = tuple(sizes)
    if page.samples.dtype.kind == "f":
        directory[339] = 3
    else:
        directory[317] = 2  # horizontal differences
    if page.alpha:
        directory[338] = 2
    return directory


def _directory_bytes(directory: TiffImagePlugin.ImageFileDirectory_v2, offset: int, starts: Sequence[int]) -> bytes:
    """The directory at its offset in the file, with those of the strips: Pillow would look for them behind it."""
    made = bytearray(directory.tobytes(offset))
    entry = next(at for at in range(2, len(made), 12) if int.from_bytes(made[at : at + 2], "little") == _STRIP_OFFSETS)
    # four bytes lie in the entry, more elsewhere
    at = entry + 8 if len(starts) == 1 else int.from_bytes(made[entry + 8 : entry + 12], "little") - offset
    made[at : at + 4 * len(starts)] = np.array(starts, "<u4").tobytes()
    return bytes(made)
