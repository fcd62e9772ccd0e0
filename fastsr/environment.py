"""Environment variables that the native code reads, checked before it does."""

from __future__ import annotations

import os
import re

from fastsr import _core
from fastsr.errors import EngineError


def check() -> None:
    """Raise EngineError, naming the variable and what it may be, for a FASTSR_ISA or FASTSR_NUM_THREADS of no use."""
    isa = os.environ.get("FASTSR_ISA", "")
    known = _core.available_isas()
    if isa and isa not in known:
        raise EngineError(
            f"FASTSR_ISA={isa!r} is not available here; unset it, or set it to one of: {', '.join(known)}"
        )
    threads = os.environ.get("FASTSR_NUM_THREADS", "")
    if threads and (not re.fullmatch(r"[0-9]{1,9}", threads) or int(threads) < 1):
        raise EngineError(
            f"FASTSR_NUM_THREADS={threads!r} is not a number of threads; unset it, or set it to a whole number of at "
            "least 1"
        )
