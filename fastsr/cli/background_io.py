"""Reading the next input and writing the last result while the caller's thread enlarges."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")


class Timed(Generic[Read]):
    """What a call gives, and how many seconds it took in its thread."""

    def __init__(self, call: Callable[[], Read]) -> None:
        begun = time.monotonic()
        self.value = call()
        self.seconds = time.monotonic() - begun


def read_ahead(
    read: Callable[[Item], Read], items: Sequence[Item], ahead: Callable[[Item], bool]
) -> Iterator[tuple[Item, Callable[[], Timed[Read]]]]:
    """Each item, and what waits for it to be read, raising what reading it raises.

    While an item is worked on the next one is read in another thread, if `ahead` is true of it, and no more than that.
    """
    with ThreadPoolExecutor(1, "fastsr-read") as pool:
        begun: Future[Timed[Read]] | None = None
        for index, item in enumerate(items):
            reading = begun.result if begun is not None else lambda item=item: Timed(lambda: read(item))
            following = items[index + 1] if index + 1 < len(items) else None
            begun = None
            if following is not None and ahead(following):
                begun = pool.submit(lambda item=following: Timed(lambda: read(item)))  # type: ignore[misc]
            yield item, reading  # type: ignore[misc]


class Writer:
    """Runs calls one after the other in a thread, and what is to be told of each in the caller's, in order."""

    def __init__(self, threaded: bool) -> None:
        """Not `threaded`, calls run in the caller's thread, at once."""
        self._pool = ThreadPoolExecutor(1, "fastsr-write") if threaded else None
        self._waiting: deque[tuple[Future[Timed[None]], Callable[[Callable[[], Timed[None]]], None]]] = deque()

    def submit(self, write: Callable[[], None], tell: Callable[[Callable[[], Timed[None]]], None]) -> None:
        """Begin a call; `tell` is later given what waits for it, raising what the call raises.

        Waits for the call before, so that no more than two results are there at a time.
        """
        if self._pool is None:
            tell(lambda: Timed(write))
            return
        self._waiting.append((self._pool.submit(lambda: Timed(write)), tell))
        self.settle(1)

    def settle(self, left: int = 0) -> None:
        """Wait until so many calls at most are not done and told of."""
        while self._waiting and (len(self._waiting) > left or self._waiting[0][0].done()):
            future, tell = self._waiting.popleft()
            tell(future.result)

    def close(self) -> None:
        """Let what has begun end, and tell of what went well: for when something else has ended the run."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        while self._waiting:
            future, tell = self._waiting.popleft()
            if not future.cancelled() and future.exception() is None:
                tell(future.result)
