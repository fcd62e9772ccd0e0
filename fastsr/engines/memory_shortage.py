"""What engines say when memory runs out, or would."""

from __future__ import annotations

from pathlib import Path

from fastsr.available_memory import available
from fastsr.errors import EngineError
from fastsr.tiling.bounds import amount

SMALL = 256 << 20  # bytes that are taken without asking how many are free
SHARE = 0.9  # of what is free, that a run may be estimated to take


def out_of_memory(path: Path, height: int, width: int, remedy: str) -> str:
    """What to say when memory runs out on an image of this size."""
    return f"{path}: memory ran out on {width}x{height} pixels; {remedy}"


def bound(memory: int | None, needed: float) -> int | None:
    """Bytes that a run may take of which so many are needed: the user's bound, else what is free; None: enough."""
    if memory is not None or needed <= SMALL:
        return memory
    free = available()
    return None if free is None else int(free * SHARE)


def too_much(path: Path, height: int, width: int, needed: float, memory: int | None, remedy: str) -> EngineError:
    """That a frame would take more than there is; `memory`: the user's bound."""
    limit = "memory=" + amount(memory) if memory is not None else f"{amount(available() or 0)} free"
    return EngineError(
        f"{path}: {width}x{height} pixels would take about {amount(needed)} at once, of {limit}; {remedy}"
    )
