"""Decode image files and Pillow images: frames, pages, animations, damage, and the limit of pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from fastsr.errors import ImageError
from fastsr.images import pixel_limit
from fastsr.images.decoded_image import NO_MEMORY, Animation, DecodedImage, Frame
from fastsr.images.deep_color import decode_deep, has_deep_color, mend_planes
from fastsr.images.detection import HEAD_BYTES, TAIL_BYTES, format_of, other_kind
from fastsr.images.formats import READABLE
from fastsr.images.netpbm import deep_samples, has_deep_samples
from fastsr.images.opening import open_image
from fastsr.images.pillow import PillowLayout, from_pillow, metadata_of, upright, with_color_key
from fastsr.images.png_color import color_chunks
from fastsr.images.samples import check_sides, split

# Of the other formats with several images in a file (MPO) only the first is the image itself.
_FRAMED_FORMATS = ("PNG", "GIF", "WEBP", "AVIF", "TIFF")
# Loading these, opened by the user, would start another program or run drawing commands.
_REFUSED_FORMATS = ("EPS", "WMF", "IPTC")
_DRAWING = "{} may hold drawing commands, not pixels; export it as PNG"

# What decoders hold at most for a pixel: two canvases of four bytes, and what is read off them.
_BYTES_A_PIXEL = 16
_MOST_PIXELS = 1 << 26  # taken for a file that could not even be opened


def read_encoded(data: bytes, name: str, allow_huge: bool) -> DecodedImage:
    """Decode the bytes of an image file."""
    if not data:
        raise ImageError(f"{name}: the file is empty; get it again")
    if data.startswith(b"%!PS"):
        raise ImageError(f"{name}: {_DRAWING.format('EPS')}")
    head = data[:HEAD_BYTES]
    known = format_of(head, name, data[-TAIL_BYTES:])
    if known is None:
        other = other_kind(head, name)
        what = f"is {other}, which is not read; export it" if other else "not an image, or one that is damaged or of an"
        rest = "as PNG" if other else f"unknown kind; use one of {READABLE}"
        raise ImageError(f"{name}: {what} {rest}")
    with decoding_errors(name) as opened, pixel_limit.lifted() if allow_huge else pixel_limit.strict():
        image = open_image(data, known, name, allow_huge)
        opened.append(image)
        return _read_opened(image, name, allow_huge, lambda page: open_image(data, known, name, allow_huge, page))


def read_pillow(image: Image.Image, allow_huge: bool) -> DecodedImage:
    """Decode a Pillow image, opened or made in memory; it is left as it was."""
    with decoding_errors("image") as opened, pixel_limit.lifted() if allow_huge else nullcontext():
        opened.append(image)
        return _read_opened(image, "image", allow_huge)


@contextmanager
def decoding_errors(name: str) -> Iterator[list[Image.Image]]:
    """Turn whatever Pillow raises on bad data or without memory into ImageError; takes the image once opened."""
    opened: list[Image.Image] = []
    try:
        yield opened
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: damaged or cut short (it has no whole header); get the file again") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        remedy = "" if pixel_limit.REMEDY in str(error) else f"; {pixel_limit.REMEDY}"
        raise ImageError(f"{name}: {error}{remedy}") from error
    except MemoryError as error:
        raise ImageError(f"{name}: {NO_MEMORY}") from error
    except Exception as error:  # Pillow's plugins raise whatever odd values lead to
        fault = f"{name}: damaged or cut short ({str(error) or type(error).__name__})"
        # decoders do not always tell that they got no memory
        if _memory_is_short(opened):
            fault += f", or {NO_MEMORY}"
        raise ImageError(f"{fault}; get the file again") from error


def _memory_is_short(opened: Sequence[Image.Image]) -> bool:
    """Whether this process could not get what a decoder may have asked for."""
    pixels = opened[0].width * opened[0].height if opened else _MOST_PIXELS
    try:
        np.empty(_BYTES_A_PIXEL * pixels, np.uint8)
    except (MemoryError, ValueError):
        return True
    return False


def _read_opened(
    image: Image.Image, name: str, allow_huge: bool, reopen: Callable[[int], ImageFile.ImageFile] | None = None
) -> DecodedImage:
    """Read an opened image; `reopen` opens its file again at a page, None if there is no file."""
    if image.format in _REFUSED_FORMATS:
        raise ImageError(f"{name}: {_DRAWING.format(image.format)}")
    check_sides(*image.size, name)
    indices = _frame_indices(image)
    bounded = not allow_huge and (reopen is not None or len(indices) > 1)
    shown, pixels = image.tell(), 0
    if bounded and image.format == "TIFF":
        pixel_limit.check_sum(sum(_page_pixels(image, index) for index in indices))
    elif bounded:
        pixel_limit.check(*image.size, len(indices))
    colors = color_chunks(image)
    pages, durations = [], []
    for index in indices:
        if image.tell() != index:
            image.seek(index)
        pixels += image.width * image.height
        if bounded:  # the canvas of a GIF may grow from frame to frame
            pixel_limit.check_sum(pixels)
        # Pillow composes animations itself, in 8 bits
        deep = reopen if len(indices) == 1 or image.format == "TIFF" else None
        frame, turned = _read_frame(image, name, partial(deep, index) if deep else None)
        pages.append((frame, turned.mode, metadata_of(turned, image, colors)))
        durations.append(round(float(image.info.get("duration", 0)), 6))
    frames, modes, metadata = ([*column] for column in zip(*pages, strict=True))
    animation = None
    if len(indices) > 1 and image.format != "TIFF":
        image.seek(indices[0])
        animation = _animation_of(image, durations)
        frames = _alike(frames)
    if image.tell() != shown:
        image.seek(shown)
    return DecodedImage(frames, name, PillowLayout(tuple(modes)), tuple(metadata), animation)


def _frame_indices(image: Image.Image) -> range:
    """The frames of an image that are to be read."""
    if image.format not in _FRAMED_FORMATS or not getattr(image, "is_animated", False):
        return range(image.tell(), image.tell() + 1)
    # a "default image" is for viewers that know no animation
    return range(int(bool(image.info.get("default_image"))), cast("Any", image).n_frames)


def _page_pixels(image: Image.Image, index: int) -> int:
    if image.tell() != index:
        image.seek(index)
    return image.width * image.height


def _read_frame(
    image: Image.Image, name: str, reopen: Callable[[], ImageFile.ImageFile] | None
) -> tuple[Frame, Image.Image]:
    """Pixels of the frame an image shows, and the upright Pillow image with its metadata."""
    if reopen is not None and has_deep_samples(cast("ImageFile.ImageFile", image)):
        return split(deep_samples(cast("ImageFile.ImageFile", image))), image
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
