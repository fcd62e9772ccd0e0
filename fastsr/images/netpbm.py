"""PPM and PGM: their encoder, and 16-bit colour, which Pillow reads in 8 bits and does not write."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np
from PIL import ImageFile

from fastsr.images.decoded_image import Array, Frame
from fastsr.images.pillow import without_black
from fastsr.images.samples import on_white, stored_depth

_DEEPEST = 65535


def encode_netpbm(file: BinaryIO, frame: Frame) -> None:
    """Write a frame as P5 (gray) or P6 (RGB), in 8 or 16 bits, what is transparent on white."""
    samples = on_white(without_black(frame), stored_depth(frame)).color
    height, width, channels = samples.shape
    file.write(b"P%d\n%d %d\n%d\n" % (5 if channels == 1 else 6, width, height, np.iinfo(samples.dtype).max))
    file.write(samples.astype(samples.dtype.newbyteorder(">")).tobytes())


def has_deep_samples(image: ImageFile.ImageFile) -> bool:
    """Whether this opened, not yet loaded image is a PPM of more than 8 bits, in binary."""
    if image.format != "PPM" or image.mode != "RGB" or not image.tile:
        return False
    tile = image.tile[0]
    return tile.codec_name == "ppm" and isinstance(tile.args, tuple) and int(tile.args[1]) > 255


def deep_samples(image: ImageFile.ImageFile) -> Array:
    """The samples of such an image, H x W x 3 uint16, from 0 to 65535 whatever its greatest value.

    Raises ValueError where there are too few.
    """
    file: Any = image.fp
    tile: Any = image.tile[0]
    file.seek(tile.offset, os.SEEK_SET)
    most, wanted = int(tile.args[1]), image.width * image.height * 3
    stored = file.read(2 * wanted)
    if len(stored) < 2 * wanted:
        raise ValueError("fewer pixels than it says")
    samples: Array = np.frombuffer(stored, ">u2").reshape(image.height, image.width, 3)
    if most == _DEEPEST:
        return samples.astype(np.uint16)
    clipped: Array = np.minimum(samples, most).astype(np.uint32)
    widened: Array = (clipped * _DEEPEST + most // 2) // most
    return widened.astype(np.uint16)
