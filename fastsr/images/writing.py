"""`write` and `write_rows`: save an image to a file, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastsr import files
from fastsr.errors import FastsrError, ImageError
from fastsr.images.decoded_image import NO_MEMORY, DecodedImage, Frame, Metadata, Rows
from fastsr.images.formats import check_fits, named_format, output_format
from fastsr.images.samples import to_depth


def write(
    image: DecodedImage,
    frames: list[Frame],
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    quality: int | None = None,
    compress: bool = False,
) -> None:
    """Write the frames of an image to a file, whole or not at all.

    Keeps EXIF, ICC profile, dpi, text and animation as far as the format can hold them. PNG, TIFF and PPM keep 16 bits,
    TIFF the floats of gray too; other depths become 8, floats 16 where a format has them. Transparency is laid on white
    for JPEG, BMP and PPM. CMYK stays in JPEG and TIFF and becomes RGB, without its profile, elsewhere. What a PNG says
    of its colours stays in PNG; for other formats they are converted to sRGB, as those of an ICC profile are for
    formats without one. A RuntimeWarning tells of what is converted because the format cannot say it, and of floats cut
    to 8 bits.

    Args:
        image: what `read` gave.
        frames: as many as were read, of any size.
        path: the file to write; one that exists is replaced.
        format: PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF, JPEG2000, PPM, TGA or ICO; None: by the suffix of `path`.
        quality: 1..100 for JPEG (default 95), WebP (90) and AVIF (80).
        compress: take several times as long for a smaller PNG or TIFF of the same pixels.

    Raises:
        ImageError: the format cannot hold the image or the file cannot be written; no file is left behind.

    """
    target = Path(path)
    kind = output_format(path) if format is None else named_format(format)
    if quality is not None and (isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100):
        raise ImageError(f"{target}: quality {quality!r}; give a whole number from 1 to 100")
    image.check_count(frames)
    check_fits(image, frames, kind, target)
    with _refusals(target, kind, Exception):  # Pillow's encoders raise whatever odd metadata lead to
        if kind != "PNG" and any(
            _may_differ(frame.color.dtype, beside) for frame, beside in zip(frames, image.metadata, strict=True)
        ):
            from fastsr.images import color_space

            image, frames = color_space.fit(image, frames, kind, target)
        _write(target, image, frames, kind, quality, compress)


def takes_rows(image: DecodedImage, dtype: np.dtype[Any], path: str | os.PathLike[str]) -> bool:
    """Whether `write_rows` can write what is made of this image, with samples of this dtype, to such a file."""
    kind = output_format(path)
    # TIFF keeps some floats, and says nothing of colours as PNG does
    plain = dtype.kind != "f" and not image.metadata[0].png_color
    return len(image.frames) == 1 and (kind == "PNG" or (kind == "TIFF" and plain))


def write_rows(image: DecodedImage, rows: Rows, path: str | os.PathLike[str], *, compress: bool = False) -> None:
    """Write rows to a PNG or TIFF file as they are made, whole or not at all; the same file as by `write`.

    Args:
        image: what `read` gave, of which `takes_rows` is true.
        rows: of its one frame, gray or RGB, of any size.
        path: the file to write; one that exists is replaced.
        compress: as for `write`.

    Raises:
        ImageError: the file cannot be written; no file is left behind. Whatever making the rows raises.

    """
    target = Path(path)
    kind = output_format(path)
    from fastsr.images.exif import for_size  # brings Pillow along

    metadata = for_size(rows.shape[1], rows.shape[0], image.metadata[0])
    depth = np.dtype(np.uint8 if rows.dtype == np.uint8 else np.uint16)
    samples = Rows(rows.shape, depth, (to_depth(band, depth) for band in rows.bands))
    with _refusals(target, kind, OverflowError), files.replacing(target) as temporary, temporary.open("wb") as file:
        if kind == "PNG":
            from fastsr.images import png

            png.encode_rows(file, metadata, [samples], None, compress)
        else:
            from fastsr.images import tiff

            tiff.encode_rows(file, metadata, samples, compress)


@contextlib.contextmanager
def _refusals(target: Path, kind: str, of_encoder: type[Exception]) -> Iterator[None]:
    """What goes wrong while a file is written, as ImageError; `of_encoder`: what the encoder raises itself."""
    try:
        yield
    except FastsrError:
        raise
    except MemoryError as error:
        raise ImageError(f"{target}: {NO_MEMORY}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # which those of Pillow's encoders have not
            raise ImageError(files.write_failure(target, error)) from error
        if not isinstance(error, of_encoder):
            raise
        reason = str(error) or type(error).__name__
        raise ImageError(f"{target}: cannot be written as {kind} ({reason}); choose PNG or TIFF") from error


def _write(
    target: Path, image: DecodedImage, frames: Sequence[Frame], kind: str, quality: int | None, compress: bool
) -> None:
    # the encoders bring Pillow and its plugins along, which only those who write should wait for
    if kind in ("PNG", "TIFF"):
        with files.replacing(target) as temporary, temporary.open("wb") as file:
            if kind == "PNG":
                from fastsr.images.png import encode_png

                encode_png(file, image, frames, compress)
            else:
                from fastsr.images.tiff import encode_tiff

                encode_tiff(file, image, frames, compress)
        return
    encoded = io.BytesIO()
    if kind == "GIF":
        from fastsr.images.gif import encode_gif

        encode_gif(encoded, image, frames)
    elif kind == "PPM":
        from fastsr.images.netpbm import encode_netpbm

        encode_netpbm(encoded, frames[0])
    else:
        from fastsr.images.pillow_encoder import encode_with_pillow

        encode_with_pillow(encoded, image, frames, kind, quality)
    files.replace(target, encoded.getbuffer())


def _may_differ(dtype: np.dtype[Any], metadata: Metadata) -> bool:
    """Whether a frame may be something else than 8 or 16 bits of sRGB."""
    return bool(metadata.icc or metadata.png_color or dtype.kind == "f")
