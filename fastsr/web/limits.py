"""Whether a server takes what it is given: looked at before anything is decoded, or any memory taken for it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from fastsr import available_memory
from fastsr.errors import FastsrError, ImageError
from fastsr.images import output_format
from fastsr.images.probing import size_of
from fastsr.output_size import Size, output_size
from fastsr.tiling.bounds import amount
from fastsr.web.settings import Settings
from fastsr.web.texts import megapixels

_HELD = {"JPEG": 2}  # times the bytes of a result that its encoding takes, itself included, as measured
_HELD_BY_OTHERS = 4


def check_photo(path: Path, settings: Settings) -> tuple[int, int]:
    """Width and height of an uploaded photo. Raises FastsrError where it is none, or larger than is allowed."""
    try:
        return size_of(path)  # which holds to what `prepare` sets
    except ImageError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            most = f"{settings.max_megapixels:g} megapixels"
            raise ImageError(f"{path}: is larger than the {most} that this server takes (--max-megapixels)") from None
        raise


def check_result(
    path: Path,
    source: tuple[int, int],
    wanted: tuple[float | None, Size | None],
    own_scale: float,
    settings: Settings,
) -> tuple[int, int]:
    """Width and height that a result in the file `path` is going to have. Raises FastsrError where that is too much."""
    width, height = check_pixels(path, source, wanted, own_scale, settings)
    kind = output_format(path)
    needed, free = width * height * 3 * _HELD.get(kind, _HELD_BY_OTHERS), available_memory.available()
    if kind not in ("PNG", "TIFF") and free is not None and needed > free:
        raise FastsrError(
            f"{path}: takes about {amount(needed)} of memory, of which {amount(free)} are free; choose png or tif, "
            "which need little, or a smaller size"
        )
    return width, height


def check_pixels(
    path: Path,
    source: tuple[int, int],
    wanted: tuple[float | None, Size | None],
    own_scale: float,
    settings: Settings,
) -> tuple[int, int]:
    """Width and height of a result. Raises FastsrError for more pixels than the server makes."""
    width, height = output_size(*source, *wanted, own_scale)
    if width * height > settings.max_result_pixels:
        most = settings.max_result_pixels / 1e6
        raise FastsrError(
            f"{path}: would have {megapixels(width, height)}; this server makes up to {most:g}; ask for a smaller size"
        )
    return width, height


def prepare(settings: Settings) -> None:
    """Hold every reader in this process to the server's limit of pixels, whatever a file's header says."""
    Image.MAX_IMAGE_PIXELS = settings.max_pixels
