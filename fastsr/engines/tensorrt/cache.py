"""Engines on disk, each built once: several processes that want one and the same wait for the first to build it.

Beside an engine lie the kernels that a runtime has compiled for it since, where the runtime hands them out.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

from fastsr import files
from fastsr.engines.tensorrt import engine_file
from fastsr.engines.tensorrt.engine_file import Description
from fastsr.errors import EngineError
from fastsr.files import cache_folder as folder

LIMIT = 4 << 30  # bytes of all files; beyond it, what was used longest ago goes
_OURS = re.compile(r"[0-9a-f]{64}\.(engine|kernels|part)")


def key(description: Description) -> str:
    """The name of an engine: a SHA-256 over all that it depends on, hexadecimal."""
    return hashlib.sha256(engine_file.canonical(description)).hexdigest()


def cached(description: Description, build: Callable[[], bytes]) -> bytes:
    """The engine of this description: from the cache, else built and kept there.

    A file that is damaged or describes another engine is built anew. Where the folder cannot be written, a
    RuntimeWarning says so and the engine is built for this process alone. Raises what `build` raises.
    """
    try:
        place = folder()
        path = place / f"{key(description)}.engine"
        found = _load(path, description)
        if found is not None:
            return found
        place.mkdir(parents=True, exist_ok=True)
        lock = _lock(path.with_suffix(".lock"))
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        _warn(error)
        return build()
    try:
        found = _load(path, description)
        if found is not None:
            return found
        engine = build()
        try:
            # A process that was killed leaves its part, which the next holder of the lock writes over.
            engine_file.write(path, description, engine, temporary=path.with_suffix(".part"))
        except OSError as error:
            _warn(error)
        else:
            _trim(place, keep=path)
        return engine
    finally:
        _unlock(lock)


def forget(description: Description) -> None:
    """Take an engine that turned out not to run, and its kernels, out of the cache, so that it is built anew."""
    with contextlib.suppress(OSError, RuntimeError):
        stem = folder() / key(description)
        stem.with_suffix(".engine").unlink(missing_ok=True)
        stem.with_suffix(".kernels").unlink(missing_ok=True)


def kernels(description: Description) -> bytes | None:
    """What `keep_kernels` was last given for this engine."""
    try:
        return (folder() / f"{key(description)}.kernels").read_bytes()
    except (OSError, RuntimeError):
        return None


def keep_kernels(description: Description, data: bytes) -> None:
    """Keep the kernels compiled for an engine; where the folder cannot be written, they are compiled again next time.

    The runtime that reads them checks them, so they carry no checksum of ours.
    """
    with contextlib.suppress(OSError, RuntimeError):
        folder().mkdir(parents=True, exist_ok=True)  # there may be none yet where the engine came as a file
        files.replace(folder() / f"{key(description)}.kernels", data)


def _load(path: Path, description: Description) -> bytes | None:
    try:
        found, engine = engine_file.unpack(path.read_bytes())
    except (EngineError, OSError):
        return None
    if engine_file.canonical(found) != engine_file.canonical(description):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # `_trim` goes by the time of use
    return engine


def _trim(place: Path, keep: Path) -> None:
    """Remove the engines used longest ago until all files together are within LIMIT; locks are empty and stay."""
    found = []
    for path in place.iterdir():
        with contextlib.suppress(OSError):  # another process may be trimming too
            if _OURS.fullmatch(path.name):
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= LIMIT:
            break
        if path.stem != keep.stem:
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size


def _lock(path: Path) -> int:
    """Wait for a lock among processes and threads; the system frees a dead process's. Returns what `_unlock` takes."""
    # The file stays: another process may be waiting for its lock, which one made anew would not be.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing alone would not free what a fork holds too
    finally:
        os.close(descriptor)


def _warn(error: Exception) -> None:
    warnings.warn(
        f"the engine cannot be kept for next time ({error}); set FASTSR_CACHE to a folder that can be written",
        RuntimeWarning,
        stacklevel=4,
    )
