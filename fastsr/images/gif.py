"""GIF encoder: exact timing, as Pillow's own would merge equal frames."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from fastsr.images.decoded_image import Array, DecodedImage, Frame
from fastsr.images.pillow import without_black
from fastsr.images.samples import joined


def encode_gif(file: BinaryIO, image: DecodedImage, frames: Sequence[Frame]) -> None:
    """Write frames as GIF: one image, or an animation of full frames, each with 256 colours of its own.

    Durations are kept to 10 ms, alpha becomes transparent (under half) or opaque.
    """
    samples = [joined(without_black(frame), np.uint8) for frame in frames]
    animation = image.animation
    background = animation.background if animation else None
    height, width = samples[0].shape[:2]
    # a global palette of two colours, if there is a background to name
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0 if background else 0x70, 0, 0))
    file.write(bytes(background[:3]) + b"\0\0\0" if background else b"")
    if animation and animation.plays != 1:
        # GIF counts repetitions after the first play
        repeats = min(animation.plays - 1, 65535) if animation.plays else 0
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", repeats) + b"\0")
    if comment := image.metadata[0].comment:
        pieces = [comment[start : start + 255] for start in range(0, len(comment), 255)]
        file.write(b"!\xfe" + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0")
    ticks = animation.durations_in(10) if animation else [0]
    # where frames have holes the last one must be cleared first
    disposal = 0 if animation is None else 2 if any(frame.shape[2] in (2, 4) for frame in samples) else 1
    for frame, duration in zip(samples, ticks, strict=True):
        pil_image, hole = _paletted(frame)
        params: dict[str, Any] = {"duration": 10 * min(duration, 65535), "disposal": disposal}
        if hole is not None:
            params["transparency"] = hole
        file.writelines(GifImagePlugin.getdata(pil_image, include_color_table=True, **params))
    file.write(b";")


def _paletted(frame: Array) -> tuple[Image.Image, int | None]:
    """The frame in at most 256 colours, and the index that stands for transparent (alpha under half), if any."""
    colors = 3 if frame.shape[2] >= 3 else 1
    color = np.ascontiguousarray(np.broadcast_to(frame[..., :colors], (*frame.shape[:2], 3)))
    hidden = frame[..., -1] < 128 if frame.shape[2] in (2, 4) else None
    if hidden is None or not hidden.any():
        return Image.fromarray(color).quantize(256), None
    seen = color[~hidden]
    # hidden pixels take a colour that is there anyway, so that they cost no palette entry
    filled = np.where(hidden[..., np.newaxis], seen[0] if len(seen) else np.zeros(3, np.uint8), color)
    quantized = Image.fromarray(filled).quantize(255)
    pil_image = Image.fromarray(np.where(hidden, 255, np.asarray(quantized)).astype(np.uint8))
    pil_image.putpalette(bytes(quantized.getpalette() or []).ljust(768, b"\0"))
    return pil_image, 255
