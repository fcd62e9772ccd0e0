"""Memory that was refused, reported as such, not as a fault of the file or the codec."""

from __future__ import annotations

import contextlib
import errno
import mmap
from collections.abc import Iterator

from fastsr.errors import FastsrError, VideoError

SHORTAGE = "not enough memory; free some, raise its limit, or make less at once: a smaller --scale, --size or --tile"


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory, or room for a thread, was refused."""
    if isinstance(error, RuntimeError):
        return "can't start new thread" in str(error)
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def can_allocate(size: int) -> bool:
    """Whether so many bytes would be given now."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


@contextlib.contextmanager
def shortage_reported(name: str) -> Iterator[None]:
    """Raise VideoError, with `name` of the input, in place of an error that says that memory was refused."""
    try:
        yield
    except FastsrError:
        raise
    except Exception as error:
        if not is_shortage(error):
            raise
        raise VideoError(f"{name}: {SHORTAGE}") from error
