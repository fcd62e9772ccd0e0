"""How a training step's time is shared among its parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the seconds spent in named parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the block as `name`. On a GPU it is the time to hand over the work: nothing is waited for."""
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def shares(self) -> dict[str, float]:
        """Share of each part in the whole, those that took any time."""
        total = sum(self.seconds.values())
        return {name: seconds / total for name, seconds in self.seconds.items() if seconds > 0.001 * total}

    def clear(self) -> None:
        """Start again from zero."""
        self.seconds.clear()
