"""Decoding of 16-bit colour in full, which Pillow alone cuts down to 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageFile, ImageOps

from fastsr.images.decoded_image import Array

_BITS_PER_SAMPLE = 258
_PLANAR_CONFIGURATION = 284
_PILLOW = int(PIL.__version__.split(".")[0])


@dataclass(frozen=True)
class _Plan:
    """Raw modes that give the high and the low byte of each sample; no low: one decode gives both."""

    high: str
    low: str | None
    premultiplied: bool = False


def _plan(image: ImageFile.ImageFile) -> _Plan | None:
    """How to decode an opened, not yet loaded image in 16 bits; None: Pillow's own decode loses nothing."""
    if image.mode not in ("RGB", "RGBA") or not image.tile:
        return None
    args = image.tile[0].args
    raw_mode = args if isinstance(args, str) else args[0] if args else None
    if not isinstance(raw_mode, str) or ";16" not in raw_mode:
        return None
    base, order = raw_mode.split(";16")
    if base == "LA":
        return _Plan("RGBA", None)
    if base not in ("RGB", "RGBA", "RGBX", "RGBa"):
        return None
    swapped = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[order]
    name = "RGBA" if base == "RGBa" else base
    return _Plan(f"{name};16{order}", f"{name};16{swapped}", premultiplied=base == "RGBa")


def has_deep_color(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow would cut 16-bit colour of this opened, not yet loaded image down to 8 bits.

    TIFFs with separate colour planes count as 8-bit: Pillow fixes their raw modes out of our reach.
    """
    tags: Any = getattr(image, "tag_v2", {})
    return tags.get(_PLANAR_CONFIGURATION, 1) == 1 and _plan(image) is not None


def mend_planes(image: ImageFile.ImageFile) -> None:
    """Let libtiff decode an uncompressed 16-bit TIFF of separate planes: Pillow's own decoder reads it as 8-bit."""
    tags: Any = getattr(image, "tag_v2", {})
    deep = tags.get(_BITS_PER_SAMPLE, (8,))[0] == 16 and image.mode in ("RGB", "RGBA", "CMYK")
    if tags.get(_PLANAR_CONFIGURATION, 1) != 2 or not deep or not image.tile or image.tile[0].codec_name != "raw":
        return
    source: Any = image
    # Pillow 13 finds the compression in the file; its decoder was told of it before.
    compression = () if _PILLOW >= 13 else (source._compression,)
    args = (f"{image.mode};16N", *compression, False, tags.offset)
    image.tile = [image.tile[0]._replace(codec_name="libtiff", extents=(0, 0, *source._tile_size), offset=0, args=args)]
    source.use_load_libtiff = True


def decode_deep(open_page: Callable[[], ImageFile.ImageFile]) -> tuple[Array, Image.Image]:
    """Decode 16-bit colour that Pillow alone would give as 8-bit.

    Args:
        open_page: opens the file again, at the wanted page; called once or twice.

    Returns:
        The samples, H x W x C uint16 (C = 2 gray + alpha, 3 RGB, 4 RGBA), upright after EXIF orientation; and
        the upright 8-bit image Pillow made, for its metadata.

    """
    first = open_page()
    plan = _plan(first)
    if plan is None:
        raise ValueError("not 16-bit colour")
    high_image = _load_as(first, plan.high)
    high = np.asarray(high_image)
    if plan.low is None:
        # gray + alpha: the four bytes of a pixel came through as R, G, B, A
        return np.ascontiguousarray(high).view(">u2").astype(np.uint16), high_image
    samples = high.astype(np.uint16) << 8
    samples |= np.asarray(_load_as(open_page(), plan.low))
    return (_unpremultiplied(samples) if plan.premultiplied else samples), high_image


def _load_as(image: ImageFile.ImageFile, raw_mode: str) -> Image.Image:
    image.tile = [
        tile._replace(args=raw_mode if isinstance(tile.args, str) else (raw_mode, *tile.args[1:]))
        for tile in image.tile
        if tile.args is not None
    ]
    return ImageOps.exif_transpose(image)


def _unpremultiplied(samples: Array) -> Array:
    alpha = samples[..., 3:].astype(np.uint32)
    color = (samples[..., :3].astype(np.uint32) * 65535 + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate([np.minimum(color, 65535).astype(np.uint16), samples[..., 3:]], axis=2)
