"""Engines on disk, each built once: several processes that want one and the same wait for the first to build it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from fastsr.engines import engine_file
from fastsr.engines.engine_file import Description
from fastsr.errors import EngineError


def folder() -> Path:
    """Where engines are kept: $FASTSR_CACHE, else $XDG_CACHE_HOME/fastsr, else ~/.cache/fastsr."""
    own, shared = os.environ.get("FASTSR_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own)
    # the XDG specification has relative paths ignored
    return (Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache") / "fastsr"


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
        return engine
    finally:
        _unlock(lock)


def _load(path: Path, description: Description) -> bytes | None:
    try:
        found, engine = engine_file.unpack(path.read_bytes())
    except (EngineError, OSError):
        return None
    return engine if engine_file.canonical(found) == engine_file.canonical(description) else None


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
