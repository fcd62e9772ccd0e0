"""What the command prints."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def abandon(stream: TextIO) -> None:
    """Write nothing more to a stream that nobody reads; Python flushes once more at its end, which must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str, stream: TextIO | None = None) -> bool:
    """Print; False when nobody reads any more, after which nothing else is written there."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        abandon(stream)
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            say(f"fastsr: standard output: cannot be written ({error.strerror}); redirect it elsewhere", sys.stderr)
        return False
    return True
