"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

Data = bytes | memoryview

_OURS = re.compile(r"\.fastsr-\d+-[0-9a-f]{12}\.tmp")
_searched: set[str] = set()  # folders in which this process has looked for what others left


def replace(path: Path, data: Data, temporary: Path | None = None) -> None:
    """Write a file beside its target and put it into place, so that the target is whole at any time.

    `temporary` is the name it is written under (default: one that nobody else uses; where given, a file of this name is
    written over). Raises OSError; what was written is then taken away.
    """
    with replacing(path, temporary) as written, written.open("wb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """A name to write a file under that is put into `path`'s place at the end; see `replace`.

    Under the name there is an empty file, unless it was given. What processes that were killed left in the folder is
    removed, once for each process.
    """
    # through a link the file that it points to is replaced, not the link
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EISDIR, "is not a plain file", str(path))
    with contextlib.nullcontext(temporary) if temporary else locked_file(target.parent) as written:
        try:
            yield written
            written.replace(target)
        except BaseException:
            written.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def locked_file(folder: Path) -> Iterator[Path]:
    """An empty file of our own in a folder; its lock, which dies with us, tells others that it is in use.

    Whoever asked for it removes it. Raises OSError.
    """
    real = os.path.realpath(folder)
    if real not in _searched:
        _searched.add(real)
        remove_abandoned(real)
    while True:
        path = folder / f".fastsr-{os.getpid()}-{os.urandom(6).hex()}.tmp"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks, where nothing is removed either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else another took it for abandoned before it was locked
                yield path
                return
        finally:
            os.close(descriptor)


def remove_abandoned(folder: str | Path) -> bool:
    """Remove files of `locked_file` whose makers were killed; returns whether there are others, which are in use."""
    in_use = False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name):
                try:
                    _remove_unless_locked(entry.path)
                except BlockingIOError:
                    in_use = True
                except OSError:
                    pass
    return in_use


def _remove_unless_locked(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(descriptor)
        if stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # noqa: PTH108 - entries of scandir are text
    finally:
        os.close(descriptor)


def cache_folder() -> Path:
    """Where what can be made again is kept: $FASTSR_CACHE, else $XDG_CACHE_HOME/fastsr, else ~/.cache/fastsr.

    Raises RuntimeError where there is no home folder.
    """
    own, shared = os.environ.get("FASTSR_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    # the XDG specification has relative paths ignored
    return (Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache") / "fastsr"


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
