"""An image's file made of another: what is asked of it, and its enlargement written with a note of how it was made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastsr
from fastsr import images
from fastsr.engines.protocol import Progress
from fastsr.images import DecodedImage, Rows, provenance
from fastsr.output_size import Box, Region, Size, output_size, part_of, region_text, size_text
from fastsr.upscaler import Upscaler


@dataclasses.dataclass(frozen=True)
class ImageRequest:
    """What is asked for of images, as far as their results depend on it.

    Attributes:
        model: a name or a file; None = the shipped one that fits each image.
        realism: as for `fastsr.load`.
        blend: as for `fastsr.load`.
        precision: as for `fastsr.load`.
        overlap: as for `fastsr.load`.
        scale: as for `Upscaler.upscale`.
        size: as for `Upscaler.upscale`.
        region: as for `Upscaler.upscale`.
        quality: as for `images.write`.
        compress: as for `images.write`.

    """

    model: str | None = None
    realism: float | None = None
    blend: float = 1
    precision: str = "auto"
    overlap: int | None = None
    scale: float | None = None
    size: Size | None = None
    region: Region | None = None
    quality: int | None = None
    compress: bool = False

    def identity(self) -> dict[str, Any]:
        """What differs from the defaults, for JSON; equal for requests whose results are the same."""
        asked = {
            # of a file the name alone: its path is nobody else's business
            "model": None if self.model is None else Path(self.model).name,
            "realism": self.realism,
            "blend": None if self.blend == 1 else self.blend,
            "scale": None if self.scale is None else float(self.scale),
            "size": None if self.size is None else _size_asked(self.size),
            "region": None if self.region is None else region_text(self.region),
            "precision": None if self.precision == "auto" else self.precision,
            "overlap": self.overlap,
            "quality": self.quality,
            "compress": self.compress or None,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def made_size(self, width: int, height: int, upscaler: Upscaler) -> Size:
        """Width and height of the result of an image. Raises FastsrError for what makes none."""
        made = output_size(width, height, self.scale, self.size, upscaler.scale)
        if self.region is None:
            return made
        part = part_of(self.region, made)
        return part.width, part.height

    def mark(self, upscaler: Upscaler) -> str:
        """What a result says of how it was made, one line of JSON."""
        used = {"model": upscaler.name, "scale": upscaler.scale, "precision": upscaler.precision}
        return json.dumps({"fastsr": fastsr.__version__, **used, "request": self.identity()})


@dataclasses.dataclass(frozen=True)
class Enlargement:
    """An image on its way into its file.

    Attributes:
        write: writes it, whole or not at all. Raises as `images.write`; where it `streams`, as `Upscaler.enlarge` too.
        streams: whether it is enlarged only as it is written, row by row.

    """

    write: Callable[[], None]
    streams: bool


def enlargement(
    image: DecodedImage,
    upscaler: Upscaler,
    target: Path,
    request: ImageRequest,
    progress: Progress | None = None,
    rows: Rows | None = None,
) -> Enlargement:
    """Enlarge an image for a file, which is not written yet; with `rows`, those are what it is enlarged to.

    Raises as `Upscaler.enlarge`.
    """
    image = provenance.marked(image, request.mark(upscaler), images.output_format(target))
    if images.takes_rows(image, image.frames[0].color.dtype, target):
        made = rows or upscaler.rows(image, request.scale, request.size, progress, request.region)
        if made is not None:
            return Enlargement(lambda: images.write_rows(image, made, target, compress=request.compress), True)
    frames = upscaler.enlarge(image, request.scale, request.size, progress, request.region)
    return Enlargement(
        lambda: images.write(image, frames, target, quality=request.quality, compress=request.compress), False
    )


def _size_asked(size: Size) -> str:
    return f"within {size_text(size)}" if isinstance(size, Box) else size_text(size)
