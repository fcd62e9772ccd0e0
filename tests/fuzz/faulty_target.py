"""A target that does what none should, so that the tests see each kind of fault found."""

import os
import signal

from fastsr.errors import FastsrError
from fuzz.target import Target

FAULTS = {
    b"crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    b"hang": lambda: sum(iter(int, 1)),  # adds zeros for ever
    b"memory": lambda: bytearray(200 << 20),
    b"error": lambda: [].pop(),
}


def run(content: bytes, folder) -> None:
    """As the content says."""
    (folder / "left over").write_bytes(content)
    if content == b"refused":
        raise FastsrError("no")
    if content in FAULTS:
        FAULTS[content]()


def make(draw) -> bytes:
    """One of all; most are fine."""
    return draw.choice((*FAULTS, b"refused", *[b"fine"] * 15))


TARGET = Target(make, run, megabytes=100, seconds=2)
