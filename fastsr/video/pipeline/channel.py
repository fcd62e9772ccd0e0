"""A bounded queue between two stages that either of them can close."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """Another stage gave up the work."""


class Channel(Generic[T]):
    """A bounded queue from one thread to another that either end can close."""

    def __init__(self, capacity: int) -> None:
        self.waited_to_put = 0.0  #: seconds
        self.waited_to_take = 0.0  #: seconds
        self._capacity = capacity
        self._items: collections.deque[T] = collections.deque()
        self._changed = threading.Condition()
        self._finished = self._stopped = False

    def put(self, item: T) -> None:
        """Add an item, waiting for room. Raises Stopped."""
        with self._changed:
            begun = time.perf_counter()
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._capacity)
            self.waited_to_put += time.perf_counter() - begun
            if self._stopped:
                raise Stopped
            self._items.append(item)
            self._changed.notify_all()

    def check(self, *_: int) -> None:
        """Raise Stopped where the work was given up; as a callback that is told how much is done."""
        if self._stopped:
            raise Stopped

    def finish(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Wake both ends up for good, and forget what waits."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until the other end has finished. Raises Stopped."""
        while True:
            with self._changed:
                begun = time.perf_counter()
                self._changed.wait_for(lambda: self._stopped or bool(self._items) or self._finished)
                self.waited_to_take += time.perf_counter() - begun
                if self._stopped:
                    raise Stopped
                if not self._items:
                    return
                item = self._take()
                self._changed.notify_all()
            yield item

    def _take(self) -> T:
        """The oldest item, which is there."""
        return self._items.popleft()
