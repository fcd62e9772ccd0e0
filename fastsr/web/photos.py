"""A photo on the page: checked, enlarged, written; a part of it at once, before all of it is made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

import fastsr
from fastsr import images
from fastsr.errors import FastsrError
from fastsr.images import Frame
from fastsr.output_size import Size, default_model, output_size
from fastsr.upscaler import Upscaler
from fastsr.web import choices, limits
from fastsr.web.jobs import Job
from fastsr.web.settings import Settings
from fastsr.web.store import safe_name

PREVIEW_SIDE = 960  # pixels of the part of the result that a preview shows, at most
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


def make(source: Path, folder: Path, request: PhotoRequest, settings: Settings, job: Job[MadePhoto]) -> MadePhoto:
    """Enlarge a photo into a file of a folder. Raises FastsrError, StoppedError."""
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
        images.write_rows(image, rows, target)
    else:
        frames = upscaler.enlarge(image, *request.wanted, job.report)
        quality = request.quality if target.suffix[1:] in (*choices.WITH_QUALITY, "jpeg") else None
        images.write(image, frames, target, quality=quality)
    return MadePhoto(target, source, source_size, size, upscaler.name, job.seconds)


def preview(
    source: Path, folder: Path, request: PhotoRequest, settings: Settings, job: Job[tuple[Path, Path]]
) -> tuple[Path, Path]:
    """The middle of a photo, enlarged by bicubic interpolation and by the model, as two files of a folder."""
    width, height = limits.check_photo(source, settings)
    upscaler = request.upscaler(width, height)
    whole = limits.check_result(folder / "preview.png", (width, height), request.wanted, upscaler.scale, settings)
    factor = whole[0] / width
    color = images.read(source).frames[0].color
    job.check()
    side = max(1, round(PREVIEW_SIDE / factor))
    parts = [_middle(length, side) for length in (height, width)]
    ends = zip(parts, (height, width), strict=True)
    outer = [(max(0, a - PREVIEW_MARGIN), min(n, b + PREVIEW_MARGIN)) for (a, b), n in ends]
    part = np.ascontiguousarray(color[slice(*outer[0]), slice(*outer[1])])
    inner = [
        slice(round((a - first) * factor), round((b - first) * factor))
        for (a, b), (first, _) in zip(parts, outer, strict=True)
    ]
    size = output_size(part.shape[1], part.shape[0], factor, None, 1)
    made = []
    for name, model in (("before", fastsr.load("bicubic")), ("after", upscaler)):
        large = model.upscale(part, size=size, progress=job.report)
        decoded = images.read(np.ascontiguousarray(large[inner[0], inner[1]]))
        path = folder / f"preview-{name}.png"
        images.write(decoded, [Frame(f.color) for f in decoded.frames], path)
        made.append(path)
    return made[0], made[1]


def _middle(length: int, part: int) -> tuple[int, int]:
    first = max(0, (length - part) // 2)
    return first, min(length, first + part)
