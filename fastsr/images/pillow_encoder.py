"""JPEG, WebP, AVIF, JPEG 2000, TGA, ICO and BMP by Pillow's own encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from fastsr.images.decoded_image import DecodedImage, Frame, Metadata
from fastsr.images.exif import for_size_of
from fastsr.images.formats import by_name
from fastsr.images.pillow import metadata_without_black, to_pillow, without_black
from fastsr.images.samples import on_white

_DEFAULT_QUALITY = {"JPEG": 95, "WebP": 90, "AVIF": 80}
_JPEG_MARKER_BYTES = 65500


def encode_with_pillow(
    file: BinaryIO, image: DecodedImage, frames: Sequence[Frame], kind: str, quality: int | None
) -> None:
    """Write frames by the Pillow plugin for `kind`; quality None = the default of the format."""
    metadata = image.metadata[0]
    if kind == "JPEG":
        plain = list(frames)
        metadata = for_size_of(frames[0], metadata)
    else:
        plain = [without_black(frame) for frame in frames]
        metadata = metadata_without_black(frames[0], metadata)
    if kind in ("JPEG", "BMP"):
        plain = [on_white(frame, np.uint8) for frame in plain]
    pil_images = [to_pillow(frame) for frame in plain]
    options = _metadata_options(metadata, pil_images[0].mode, kind)
    if kind in _DEFAULT_QUALITY:
        options["quality"] = quality or _DEFAULT_QUALITY[kind]
    if kind == "JPEG":
        options["subsampling"] = "4:4:4"
    if len(pil_images) > 1 and image.animation is not None:
        options |= {"save_all": True, "append_images": pil_images[1:], "loop": image.animation.plays}
        options["duration"] = image.animation.durations_in(1)
        if image.animation.background is not None:
            options["background"] = image.animation.background
    if kind == "JPEG2000":
        options["mct"] = int(pil_images[0].mode in ("RGB", "RGBA"))
    elif kind == "ICO":
        options["sizes"] = [pil_images[0].size]
    pil_images[0].save(file, by_name(kind).plugin, **options)


def _metadata_options(metadata: Metadata, mode: str, kind: str) -> dict[str, Any]:
    """Arguments of Pillow's save; JPEG markers too long for it are left out."""
    space = b"CMYK" if mode == "CMYK" else b"GRAY" if mode in ("L", "LA") and kind != "WebP" else b"RGB "
    options: dict[str, Any] = {"icc_profile": metadata.icc_for(space), "exif": metadata.exif, "xmp": metadata.xmp}
    if kind == "JPEG":
        options["comment"] = metadata.comment
        # Pillow splits long profiles over several markers
        options = {key: value for key, value in options.items() if key == "icc_profile" or _fits_marker(value)}
    elif options["exif"]:
        options["exif"] = options["exif"].removeprefix(b"Exif\0\0")
    options["dpi"] = metadata.dpi
    return {key: value for key, value in options.items() if value}


def _fits_marker(value: bytes | None) -> bool:
    return value is not None and len(value) <= _JPEG_MARKER_BYTES
