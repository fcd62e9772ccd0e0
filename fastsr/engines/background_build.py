"""Serves with one engine until a better one has been built in the background."""

from __future__ import annotations

import concurrent.futures
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastsr.engines.protocol import GpuEngine, Pixels, PixelwiseMap, Progress
from fastsr.tiling.frame_part import FramePart


class UpgradingEngine:
    """An engine that is `first` until `build` has made another; if that fails, it stays, and says so once."""

    def __init__(self, first: GpuEngine, build: Callable[[], GpuEngine]) -> None:
        self._current = first
        self._lock = threading.Lock()
        self._built: concurrent.futures.Future[GpuEngine] = concurrent.futures.Future()
        # No daemon: a process may not end around a thread inside TensorRT, whose build stops by itself then.
        threading.Thread(target=self._work, args=(build,), name="fastsr-build").start()

    def _work(self, build: Callable[[], GpuEngine]) -> None:
        try:
            self._built.set_result(build())
        except BaseException as error:
            self._built.set_exception(error)

    def current(self) -> GpuEngine:
        """The engine that serves now."""
        with self._lock:
            if self._built.done() and not self._built.cancelled():
                error = self._built.exception()
                if error is None:
                    self._current = self._built.result()
                else:
                    warnings.warn(f"{self._current.name} goes on serving: {error}", RuntimeWarning, stacklevel=4)
                self._built = concurrent.futures.Future()  # looked at once
            return self._current

    @property
    def name(self) -> str:
        """Of the engine that serves now."""
        return self.current().name

    @property
    def precision(self) -> str:
        """Of the engine that serves now."""
        return self.current().precision

    @property
    def gpu(self) -> int:
        """See `FrameEngine.gpu`; both engines are on the same."""
        return self.current().gpu

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`."""
        return self.current().run(pixels, progress)

    def part_bands(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Iterator[Pixels]:
        """See `PartialEngine.part_bands`."""
        return self.current().part_bands(frame, part, convert, dtype, progress)

    def stream(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """Frames in order; the change to the better engine happens between two of them."""
        source = iter(frames)
        for first in source:
            engine = self.current()
            yield from engine.stream(self._while_serving(engine, first, source))

    def _while_serving(self, engine: GpuEngine, first: Pixels, source: Iterator[Pixels]) -> Iterator[Pixels]:
        yield first
        while self.current() is engine:
            try:
                yield next(source)
            except StopIteration:
                return

    def run_on_device(self, frame: Any, shape: tuple[int, int, int], out: Any, stream: Any) -> None:
        """See `FrameEngine.run_on_device`."""
        self.current().run_on_device(frame, shape, out, stream)
