"""Patterns that the shell did not expand, matched without following links to folders, which may loop."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path


def split(text: str) -> tuple[Path, list[str]]:
    """The folder that a pattern starts from, and its parts from the first with magic on; none: it is no pattern."""
    root, parts = Path(), list(Path(text).parts)
    while parts and (not glob.has_magic(parts[0]) or (root / parts[0]).exists()):
        root /= parts.pop(0)
    return root, parts


def matches(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What a pattern matches, sorted; hidden files and folders only where it names them."""
    # pathlib's ** follows no links, glob's does and may loop; but pathlib knows no ** beside other letters
    pattern = str(Path(*(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts)))
    hidden = any(part[0] == "." for part in parts)
    for path in sorted(root.glob(pattern)):
        if hidden or not any(part[0] == "." for part in path.relative_to(root).parts):
            yield path
