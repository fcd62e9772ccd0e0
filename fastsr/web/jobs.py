"""Work that takes a while, in a thread of its own: how far it is, how it is stopped, whose turn it is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from fastsr.errors import FastsrError

ResultT = TypeVar("ResultT")
REPORT_SECONDS = 0.2  # between two looks at how far it is


class StoppedError(FastsrError):
    """The user stopped the work, or closed the page."""


class Job(Generic[ResultT]):
    """One piece of work. What it calls must call `report` often; that raises StoppedError once `stop` was called."""

    def __init__(self, work: Callable[[Job[ResultT]], ResultT], name: str = "") -> None:
        self.name, self.done, self.total = name, 0, 0
        self._work, self._stopped = work, threading.Event()
        self._first: tuple[float, int] | None = None  # when it was first told how much is done, and how much
        self._result: ResultT | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"job {name}", daemon=True)

    def report(self, done: int, total: int) -> None:
        """Note how much is done, and of how much; 0: unknown. Raises StoppedError."""
        if self._first is None:
            self._first = time.monotonic(), done
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raise StoppedError once the work is to stop."""
        if self.stopped:
            raise StoppedError("stopped")

    def stop(self) -> None:
        """Have it end soon, from any thread."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it is to end."""
        return self._stopped.is_set()

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def rate(self) -> float:
        """How much was done in a second, since it was first told; 0 before that is known."""
        if self._first is None or self.done <= self._first[1]:
            return 0.0
        return (self.done - self._first[1]) / max(1e-6, time.monotonic() - self._first[0])

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None while there is little to tell it from."""
        rate = self.rate
        return (self.total - self.done) / rate if rate and self.share > 0.02 else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def follow(self) -> Iterator[None]:
        """Come back now and then until it has ended."""
        while self.alive:
            yield
            self._thread.join(REPORT_SECONDS)

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


class Turns:
    """Lets one job compute at a time, in the order in which they ask."""

    def __init__(self) -> None:
        self._waiting: deque[object] = deque()  # the first of them has its turn
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def turn(self, job: Job[ResultT], patience: float | None = None) -> Iterator[None]:
        """Wait until it is this job's turn, which lasts to the end of the block.

        Raises StoppedError; also after waiting for more than `patience` seconds, if given.
        """
        ticket = self._enter(job, patience)
        try:
            yield
        finally:
            self._leave(ticket)

    @contextlib.contextmanager
    def long_turn(self, job: Job[ResultT]) -> Iterator[Callable[[], None]]:
        """A turn that others may interrupt where what is yielded is called; it comes back when it is this job's again.

        Both raise StoppedError.
        """
        tickets = [self._enter(job)]

        def let_others() -> None:
            if len(self._waiting) > 1:
                self._leave(tickets.pop())
                tickets.append(self._enter(job))

        try:
            yield let_others
        finally:
            for ticket in tickets:
                self._leave(ticket)

    def _enter(self, job: Job[ResultT], patience: float | None = None) -> object:
        ticket, begun = object(), time.monotonic()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket:
                    self._changed.wait(REPORT_SECONDS)
                    job.check()
                    if patience is not None and time.monotonic() - begun > patience:
                        raise StoppedError("others take too long")
            except BaseException:
                self._remove(ticket)
                raise
        return ticket

    def _leave(self, ticket: object) -> None:
        with self._changed:
            self._remove(ticket)

    def _remove(self, ticket: object) -> None:
        self._waiting.remove(ticket)
        self._changed.notify_all()


class Jobs:
    """The jobs at hand, by who began them, so that a button can stop them."""

    def __init__(self) -> None:
        self.turns = Turns()
        self._at_hand: dict[str, Job[Any]] = {}
        self._lock = threading.Lock()

    def begin(self, owner: str, job: Job[ResultT]) -> Job[ResultT]:
        """Start a job; the one that this owner began before is stopped."""
        with self._lock:
            self._at_hand = {key: other for key, other in self._at_hand.items() if other.alive}
            before = self._at_hand.get(owner)
            if before is not None:
                before.stop()
            job.start()
            self._at_hand[owner] = job
        return job

    def of(self, owner: str) -> Job[Any] | None:
        """The job of an owner that goes on."""
        with self._lock:
            job = self._at_hand.get(owner)
        return job if job is not None and job.alive else None

    def run(self, owner: str, job: Job[ResultT]) -> ResultT:
        """Do a job, and wait for it. Raises what the work raises, StoppedError among that."""
        for _ in self.begin(owner, job).follow():
            pass
        return job.result()

    def stop(self, owner: str) -> None:
        """Stop the job of an owner, if there is one."""
        job = self.of(owner)
        if job is not None:
            job.stop()
