"""Three stages side by side (decode, upscale, encode), each a thread, with bounded queues between them."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from fastsr.errors import VideoError
from fastsr.video.memory import SHORTAGE, is_shortage

ROOM = 4  # frames that wait between two stages at most

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


class Stopped(Exception):
    """Work was given up elsewhere."""


class Channel(Generic[T]):
    """A bounded queue from one thread to another that either end can close."""

    def __init__(self, room: int) -> None:
        self.waited_to_put = 0.0  #: seconds
        self.waited_to_take = 0.0  #: seconds
        self._room = room
        self._items: collections.deque[T] = collections.deque()
        self._changed = threading.Condition()
        self._finished = self._stopped = False

    def put(self, item: T) -> None:
        """Add an item, waiting for room. Raises Stopped."""
        with self._changed:
            begun = time.perf_counter()
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._room)
            self.waited_to_put += time.perf_counter() - begun
            if self._stopped:
                raise Stopped
            self._items.append(item)
            self._changed.notify_all()

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
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


@dataclasses.dataclass(frozen=True)
class Busy:
    """Seconds that each stage worked, without the time that it waited for another."""

    decode: float
    upscale: float
    encode: float


class Pipeline(Generic[A, B]):
    """Runs the stages until the last frame is encoded, or until one of them fails."""

    def __init__(self, name: str, wake: Callable[[], None] | None = None, room: int = ROOM) -> None:
        """`name`: of the input, for messages. `wake`: ends a wait for input that the first stage may be in."""
        self._name, self._wake = name, wake
        self._decoded: Channel[A] = Channel(room)
        self._made: Channel[B] = Channel(room)
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._seconds = {"decode": 0.0, "upscale": 0.0, "encode": 0.0}

    def run(
        self,
        decode: Iterable[A],
        upscale: Callable[[Iterable[A], Callable[[B], None]], None],
        encode: Callable[[Iterable[B]], None],
    ) -> Busy:
        """Hand what `decode` yields to `upscale`, and what that puts to `encode`, which runs in the calling thread.

        Raises VideoError, naming the stage and the frame (from 0, in the order of work), for whatever a stage raises;
        KeyboardInterrupt and SystemExit pass as they are. In any case all threads have ended before this returns.
        """
        threads = [
            threading.Thread(target=self._stage, args=("decode", self._decode, decode), name="fastsr decode"),
            threading.Thread(target=self._stage, args=("upscale", self._upscale, upscale), name="fastsr upscale"),
        ]
        try:
            for thread in threads:
                thread.start()
            self._stage("encode", self._encode, encode)
        finally:
            self._stop()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        if self._failure is not None:
            raise self._failure
        waited = self._decoded.waited_to_take + self._made.waited_to_put
        return Busy(
            self._seconds["decode"] - self._decoded.waited_to_put,
            self._seconds["upscale"] - waited,
            self._seconds["encode"] - self._made.waited_to_take,
        )

    def _stage(self, stage: str, work: Callable[[T, list[int]], None], argument: T) -> None:
        begun, done = time.perf_counter(), [0]
        try:
            work(argument, done)
        except Stopped:
            pass  # whoever stopped knows why
        except Exception as error:
            self._fail(stage, done[0], error)
        except BaseException as error:
            if threading.current_thread() is threading.main_thread():
                raise
            self._fail(stage, done[0], error)
        finally:
            self._seconds[stage] = time.perf_counter() - begun

    def _fail(self, stage: str, frame: int, error: BaseException) -> None:
        with self._lock:
            if self._failure is None:
                text = SHORTAGE if is_shortage(error) else str(error) or type(error).__name__
                self._failure = VideoError(f"{self._name}: {stage}, frame {frame}: {text}")
                self._failure.__cause__ = error
        self._stop()

    def _stop(self) -> None:
        self._decoded.stop()
        self._made.stop()
        if self._wake is not None:
            self._wake()

    def _decode(self, frames: Iterable[A], done: list[int]) -> None:
        for frame in frames:
            self._decoded.put(frame)
            done[0] += 1
        self._decoded.finish()

    def _upscale(self, work: Callable[[Iterable[A], Callable[[B], None]], None], done: list[int]) -> None:
        def put(made: B) -> None:
            self._made.put(made)
            done[0] += 1

        work(self._decoded, put)
        self._made.finish()

    def _encode(self, work: Callable[[Iterable[B]], None], done: list[int]) -> None:
        def counted() -> Iterator[B]:
            for made in self._made:
                yield made
                done[0] += 1

        work(counted())
