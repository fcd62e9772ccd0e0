"""Encoded files and Pillow images -> pictures: frames, pages, animations, damage, and the limit of pixels."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from fastsr.errors import ImageError
from fastsr.images.deep_color import decode_deep, has_deep_color, mend_planes
from fastsr.images.picture import Animation, Frame, Picture
from fastsr.images.pillow import PillowLayout, from_pillow, metadata_of, upright, with_color_key
from fastsr.images.samples import check_sides, split

# Of the other formats with several images in a file (MPO, ICO) only the first is the picture.
_FRAMED_FORMATS = ("PNG", "GIF", "WEBP", "AVIF", "TIFF")
# Running these would start another program or a display list, not decode pixels.
_REFUSED_FORMATS = ("EPS", "WMF")


class _PixelLimit:
    """Pillow's decompression-bomb limit, which can be lifted for a while, by several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lifters = 0
        self._saved: int | None = None

    @contextmanager
    def lifted(self) -> Iterator[None]:
        with self._lock:
            if self._lifters == 0:
                self._saved = Image.MAX_IMAGE_PIXELS
                Image.MAX_IMAGE_PIXELS = None
            self._lifters += 1
        try:
            yield
        finally:
            with self._lock:
                self._lifters -= 1
                if self._lifters == 0 and Image.MAX_IMAGE_PIXELS is None:
                    Image.MAX_IMAGE_PIXELS = self._saved

    def check(self, size: tuple[int, int], name: str) -> None:
        with self._lock:
            limit = self._saved if self._lifters else Image.MAX_IMAGE_PIXELS
        if limit is not None and size[0] * size[1] > limit:
            raise ImageError(
                f"{name}: {size[0]} x {size[1]} pixels are over the limit of {limit}, which guards against files "
                "made to fill the memory; if you trust this one, use allow_huge=True (--allow-huge)"
            )


_limit = _PixelLimit()


def read_encoded(data: bytes, name: str, allow_huge: bool) -> Picture:
    """The bytes of an image file as picture."""
    if not data:
        raise ImageError(f"{name}: the file is empty; get it anew")
    with _decoding(name, allow_huge):
        return _read_opened(_open(data), name, allow_huge, lambda page: _open(data, page))


def read_pillow(image: Image.Image, allow_huge: bool) -> Picture:
    """A Pillow image, opened or made in memory, as picture; it is left as it was."""
    with _decoding("image", allow_huge):
        return _read_opened(image, "image", allow_huge)


@contextmanager
def _decoding(name: str, allow_huge: bool) -> Iterator[None]:
    """Turn whatever Pillow raises on bad data into ImageError."""
    try:
        with _limit.lifted() if allow_huge else nullcontext():
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not an image, or one that is damaged or of an unknown kind; use PNG, JPEG, WebP, TIFF, AVIF, "
            "BMP or GIF"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: {error} If you trust it, use allow_huge=True (--allow-huge)") from error
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, RuntimeError, struct.error, zlib.error) as error:
        raise ImageError(f"{name}: damaged or cut short ({error}); get the file anew") from error


def _open(data: bytes, page: int = 0) -> ImageFile.ImageFile:
    # Opening reads the header alone; the size is checked by us before pixels are.
    with _limit.lifted():
        image = Image.open(io.BytesIO(data))
        if page:
            image.seek(page)
    return image


def _read_opened(
    image: Image.Image, name: str, allow_huge: bool, reopen: Callable[[int], ImageFile.ImageFile] | None = None
) -> Picture:
    """Read an opened image; `reopen` opens its file anew at a page, None if there is no file."""
    if image.format in _REFUSED_FORMATS:
        raise ImageError(f"{name}: {image.format} holds drawing commands, not pixels; export it as PNG")
    check_sides(*image.size, name)
    indices = _frame_indices(image)
    shown = image.tell()
    pages, durations = [], []
    for index in indices:
        if image.tell() != index:
            image.seek(index)
        if not allow_huge and reopen is not None:
            _limit.check(image.size, name)
        # Pillow composes animations itself, in 8 bits
        deep = reopen if len(indices) == 1 or image.format == "TIFF" else None
        frame, turned = _read_frame(image, name, partial(deep, index) if deep else None)
        pages.append((frame, turned.mode, metadata_of(turned, image)))
        durations.append(round(float(image.info.get("duration", 0)), 6))
    frames, modes, metadata = ([*column] for column in zip(*pages, strict=True))
    animation = None
    if len(indices) > 1 and image.format != "TIFF":
        image.seek(indices[0])
        animation = _animation_of(image, durations)
        frames = _alike(frames)
    if image.tell() != shown:
        image.seek(shown)
    return Picture(frames, name, PillowLayout(tuple(modes)), tuple(metadata), animation)


def _frame_indices(image: Image.Image) -> range:
    """The frames of an image that are to be read."""
    if image.format not in _FRAMED_FORMATS or not getattr(image, "is_animated", False):
        return range(image.tell(), image.tell() + 1)
    # a "default image" is for viewers that know no animation
    return range(int(bool(image.info.get("default_image"))), cast("Any", image).n_frames)


def _read_frame(
    image: Image.Image, name: str, reopen: Callable[[], ImageFile.ImageFile] | None
) -> tuple[Frame, Image.Image]:
    """Pixels of the frame an image shows, and the upright Pillow image with its metadata."""
    if reopen is not None and has_deep_color(cast("ImageFile.ImageFile", image)):
        samples, shallow = decode_deep(reopen)
        return with_color_key(split(samples), shallow), shallow
    if isinstance(image, ImageFile.ImageFile):
        mend_planes(image)
    turned = upright(image)
    return from_pillow(turned, name), turned


def _animation_of(image: Image.Image, durations: Sequence[float]) -> Animation:
    """Timing and background of an animation at its first frame."""
    loop = image.info.get("loop")
    plays = loop or 0
    if image.format == "GIF":
        # GIF counts repetitions after the first play, and without the count plays once
        plays = 1 if loop is None else loop + 1 if loop else 0
    background = image.info.get("background")
    if isinstance(background, int):
        palette = getattr(image, "global_palette", None)
        color = palette.palette[3 * background : 3 * background + 3] if palette else b""
        background = (*color, 255) if len(color) == 3 else None
    return Animation(tuple(durations), plays, loop, background)


def _alike(frames: list[Frame]) -> list[Frame]:
    """Frames of an animation with the same channels; alpha only if some pixel needs it."""
    colors = max(frame.color.shape[2] for frame in frames)
    opaque = all(frame.alpha is None or (frame.alpha == np.iinfo(frame.alpha.dtype).max).all() for frame in frames)
    return [
        Frame(
            np.ascontiguousarray(np.broadcast_to(frame.color, (*frame.color.shape[:2], colors))),
            None if opaque else np.full_like(frame.color[..., :1], 255) if frame.alpha is None else frame.alpha,
        )
        for frame in frames
    ]
