"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

Data = bytes | memoryview


def replace(path: Path, data: Data, temporary: Path | None = None) -> None:
    """Write a file beside its target and put it into place, so that the target is whole at any time.

    `temporary` is the name it is written under (default: one that nobody else uses; where given, a file of this name is
    written over). Raises OSError; what was written is then taken away.
    """
    with replacing(path, temporary) as written, written.open("xb" if temporary is None else "wb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """A name to write a file under that is put into `path`'s place at the end; see `replace`."""
    # through a link the file that it points to is replaced, not the link
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EISDIR, "is not a plain file", str(path))
    unique = target.parent / f".fastsr-{os.getpid()}-{os.urandom(6).hex()}.tmp"
    written = unique if temporary is None else temporary
    try:
        yield written
        written.replace(target)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def write_failure(path: Path, error: OSError) -> str:
    """What went wrong and what to do, for a message."""
    folder = path.parent
    if error.errno == errno.EISDIR:
        return f"{path}: is not a plain file; choose another name"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: no space left on {folder}; free some or choose another folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{path}: the folder {folder} does not exist; create it or choose another"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path}: no permission to write into {folder}; change its mode or choose another folder"
    return f"{path}: cannot be written ({error}); choose another folder"
