"""`read`: decode an image of any kind that a user hands in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from fastsr.errors import ImageError
from fastsr.images.arrays import is_tensor, read_array, read_tensor, view_array, view_tensor
from fastsr.images.decoded_image import NO_MEMORY, DecodedImage

_ACCEPTED = "accepted are a path, an open binary file, a Pillow image, a NumPy array or a PyTorch tensor"


def read(image: Any, *, allow_huge: bool = False) -> DecodedImage:
    """Read any image into frames of pixels, upright (EXIF orientation applied).

    Args:
        image: a path; a binary file, read from its position on and left open; a Pillow image; an array H x W,
            H x W x 1, 3 or 4 (uint8, uint16, or float16, float32, float64 in 0..1); or a PyTorch tensor C x H x W or
            N x C x H x W, C = 1, 3 or 4 (uint8, or any float dtype in 0..1).
        allow_huge: read files whose frames together are over Pillow's limit of pixels too.

    Raises:
        ImageError: it cannot be read, or memory runs out; the message names it and the remedy.

    """
    try:
        return _read(image, allow_huge)
    except MemoryError as error:
        name = os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else "image"
        raise ImageError(f"{name}: {NO_MEMORY}") from error


def view(image: Any, *, allow_huge: bool = False) -> DecodedImage:
    """As `read`, for one who takes a part of the image at once: pixels of arrays and tensors are not copied.

    They are of any layout, and of the dtype that they came in: `sample_values.settled` makes of them what `read` gives,
    and raises ImageError for floats that are no image.
    """
    if isinstance(image, np.ndarray):
        return view_array(image)
    return view_tensor(image) if is_tensor(image) else read(image, allow_huge=allow_huge)


def _read(image: Any, allow_huge: bool) -> DecodedImage:
    if isinstance(image, np.ndarray):
        return read_array(image)
    if is_tensor(image):
        return read_tensor(image)
    # arrays need no Pillow, so that importing this module does not wait for it
    from PIL import Image

    from fastsr.images import decoding

    if isinstance(image, (str, os.PathLike)):
        path = Path(os.fsdecode(image))
        return decoding.read_encoded(_bytes_at(path), str(path), allow_huge)
    if isinstance(image, Image.Image):
        return decoding.read_pillow(image, allow_huge)
    if not hasattr(image, "read"):
        raise ImageError(f"image: {type(image).__name__} is not an image; {_ACCEPTED}")
    name = image.name if isinstance(getattr(image, "name", None), str) else "image"
    return decoding.read_encoded(_bytes_of(image, name), name, allow_huge)


def _bytes_at(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder; name an image inside it") from error
    except PermissionError as error:
        raise ImageError(f"{path}: no permission to read it; change its mode or owner") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read ({error}); check the path") from error


def _bytes_of(file: Any, name: str) -> bytes:
    try:
        data = file.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read ({error}); open it again, for reading bytes") from error
    if not isinstance(data, bytes):
        raise ImageError(f'{name}: gives {type(data).__name__}, not bytes; open it in mode "rb"')
    return data
