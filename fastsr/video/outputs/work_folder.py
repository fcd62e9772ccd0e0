"""The folder of unfinished work. Its name can be guessed, so nothing that others put there is followed."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from fastsr.errors import VideoError

_OURS_ALONE = 0o700


class WorkFolder:
    """A folder that only its owner can reach, held open, so that it stays the same one whatever its name becomes."""

    def __init__(self, path: Path) -> None:
        """Make it, or open it if it is there.

        Raises VideoError for a link, for what is no folder and for a folder of another user, OSError when it cannot be
        made.
        """
        self.path = path
        made = True
        try:
            path.mkdir(_OURS_ALONE)
        except FileExistsError:
            made = False
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            if stat.S_ISDIR(path.lstat().st_mode):
                raise
            raise VideoError(f"{path}: is not a folder, but work in progress is kept there; remove it") from None
        there = os.fstat(self._descriptor)
        if not made and there.st_uid != os.geteuid():
            self.close()
            raise VideoError(f"{path}: belongs to another user; remove it, or write the output into another folder")
        if there.st_mode & 0o077:
            with contextlib.suppress(OSError):  # file systems without modes
                os.fchmod(self._descriptor, _OURS_ALONE)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def names(self) -> list[str]:
        """What lies in it."""
        return os.listdir(self._descriptor)  # noqa: PTH208 - of a descriptor

    def read(self, name: str) -> BinaryIO:
        """Open a file of it. Raises OSError, for a link too."""
        return self._open(name, os.O_RDONLY, "rb")

    def create(self, name: str) -> BinaryIO:
        """A new file in it, in place of one of that name. Raises OSError."""
        self.remove(name)
        return self._open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb")

    def lock_file(self, name: str) -> BinaryIO:
        """A file to be locked, whose content stays as it is. Raises OSError, for a link too."""
        return self._open(name, os.O_RDWR | os.O_CREAT, "r+b")

    def rename(self, name: str, other: str) -> None:
        """Give a file another name, in place of one that has it."""
        os.replace(name, other, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def _open(self, name: str, flags: int, mode: str) -> BinaryIO:
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # the last for pipes, which nobody may write to
        descriptor = os.open(name, flags, 0o600, dir_fd=self._descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{self.path / name}: is not a plain file")
        return open(descriptor, mode)  # type: ignore[return-value]
