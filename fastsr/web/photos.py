"""A photo on the page: checked, enlarged, written; a part of it at once, before all of it is made."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np

import fastsr
from fastsr import images
from fastsr.errors import FastsrError
from fastsr.images.decoded_image import Array
from fastsr.output_size import Size, default_model, output_size
from fastsr.upscaler import Upscaler
from fastsr.web import choices, limits, viewer
from fastsr.web.jobs import Job
from fastsr.web.settings import Settings
from fastsr.web.store import safe_name

PREVIEW_SIDE = 960  # pixels of the part of the result that a preview shows, at most
_PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)  # along an axis, where a preview may be
PREVIEW_MARGIN = 32  # pixels of the photo around it, so that its edges look as they will


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
        mark = str(self.size).strip().lower().replace(" ", "")
        factor = self.wanted[0]
        mark = f"x{factor:g}" if factor is not None else mark
        return safe_name(f"{source.stem}-{mark}{choices.suffix_for(self.format, source.suffix)}")


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
    return MadePhoto(target, source, source_size, size, upscaler.name, job.seconds)


def preview(source: Path, folder: Path, request: PhotoRequest, settings: Settings, job: Job[MadePhoto]) -> MadePhoto:
    """A part of a photo as it is, and enlarged, as files of a folder; sizes are those of the whole.

    Raises FastsrError, StoppedError.
    """
    width, height = limits.check_photo(source, settings)
    upscaler = request.upscaler(width, height)
    original, result = folder / "part.png", folder / "part-large.png"
    size = limits.check_result(result, (width, height), request.wanted, upscaler.scale, settings)
    factor = size[0] / width
    color = images.read(source).frames[0].color
    job.check()
    side = max(1, round(PREVIEW_SIDE / factor))
    rows, columns = _most_detailed(color, side)
    large = upscaler.upscale(
        np.ascontiguousarray(color[rows.outer, columns.outer]),
        size=output_size(columns.length, rows.length, factor, None, 1),
        progress=job.report,
    )
    _write(color[rows.inner, columns.inner], original)
    _write(large[rows.enlarged(factor), columns.enlarged(factor)], result)
    return MadePhoto(result, original, (width, height), size, upscaler.name, job.seconds)


def _most_detailed(color: Array, side: int) -> tuple[_Part, _Part]:
    """Rows and columns of the part, of this side, whose neighbouring pixels differ most: of a few, the middle first."""
    places = sorted(itertools.product(_PLACES, _PLACES), key=lambda place: sum(abs(share - 0.5) for share in place))
    parts = [tuple(_Part.of(n, side, at) for n, at in zip(color.shape[:2], place, strict=True)) for place in places]

    def detail(part: tuple[_Part, ...]) -> float:
        pixels = color[part[0].inner, part[1].inner, 0].astype(np.float32)
        return float(np.abs(np.diff(pixels, axis=0)).mean()) if len(pixels) > 1 else 0.0

    rows, columns = max(parts, key=detail)
    return rows, columns


@dataclasses.dataclass(frozen=True)
class _Part:
    """The pixels of one axis that a preview shows, and those around them that it is made of."""

    first: int
    last: int
    outer: slice

    @classmethod
    def of(cls, length: int, side: int, at: float) -> _Part:
        """At 0 the first pixels of the axis, at 1 the last."""
        first = round(max(0, length - side) * at)
        last = min(length, first + side)
        return cls(first, last, slice(max(0, first - PREVIEW_MARGIN), min(length, last + PREVIEW_MARGIN)))

    @property
    def inner(self) -> slice:
        return slice(self.first, self.last)

    @property
    def length(self) -> int:
        return int(self.outer.stop - self.outer.start)

    def enlarged(self, factor: float) -> slice:
        """What is shown, in the result of `outer`."""
        begin = self.outer.start
        return slice(round((self.first - begin) * factor), round((self.last - begin) * factor))


def _write(pixels: Array, path: Path) -> None:
    decoded = images.read(np.ascontiguousarray(pixels))
    images.write(decoded, decoded.frames, path)
