"""Decode, upscale and encode side by side: a thread for each stage, with bounded queues between them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from fastsr.errors import VideoError
from fastsr.video.memory_shortage import SHORTAGE, is_shortage
from fastsr.video.pipeline.channel import Channel, Stopped

CAPACITY = 4  # frames that wait between two stages at most

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


@dataclasses.dataclass(frozen=True)
class StageTimes:
    """Seconds that each stage worked, without the time that it waited for another."""

    decode: float
    upscale: float
    encode: float


class Pipeline(Generic[A, B]):
    """Runs the stages until the last frame is encoded, or until one of them fails."""

    def __init__(
        self,
        name: str,
        wake: Callable[[], None] | None = None,
        capacity: int = CAPACITY,
        decoded: Channel[A] | None = None,
    ) -> None:
        """`name`: of the input, for messages. `wake`: ends a wait for input that the first stage may be in.

        `decoded`: the queue behind the first stage, where it is not one that waits for room.
        """
        self._name, self._wake = name, wake
        self._decoded: Channel[A] = Channel(capacity) if decoded is None else decoded
        self._upscaled: Channel[B] = Channel(capacity)
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._seconds = {"decode": 0.0, "upscale": 0.0, "encode": 0.0}

    def run(
        self,
        decode: Iterable[A],
        upscale: Callable[[Iterable[A], Callable[[B], None]], None],
        encode: Callable[[Iterable[B]], None],
    ) -> StageTimes:
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
        waited = self._decoded.waited_to_take + self._upscaled.waited_to_put
        return StageTimes(
            self._seconds["decode"] - self._decoded.waited_to_put,
            self._seconds["upscale"] - waited,
            self._seconds["encode"] - self._upscaled.waited_to_take,
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
        self._upscaled.stop()
        if self._wake is not None:
            self._wake()

    def _decode(self, frames: Iterable[A], done: list[int]) -> None:
        for frame in frames:
            self._decoded.put(frame)
            done[0] += 1
        self._decoded.finish()

    def _upscale(self, work: Callable[[Iterable[A], Callable[[B], None]], None], done: list[int]) -> None:
        def put(made: B) -> None:
            self._upscaled.put(made)
            done[0] += 1

        work(self._decoded, put)
        self._upscaled.finish()

    def _encode(self, work: Callable[[Iterable[B]], None], done: list[int]) -> None:
        def counted() -> Iterator[B]:
            for made in self._upscaled:
                yield made
                done[0] += 1

        work(counted())
