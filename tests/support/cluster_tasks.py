"""Tasks for tests of the pool, whose work is done on workers: numbers that are squared, and what kills its worker."""

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any

from fastsr.errors import ImageError


@dataclasses.dataclass(frozen=True)
class Squaring:
    number: int
    seconds: float
    fault: str
    log: Path

    def do(self, host: Any) -> tuple[int, int]:
        with self.log.open("a") as log:
            log.write(f"{self.number} {os.getpid()}\n")
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "raise":
            raise ImageError("is odd")
        if self.fault == "odd error":
            raise KeyError("x")
        if self.fault == "meet":
            self._meet()
        time.sleep(self.seconds)
        return self.number**2, os.getpid()

    def _meet(self) -> None:
        """Wait until three workers have begun something."""
        end = time.monotonic() + 120
        while len({line.split()[1] for line in self.log.read_text().splitlines()}) < 3:
            assert time.monotonic() < end, "the others did not come"
            time.sleep(0.05)


class NumberTask:
    def __init__(self, number, log, fault="", seconds=0.0, size=1000):
        self.deaths = 0
        self.name, self.size = f"number {number}", size
        self._work = Squaring(number, seconds, fault, log)

    def work(self, node):
        return self._work, 0

    def settled(self, done, node):
        return done

    def after_death(self):
        return None
