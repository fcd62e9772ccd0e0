"""Samples in memory, a stand-in for the upscaler, and the ways through `read`, `restore` and `write`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from fastsr.images import Frame, read, write

rng = np.random.default_rng(7)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def twice(array: np.ndarray) -> np.ndarray:
    return array.repeat(2, axis=0).repeat(2, axis=1)


def enlarge(frames: list[Frame]) -> list[Frame]:
    """Stands in for the upscaler: every pixel twice, both ways."""
    return [
        Frame(*(None if plane is None else twice(plane) for plane in (frame.color, frame.alpha, frame.black)))
        for frame in frames
    ]


def restored(image, **options):
    decoded = read(image, **options)
    return decoded.restore(enlarge(decoded.frames))


def rewritten(source, path: Path, **options) -> Image.Image:
    decoded = read(source)
    write(decoded, enlarge(decoded.frames), path, **options)
    return Image.open(path)


def noise(*shape: int, dtype=np.uint8) -> np.ndarray:
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(height: int, width: int) -> np.ndarray:
    """An RGB image that lossy formats hardly change."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 90)], axis=2).astype(np.uint8)


def encoded(image: Image.Image, format: str, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def image_of_mode(mode: str) -> Image.Image:
    if mode == "1":
        return Image.fromarray(noise(4, 5) > 127)
    if mode in ("L", "P"):
        image = Image.fromarray(noise(4, 5))
        if mode == "P":
            image.putpalette(noise(768).tobytes())
        return image
    if mode.startswith("I;16"):
        typestr = ">u2" if mode == "I;16B" else "<u2" if sys.byteorder == "little" or mode != "I;16N" else ">u2"
        return Image.frombytes(mode, (5, 4), noise(4, 5, dtype=np.uint16).astype(typestr).tobytes())
    if mode == "I":
        return Image.fromarray(noise(4, 5, dtype=np.uint16).astype(np.int32))
    if mode == "F":
        return Image.fromarray(rng.random((4, 5)).astype(np.float32))
    if mode == "PA":
        return Image.fromarray(noise(4, 5, 4)).convert("PA")
    count = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (5, 4), noise(4, 5, count).tobytes())


def sample_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x9286] = "note"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    exif.get_ifd(0x8769)[0xA002] = 8
    exif.get_ifd(0x8825)[1] = "N"
    return exif
