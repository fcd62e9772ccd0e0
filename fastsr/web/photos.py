"""A photo on the page: checked, enlarged, written; a part of it at once, before all of it is made."""

from __future__ import annotations

import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np

import fastsr
from fastsr import images
from fastsr.errors import FastsrError
from fastsr.images.decoded_image import Array
from fastsr.output_size import Size, default_model
from fastsr.upscaler import Upscaler
from fastsr.web import choices, limits, viewer
from fastsr.web.jobs import Job
from fastsr.web.settings import Settings
from fastsr.web.store import safe_name

PREVIEW_SIDE = 960  # pixels of the part of the result that a preview shows, at most
_PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)  # along an axis, where a preview may be


@dataclasses.dataclass(frozen=True)
class PhotoRequest:
    """What a visitor asks for. Raises FastsrError for what is not offered.

    Attributes:
        model: name, or None for the one that fits the size.
        size: as `choices.wanted_size` takes it.
        realism: 0 to 1, for models that have it.
        blend: share of the model's result, 0 to 1.
        format: one of `choices.FORMATS`.
        quality: 1 to 100, for formats with losses.

    """

    model: str | None = None
    size: str = "4x"
    realism: float = 1.0
    blend: float = 1.0
    format: str | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        """Check what can be without a photo."""
        object.__setattr__(self, "model", choices.checked_model(self.model))
        choices.wanted_size(self.size)
        choices.suffix_for(self.format, "")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise FastsrError(f"quality {self.quality:g} is not between 1 and 100")

    @property
    def wanted(self) -> tuple[float | None, Size | None]:
        """`scale` and `size`."""
        return choices.wanted_size(self.size)

    def upscaler(self, width: int, height: int) -> Upscaler:
        """The model for a photo of this size; loaded on first use."""
        name = self.model or default_model(width, height, *self.wanted)
        realism = self.realism if choices.has_realism(name) and self.realism != 1 else None
        return fastsr.load(name, blend=1 if name in choices.INTERPOLATIONS else self.blend, realism=realism)

    def target(self, source: Path) -> str:
        """What the result of a photo is called."""
        return safe_name(f"{source.stem}-{choices.mark_of(self.size)}{choices.suffix_for(self.format, source.suffix)}")


@dataclasses.dataclass(frozen=True)
class MadePhoto:
    """A result, and what is told of it."""

    path: Path
    original: Path
    source_size: tuple[int, int]
    size: tuple[int, int]
    model: str
    seconds: float


def make(
    source: Path, folder: Path, request: PhotoRequest, settings: Settings, job: Job[MadePhoto], *, seen: bool
) -> MadePhoto:
    """Enlarge a photo into a file of a folder; where it will be `seen`, ready for the viewer.

    Raises FastsrError, StoppedError.
    """
    begun = time.monotonic()
    source_size = limits.check_photo(source, settings)
    upscaler = request.upscaler(*source_size)
    target = folder / request.target(source)
    size = limits.check_result(target, source_size, request.wanted, upscaler.scale, settings)
    image = images.read(source)
    job.check()
    rows = None
    if images.takes_rows(image, image.frames[0].color.dtype, target):
        rows = upscaler.rows(image, *request.wanted, job.report)
    if rows is not None:
        images.write_rows(image, viewer.recorded(rows, image.metadata[0], target) if seen else rows, target)
    else:
        frames = upscaler.enlarge(image, *request.wanted, job.report)
        if seen:
            viewer.record_frame(frames[0], image.metadata[0], target)
        quality = request.quality if target.suffix[1:] in (*choices.WITH_QUALITY, "jpeg") else None
        images.write(image, frames, target, quality=quality)
    return MadePhoto(target, source, source_size, size, upscaler.name, time.monotonic() - begun)


def preview(
    source: Path,
    folder: Path,
    request: PhotoRequest,
    settings: Settings,
    job: Job[MadePhoto],
    side: int = PREVIEW_SIDE,
) -> MadePhoto:
    """A part of a photo as it is, and enlarged to about `side` pixels, as files of a folder; sizes are of the whole.

    Raises FastsrError, StoppedError.
    """
    begun = time.monotonic()
    width, height = limits.check_photo(source, settings)
    upscaler = request.upscaler(width, height)
    original, result = folder / "part.png", folder / "part-large.png"
    size = limits.check_result(result, (width, height), request.wanted, upscaler.scale, settings)
    color = images.read(source).frames[0].color
    job.check()
    factors = size[0] / width, size[1] / height
    left, top, right, bottom = _most_detailed(color, max(1, round(side / max(factors))))
    region = (
        round(left * factors[0]),
        round(top * factors[1]),
        max(round(left * factors[0]) + 1, round(right * factors[0])),
        max(round(top * factors[1]) + 1, round(bottom * factors[1])),
    )
    large = upscaler.upscale(color, *request.wanted, region=region, progress=job.report)
    _write(color[top:bottom, left:right], original)
    _write(large, result)
    return MadePhoto(result, original, (width, height), size, upscaler.name, time.monotonic() - begun)


def _most_detailed(color: Array, side: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part whose neighbouring pixels differ most: of a few, the middle first."""

    def box(across: float, down: float) -> tuple[int, int, int, int]:
        height, width = color.shape[:2]
        left, top = round(max(0, width - side) * across), round(max(0, height - side) * down)
        return left, top, min(width, left + side), min(height, top + side)

    def detail(box: tuple[int, int, int, int]) -> float:
        left, top, right, bottom = box
        pixels = color[top:bottom, left:right, 0].astype(np.float32)
        return float(np.abs(np.diff(pixels, axis=0)).mean()) if len(pixels) > 1 else 0.0

    places = sorted(itertools.product(_PLACES, _PLACES), key=lambda place: sum(abs(share - 0.5) for share in place))
    return max((box(*place) for place in places), key=detail)


def _write(pixels: Array, path: Path) -> None:
    decoded = images.read(np.ascontiguousarray(pixels))
    images.write(decoded, decoded.frames, path)
