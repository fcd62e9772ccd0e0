"""Frames <-> Pillow images of any mode, with the metadata Pillow keeps in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageMode, ImageOps

from fastsr.errors import ImageError
from fastsr.images.decoded_image import DecodedImage, Frame, Metadata
from fastsr.images.exif import UNREADABLE, exif_of, for_size_of
from fastsr.images.png_color import as_info
from fastsr.images.sample_values import checked_floats
from fastsr.images.samples import joined, keyed_alpha, split, to_depth

_DIRECT_MODES = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "RGBA": "RGBA", "RGBa": "RGBA"}
_CONVERTED_MODES = ("YCbCr", "HSV", "LAB", "La", "RGBa")
# Text of a PNG that is kept elsewhere or tells how its source was stored.
_NOT_TEXT = ("compression", "comment", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")


@dataclass(frozen=True)
class PillowLayout:
    """Restores Pillow images, each of the mode its source had."""

    modes: tuple[str, ...]

    def restore(self, frames: Sequence[Frame], image: DecodedImage) -> Image.Image | list[Image.Image]:
        """One image, or a list of several."""
        pil_images = []
        for index, (frame, mode) in enumerate(zip(frames, self.modes, strict=True)):
            pil_image = to_pillow(frame, mode)
            metadata = for_size_of(frame, image.metadata[index])
            pil_image.info.update({**metadata.info(), **as_info(metadata.png_color)})
            if image.animation is not None:
                pil_image.info.update(image.animation.info(index))
            pil_images.append(pil_image)
        return pil_images if len(pil_images) > 1 else pil_images[0]


# ---------------------------------------------------------------- to Pillow


def to_pillow(frame: Frame, mode: str = "") -> Image.Image:
    """The frame as Pillow image, of the wanted mode if pixels of that kind fit it."""
    height, width = frame.color.shape[:2]
    if frame.black is not None:
        ink = 255 - np.concatenate([to_depth(plane, np.uint8) for plane in (frame.color, frame.black)], axis=2)
        return Image.frombytes("CMYK", (width, height), ink.tobytes())
    gray = frame.color[..., 0] if frame.alpha is None and frame.color.shape[2] == 1 else None
    if gray is not None and mode.startswith("I;16"):
        stored = to_depth(gray, np.uint16).astype(ImageMode.getmode(mode).typestr)
        return Image.frombytes(mode, (width, height), stored.tobytes())
    if gray is not None and mode == "I":
        return Image.fromarray(to_depth(gray, np.uint16).astype(np.int32))
    if gray is not None and mode == "F":
        return Image.fromarray(to_depth(gray, np.float32))
    samples = joined(frame, np.uint8)
    image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
    return image.convert(mode) if mode in _CONVERTED_MODES else image


def without_black(frame: Frame) -> Frame:
    """The frame in RGB if it is CMYK."""
    return frame if frame.black is None else split(np.asarray(to_pillow(frame).convert("RGB")))


def metadata_without_black(frame: Frame, metadata: Metadata) -> Metadata:
    """The metadata for `without_black(frame)`, its EXIF for the size of the frame."""
    # once CMYK is converted, its profile would be wrong whatever it says of itself
    return for_size_of(frame, metadata if frame.black is None else replace(metadata, icc=None))


# ---------------------------------------------------------------- from Pillow


def from_pillow(image: Image.Image, name: str) -> Frame:
    """Pixels of a loaded, upright Pillow image of any mode."""
    mode = image.mode
    if mode == "CMYK":
        paper = 255 - np.asarray(image)
        return Frame(np.array(paper[..., :3], order="C"), black=np.array(paper[..., 3:], order="C"))
    if mode == "F":
        return split(checked_floats(np.asarray(image), name)[..., np.newaxis])
    if mode == "I" or mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f'{name}: values of mode "I" must lie in 0..65535; scale them to that range')
        frame = split(values.astype(np.uint16)[..., np.newaxis])
    else:
        frame = split(np.atleast_3d(np.asarray(_standard(image, name))))
    # in a palette the key is an index, which the conversion has turned into alpha
    return frame if mode in ("P", "PA") else with_color_key(frame, image)


def with_color_key(frame: Frame, image: Image.Image) -> Frame:
    """The frame with alpha where it has the colour that counts as transparent in its source."""
    key = image.info.get("transparency")
    return frame if key is None or frame.alpha is not None else replace(frame, alpha=keyed_alpha(frame.color, key))


def _standard(image: Image.Image, name: str) -> Image.Image:
    """The image as L, LA, RGB or RGBA."""
    wanted = _DIRECT_MODES.get(image.mode, "RGB")
    if image.mode in ("P", "PA"):
        wanted = "RGBA" if image.has_transparency_data else "RGB"
    try:
        return image if image.mode == wanted else image.convert(wanted)
    except (ValueError, ImportError, OSError) as error:
        raise ImageError(
            f'{name}: Pillow cannot convert mode "{image.mode}" ({error}); convert to "RGB" first'
        ) from error


def upright(image: Image.Image) -> Image.Image:
    """A loaded copy, turned as its EXIF orientation says; unreadable EXIF is dropped."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except (*UNREADABLE, OSError):
        plain = image.copy()
        plain.info.pop("exif", None)
        return plain


def metadata_of(image: Image.Image, source: Image.Image, png_color: dict[bytes, bytes]) -> Metadata:
    """What to keep of an upright image; `source` is the image as it was opened, for EXIF outside of `info`."""
    info = image.info
    exif = _bytes(info.get("exif")) or exif_of(source)
    text = {}
    if source.format in (None, "PNG"):
        text = {k: v for k, v in info.items() if isinstance(k, str) and isinstance(v, str) and k not in _NOT_TEXT}
    return Metadata(
        icc=_bytes(info.get("icc_profile")),
        exif=exif or None,
        dpi=_clean_dpi(info.get("dpi")),
        xmp=_bytes(info.get("xmp", info.get("XML:com.adobe.xmp"))),
        comment=_bytes(info.get("comment")),
        text=text,
        png_color=png_color,
    )


def _bytes(value: Any) -> bytes | None:
    """What a file holds as bytes or text; None where it holds something else in their place."""
    given = value.encode(errors="replace") if isinstance(value, str) else value
    return given if isinstance(given, bytes) and given else None


def _clean_dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(side) for side in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 65535 and 0 < down < 65535 else None
