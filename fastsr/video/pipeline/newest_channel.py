"""A queue behind a source that does not wait: where it is full, the oldest item is left out."""

from __future__ import annotations

import collections
import time
from typing import TypeVar

from fastsr.deadline_stream import Clock
from fastsr.video.pipeline.channel import Channel, Stopped

T = TypeVar("T")


class NewestChannel(Channel[T]):
    """A channel whose sender never waits, and that tells since when the item taken last had been there."""

    def __init__(self, capacity: int, clock: Clock = time.monotonic) -> None:
        super().__init__(capacity)
        self.dropped = 0  #: items that were left out
        self._clock = clock
        self._times: collections.deque[float] = collections.deque()  # of what waits
        self._taken = 0.0

    def put(self, item: T) -> None:
        """Add an item, in the place of the oldest where there is no room. Raises Stopped."""
        with self._changed:
            if self._stopped:
                raise Stopped
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._times.popleft()
                self.dropped += 1
            self._items.append(item)
            self._times.append(self._clock())
            self._changed.notify_all()

    def available(self) -> float:
        """When the item that was taken last had come, by the clock."""
        return self._taken

    def _take(self) -> T:
        self._taken = self._times.popleft()
        return super()._take()
