"""Work that takes a while, in a thread of its own: how far it is, and how it is stopped before its end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from fastsr.errors import FastsrError

ResultT = TypeVar("ResultT")
REPORT_SECONDS = 0.2  # between two looks at how far it is


class StoppedError(FastsrError):
    """The user stopped the work, or closed the page."""


class Job(Generic[ResultT]):
    """One piece of work. What it calls must call `report` often; that raises StoppedError once `stop` was called."""

    def __init__(self, work: Callable[[Job[ResultT]], ResultT], name: str = "") -> None:
        self.name, self.started = name, time.monotonic()
        self.done, self.total = 0, 0
        self._work, self._stopped = work, threading.Event()
        self._result: ResultT | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"job {name}", daemon=True)

    def report(self, done: int, total: int) -> None:
        """Note how much is done, and of how much. Raises StoppedError."""
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raise StoppedError once the work is to stop."""
        if self._stopped.is_set():
            raise StoppedError("stopped")

    def stop(self) -> None:
        """Have it end soon, from any thread."""
        self._stopped.set()

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.monotonic() - self.started

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def follow(self) -> Iterator[None]:
        """Begin, and come back now and then until it has ended; it is stopped where the follower leaves before."""
        self._thread.start()
        try:
            while self._thread.is_alive():
                yield
                self._thread.join(REPORT_SECONDS)
        finally:
            self.stop()

    def result(self) -> ResultT:
        """What came out, once it has ended. Raises what the work raised."""
        if self._fault is not None:
            raise self._fault
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self.check()
            self._result = self._work(self)
        except BaseException as error:  # handed to whoever asks for the result
            self._fault = error


class Jobs:
    """The jobs at hand, by who began them, so that a button can stop them; only one computes at a time."""

    def __init__(self) -> None:
        self._at_hand: dict[str, set[Job]] = {}  # type: ignore[type-arg]
        self._lock = threading.Lock()
        self._computing = threading.Lock()

    @contextlib.contextmanager
    def listed(self, owner: str, job: Job[ResultT]) -> Iterator[Job[ResultT]]:
        """Have `stop` of its owner reach a job."""
        with self._lock:
            self._at_hand.setdefault(owner, set()).add(job)
        try:
            yield job
        finally:
            with self._lock:
                self._at_hand[owner].discard(job)
                if not self._at_hand[owner]:
                    del self._at_hand[owner]

    def run(self, owner: str, job: Job[ResultT]) -> ResultT:
        """Do a job, and wait for it. Raises what the work raises, StoppedError among that."""
        with self.listed(owner, job):
            for _ in job.follow():
                pass
        return job.result()

    def stop(self, owner: str) -> int:
        """Stop all jobs of an owner; returns how many."""
        with self._lock:
            jobs = list(self._at_hand.get(owner, ()))
        for job in jobs:
            job.stop()
        return len(jobs)

    @contextlib.contextmanager
    def computing(self, job: Job[ResultT]) -> Iterator[None]:
        """Wait until no other job computes. Raises StoppedError."""
        while not self._computing.acquire(timeout=REPORT_SECONDS):
            job.check()
        try:
            yield
        finally:
            self._computing.release()
