"""The first bytes of standard input, looked at before it is known who reads it: images or video."""

from __future__ import annotations

import os
import sys

_PIECE = 4096

_ahead = b""


def peek(count: int) -> bytes:
    """At least `count` of the first bytes, less where there are no more; they are kept for `taken`."""
    global _ahead
    try:
        descriptor = sys.stdin.buffer.fileno()
        while len(_ahead) < count and (piece := os.read(descriptor, _PIECE)):
            _ahead += piece
    except (AttributeError, OSError, ValueError):  # no file of the system; who reads it tells why not
        pass
    return _ahead


def taken() -> bytes:
    """What was looked at; who reads on from the descriptor puts it before that."""
    global _ahead
    given, _ahead = _ahead, b""
    return given
