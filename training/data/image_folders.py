"""The image files of a folder, and lists of file-name patterns that choose among them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}


class DataError(ValueError):
    """A data set that cannot be used; the message says which and what to do."""


def find_images(sources: Iterable[Path]) -> list[Path]:
    """Image files under `sources` (files or folders, searched recursively), sorted by path."""
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            found += [p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES]
        elif source.is_file():
            found.append(source)
        else:
            raise DataError(f"{source}: no such file or folder")
    if not found:
        raise DataError(f"no images under {', '.join(map(str, sources))} (looked for {' '.join(sorted(SUFFIXES))})")
    return sorted(found)


def patterns(file: Path) -> list[str]:
    """The file-name patterns of a list such as training/set-aside.txt: one a line, `#` begins a comment."""
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give a text file of file names") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
