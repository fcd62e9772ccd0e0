"""What the command prints, and the standard streams it prints to."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

# Control, format and lone surrogate characters, line and paragraph separators.
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def settle_streams() -> None:
    """Put something in the place of standard streams that are closed.

    Else the next file that is opened would get their number, and what a library prints with it; and Python has None for
    them, which few expect. Reading gives nothing, writing to standard output fails, standard error swallows all.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest number that is free
    # not by number: where Python found a stream closed, another file may have taken it since
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


@contextlib.contextmanager
def libraries_silenced() -> Iterator[None]:
    """Throw away what C libraries print to standard error themselves: libtiff does, of damage that Pillow reports."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def abandon(stream: TextIO) -> None:
    """Write nothing more to a stream that nobody reads; Python flushes once more at its end, which must not fail."""
    with contextlib.suppress(io.UnsupportedOperation):  # a stream of a caller's own, without a descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def printable(text: str) -> str:
    """Text in one line that steers no terminal: names of files may hold any character."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _STEERING else c for c in text
    )


def say(text: str, stream: TextIO | None = None) -> bool:
    """Print, messages for standard error as one line; False when it cannot be, after which nothing else is written."""
    stream = stream or sys.stdout
    lines = text.split("\n") if stream is sys.stdout else [text]
    return write("\n".join(map(printable, lines)) + "\n", stream)


def write(text: str, stream: TextIO) -> bool:
    """Print text as it is, as far as the stream's encoding has it; returns as `say` does."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        return _given_up(stream, error)
    return True


def _given_up(stream: TextIO, error: OSError) -> bool:
    abandon(stream)
    if stream is sys.stdout and not isinstance(error, BrokenPipeError):
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        say(f"fastsr: standard output: cannot be written ({reason}); redirect it elsewhere", sys.stderr)
    return False
