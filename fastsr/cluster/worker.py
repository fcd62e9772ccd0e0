"""A worker: a process on some machine of the cluster that does one piece of work after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import time
import warnings
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True)
class Place:
    """What a worker is given of its machine.

    Attributes:
        threads: of the native code.
        share: of the machine's memory that it may take.
        gpu: whether it has a GPU.

    """

    threads: int
    share: float
    gpu: bool


class Host(Protocol):
    """What work finds where it is done."""

    @property
    def place(self) -> Place:
        """What it may take of the machine."""
        ...

    @property
    def kept(self) -> dict[Any, Any]:
        """What pieces of work keep for the next ones."""
        ...

    def content(self, digest: str) -> bytes:
        """A file of the job, by its SHA-256."""
        ...


class Here:
    """What work finds that is done by the driver."""

    place = Place(threads=0, share=1.0, gpu=True)

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def content(self, digest: str) -> bytes:
        """Nothing is sent to one's own machine."""
        raise AssertionError(f"{digest}: a file of the driver's is not where it was")


class Work(Protocol):
    """A piece of work, as it travels to a worker."""

    def do(self, host: Host) -> Any:
        """Do it; what comes back travels to the driver. Whatever is raised does so too."""
        ...


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a piece of work.

    Attributes:
        value: what it gave; None where it failed.
        error: what it raised.
        errno: of the system's error behind it, which does not travel with it.
        warnings: what it warned of.
        seconds: that it took.

    """

    value: Any
    error: BaseException | None
    errno: int | None
    warnings: list[str]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Greeting:
    """What a worker says of itself: its installation (of `sameness`), its machine's name and its process."""

    installation: Any
    host: str
    pid: int


class Worker:
    """Does what it is given; keeps what is expensive to make for the next piece."""

    def __init__(self, place: Place, contents: dict[str, Any]) -> None:
        """`contents`: SHA-256 of a file -> Ray's reference to what it holds, fetched only where it is needed."""
        # read as the native code is loaded, which is after this
        os.environ["FASTSR_NUM_THREADS"] = str(place.threads)
        self.place = place
        self.kept: dict[Any, Any] = {}
        self._contents = contents

    def greet(self) -> Greeting:
        """Answered as soon as the worker is ready."""
        from fastsr.cluster.sameness import installation

        return Greeting(installation(), socket.gethostname(), os.getpid())

    def content(self, digest: str) -> bytes:
        """A file of the job, by its SHA-256."""
        from fastsr.cluster.ray_import import ray

        found = ray.get(self._contents[digest])
        assert isinstance(found, bytes)
        return found

    def do(self, pieces: list[Work]) -> list[Done]:
        """Do pieces of work, one after the other."""
        return [done(piece, self) for piece in pieces]


def done(piece: Work, host: Host) -> Done:
    """A piece of work, done, whatever came of it."""
    begun, value, failure = time.monotonic(), None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        try:
            value = piece.do(host)
        except Exception as error:
            failure = error
    told = [str(warning.message) for warning in caught]
    cause = None if failure is None else failure.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    return Done(value, _portable(failure), number, told, time.monotonic() - begun)


def _portable(error: Exception | None) -> BaseException | None:
    """An error as the driver can read it: of its own class if that travels, else with its class in its text."""
    if error is None:
        return None
    from fastsr.errors import FastsrError

    if isinstance(error, FastsrError):
        with contextlib.suppress(Exception):
            return type(error)(str(error))
    if isinstance(error, MemoryError):
        return MemoryError()
    return RuntimeError(f"{type(error).__name__}: {error}")
