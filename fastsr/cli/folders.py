"""Folders that results are written to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from fastsr.cli.inputs import is_folder, mode
from fastsr.errors import FastsrError


def check_folder(folder: Path) -> None:
    """Raise FastsrError unless a folder exists or can be made, and can be written to."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if mode(path))
    if not is_folder(there):
        raise FastsrError(f"{folder}: {there} is not a folder; choose another output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise FastsrError(f"{folder}: no permission to write into {there}; change its mode or choose another output")


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder; remove it, and the parents made with it, when what follows fails."""
    new = [path for path in (folder, *folder.parents) if not mode(path)]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FastsrError(f"{folder}: cannot make this folder ({error.strerror}); choose another output") from error
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
