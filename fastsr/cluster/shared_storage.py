"""Which folders workers see too: told by a file of our own that the driver puts into each while results go there."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from fastsr import files
from fastsr.errors import FastsrError

UNSEEN = "unseen"  # what a worker answers that does not see the source, or sees another file there
_DYING = 5.0  # seconds that a worker may take to die once it was told to


class OutputFolders:
    """Folders that results are written to: made as they are needed, each with a token; to be closed after use."""

    def __init__(self) -> None:
        self._tokens: dict[Path, tuple[str, contextlib.ExitStack]] = {}
        self._users: dict[Path, int] = {}
        self._made: list[Path] = []

    def enter(self, folder: Path) -> str:
        """Make a folder ready for a result; gives the name of its token, "" where there can be none.

        Raises FastsrError for a folder that cannot be made.
        """
        if folder not in self._tokens:
            self._make(folder)
            held, name = contextlib.ExitStack(), ""
            with contextlib.suppress(OSError):
                name = held.enter_context(files.locked_file(folder)).name
            self._tokens[folder] = name, held
        self._users[folder] = self._users.get(folder, 0) + 1
        return self._tokens[folder][0]

    def leave(self, folder: Path) -> None:
        """A result is there, or never will be; behind the last one that is on its way the token is removed."""
        self._users[folder] -= 1
        if not self._users[folder]:
            self._remove_token(folder)

    def close(self) -> None:
        """Remove tokens, what workers that were stopped left half written, and folders that were made for nothing."""
        in_use = list(self._tokens)
        for folder in in_use:
            self._remove_token(folder)
        end = time.monotonic() + _DYING
        while any([files.remove_abandoned(folder) for folder in in_use]) and time.monotonic() < end:
            time.sleep(0.05)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def clean(self, folder: Path) -> None:
        """Remove what a worker that died left half written in a folder."""
        files.remove_abandoned(folder)

    def _make(self, folder: Path) -> None:
        self._made += [path for path in (*reversed(folder.parents), folder) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FastsrError(f"{folder}: cannot make this folder ({error.strerror}); choose another output") from error

    def _remove_token(self, folder: Path) -> None:
        name, held = self._tokens.pop(folder)
        held.close()
        self._users.pop(folder, None)
        if name:
            (folder / name).unlink(missing_ok=True)


def is_shared(folder: Path, token: str) -> bool:
    """Whether this machine has the driver's folder in the same place, and may write into it."""
    return bool(token) and (folder / token).exists() and os.access(folder, os.W_OK | os.X_OK)


def identity(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file, equal on all machines that share it; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
