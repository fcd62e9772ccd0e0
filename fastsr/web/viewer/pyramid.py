"""Pyramids: the pixels of an image and its halved levels in one file, from which any part is cut without decoding.

The file is a header of `_HEADER_BYTES` (JSON, padded with spaces) and behind it the levels, the largest first, each as
plain rows of uint8 samples.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastsr import files, images
from fastsr.errors import ImageError
from fastsr.images.decoded_image import Frame, Metadata, Rows
from fastsr.images.pillow import metadata_without_black, without_black
from fastsr.images.samples import rows_of, to_depth

TILE = 512
"""Pixels along the side of a tile; halving ends where a level is no larger than one."""

Pixels = npt.NDArray[np.uint8]

_HEADER_BYTES = 1 << 17
_MOST_PROFILE_BYTES = 1 << 16  # every tile carries the profile; one larger than this is left out
_building = threading.Lock()  # an image is held whole while its pyramid is made from a file: one at a time


@dataclass(frozen=True)
class Pyramid:
    """An image as levels of pixels in a file.

    Attributes:
        path: of the pyramid's file.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        sizes: width and height of every level, pixels; each is half of the one before, rounded up.
        metadata: the colour space of the samples: an ICC profile or PNG's chunks, nothing else.

    """

    path: Path
    channels: int
    sizes: tuple[tuple[int, int], ...]
    metadata: Metadata

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image, pixels."""
        return self.sizes[0]

    def window(self, level: int, left: int, top: int, right: int, bottom: int) -> Pixels:
        """The pixels of a rectangle inside a level, H x W x C uint8. Raises OSError if the file is gone."""
        width, height = self.sizes[level]
        offset = _HEADER_BYTES + self.channels * sum(w * h for w, h in self.sizes[:level])
        # mapped anew each time: a file that is deleted frees its space at once
        rows = np.memmap(self.path, np.uint8, "r", offset, (height, width, self.channels))
        return np.array(rows[top:bottom, left:right])


def pyramid_path(image: Path) -> Path:
    """Where the pyramid of an image file lies: beside it, hidden."""
    return image.with_name(f".{image.name}.pyramid")


def pyramid_of(image: Path) -> Pyramid:
    """The pyramid of an image file, made from the file where there is none yet.

    Raises:
        ImageError: the file cannot be read, or the pyramid cannot be written.

    """
    path = pyramid_path(image)
    with contextlib.suppress(FileNotFoundError):
        return _opened(path)
    with _building:
        with contextlib.suppress(FileNotFoundError):  # another thread was first
            return _opened(path)
        read = images.read(image, allow_huge=True)  # whoever put the file there has bounded it
        record_frame(read.frames[0], read.metadata[0], image)
    return _opened(path)


def record_frame(frame: Frame, metadata: Metadata, image: Path) -> None:
    """Write the pyramid of a frame that becomes, or is, the image file. Raises ImageError if it cannot be written."""
    plain = without_black(frame)
    for _ in recorded(rows_of(plain, np.uint8), metadata_without_black(frame, metadata), image).bands:
        pass


def recorded(rows: Rows, metadata: Metadata, image: Path) -> Rows:
    """Rows as they are, whose pyramid is written while they are taken; for `images.write_rows` to the image file.

    The pyramid is there once all rows were taken, and not at all if they were not. Taking them raises ImageError if it
    cannot be written.
    """
    return Rows(rows.shape, rows.dtype, _recording(rows, metadata, image))


def _recording(rows: Rows, metadata: Metadata, image: Path) -> Iterator[npt.NDArray[Any]]:
    height, width, channels = rows.shape
    sizes = level_sizes(width, height)
    path = pyramid_path(image)
    try:
        with files.replacing(path) as temporary, temporary.open("wb") as file:
            file.write(_header(sizes, channels, metadata))
            levels = _Level(file, _HEADER_BYTES, sizes, channels)
            for band in rows.bands:
                levels.add(to_depth(band, np.uint8))
                yield band
            levels.finish()
    except OSError as error:
        raise ImageError(files.write_failure(path, error)) from error


def level_sizes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Width and height of every level of an image, the image itself first."""
    sizes = [(width, height)]
    while max(sizes[-1]) > TILE:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return tuple(sizes)


class _Level:
    """Writes the rows of one level as they come, and hands them on, halved, to the next one."""

    def __init__(self, file: BinaryIO, offset: int, sizes: tuple[tuple[int, int], ...], channels: int) -> None:
        width, height = sizes[0]
        self._file, self._offset = file, offset
        self._kept: Pixels = np.empty((0, width, channels), np.uint8)  # a row that waits for the one below it
        below = offset + width * height * channels
        self._next = _Level(file, below, sizes[1:], channels) if len(sizes) > 1 else None

    def add(self, rows: Pixels) -> None:
        self._file.seek(self._offset)
        self._file.write(np.ascontiguousarray(rows).data)
        self._offset += rows.nbytes
        if self._next is None:
            return
        ready = np.concatenate([self._kept, rows]) if len(self._kept) else rows
        even = len(ready) & ~1
        self._kept = ready[even:].copy()
        if even:
            self._next.add(_halved(ready[:even]))

    def finish(self) -> None:
        if self._next is None:
            return
        if len(self._kept):
            self._next.add(_halved(self._kept))
        self._next.finish()


def _halved(rows: Pixels) -> Pixels:
    """Means of 2 x 2 pixels, at odd edges of those that are there; colours count as much as they are opaque."""
    from PIL import Image  # takes a while to import

    channels = rows.shape[2]
    given = Image.fromarray(np.ascontiguousarray(rows[..., 0] if channels == 1 else rows))
    return np.asarray(given.reduce(2)).reshape((len(rows) + 1) // 2, -1, channels)


def _header(sizes: tuple[tuple[int, int], ...], channels: int, metadata: Metadata) -> bytes:
    profile = metadata.icc if metadata.icc and len(metadata.icc) <= _MOST_PROFILE_BYTES else None
    content = {
        "size": sizes[0],
        "channels": channels,
        "icc": base64.b64encode(profile).decode() if profile else None,
        "png_color": {name.decode(): data.hex() for name, data in metadata.png_color.items()},
    }
    return json.dumps(content).encode().ljust(_HEADER_BYTES)


def _opened(path: Path) -> Pyramid:
    with path.open("rb") as file:
        content = json.loads(file.read(_HEADER_BYTES))
    icc = base64.b64decode(content["icc"]) if content["icc"] else None
    colors = {name.encode(): bytes.fromhex(data) for name, data in content["png_color"].items()}
    return Pyramid(path, content["channels"], level_sizes(*content["size"]), Metadata(icc=icc, png_color=colors))
