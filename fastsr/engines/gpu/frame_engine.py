"""Frames through a network on one GPU: tiles gathered, run and scattered there, copies beside the computing.

A frame is cut into bands, one for each row of windows, so that device memory grows with a frame's width alone. Bands go
through two slots in turn: while one is computed, the next is copied up and the one before is copied down. What runs on
the device for a band (gather, network, scatter) is captured in a CUDA graph the second time that it is seen.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastsr import ops
from fastsr.engines.protocol import Pixels, Progress
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.network.output_head import HeadlessGraph
from fastsr.tiling.windows import Windows

SLOTS = 2
FULL = 1 << 18  # input pixels that keep a GPU busy; smaller windows are run several at a time
LARGEST_WINDOW = 2048  # side; larger ones gain nothing
MEMORY_SHARE = 0.6  # of the free device memory, for a batch of windows; the rest is for frames, and for others
PINNED_LIMIT = 256 << 20  # results up to here are page-locked themselves; larger ones are copied out of a slot

Array = Any  # on the device: what `Device.empty` makes, or a caller's own (see fastsr.ops.cuda_arrays)


class Device(Protocol):
    """Memory, streams and graphs of one GPU, by a library made for them. Usable from any thread."""

    index: int  # of the GPU

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An uninitialised array on the device; slices of its first axis are views."""
        ...

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An uninitialised page-locked array on the host."""
        ...

    def stream(self) -> Any:
        """A new queue of work."""
        ...

    def copy(self, target: Any, source: Any, stream: Any) -> None:
        """Queue a copy between a page-locked array and a device array of the same shape and dtype, either way."""
        ...

    def record(self, stream: Any) -> Any:
        """An event that happens once what is queued so far is done."""
        ...

    def wait(self, stream: Any, event: Any) -> None:
        """Let what is queued from now on wait for an event."""
        ...

    def sync(self, event: Any) -> None:
        """Block until an event has happened."""
        ...

    def capture(self, work: Callable[[], None], stream: Any) -> Callable[[], None]:
        """Record what `work` queues on `stream`, without running it; the result queues it again in one call."""
        ...

    def free_memory(self) -> int:
        """Bytes that could be allocated now."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether `error` says that device memory ran out."""
        ...

    def release(self) -> None:
        """Give memory that is held but not used back to the device."""
        ...


class Prepared(Protocol):
    """A network ready for batches of one shape."""

    @property
    def x(self) -> Array:
        """What to fill: N x C x h x w, or N x h x w x C with layout "NHWC"."""
        ...

    def run(self, stream: Any) -> Array:
        """Queue the network on `x`; returns where its output will be, until the next run."""
        ...


class Network(Protocol):
    """A generator (or what `without_output_head` left of it) on one GPU."""

    @property
    def dtype(self) -> npt.DTypeLike:
        """Of the batches."""
        ...

    @property
    def layout(self) -> str:
        """Of the batches: "NCHW" or "NHWC"."""
        ...

    @property
    def limits(self) -> tuple[int, int, int]:
        """The largest batch, height and width."""
        ...

    def need(self, batch: int, height: int, width: int) -> int:
        """Bytes of device memory that a batch of this shape takes, as measured; nothing is prepared from then on."""
        ...

    def prepare(self, batch: int, height: int, width: int) -> Prepared:
        """Get ready for a shape; what was prepared before may not be used any more."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class _Band:
    """One row of windows; everything in input pixels, windows relative to the band's first row."""

    start: int
    rows: int
    core_start: int
    core_end: int
    windows: npt.NDArray[np.int64]


_Kind = tuple[tuple[int, int, int], np.dtype[Any]]  # shape and dtype of a band before it is enlarged


class _Slot:
    """Buffers of one band on its way."""

    def __init__(self, device: Device, kind: _Kind, scale: int) -> None:
        (rows, width, channels), dtype = kind
        self.kind = kind
        self.host_low = device.pinned((rows, width, channels), dtype)
        self.low = device.empty((rows, width, channels), dtype)
        self.high = device.empty((rows * scale, width * scale, channels), dtype)
        self.host_high: npt.NDArray[Any] | None = None  # made where a result is not page-locked itself


@dataclasses.dataclass
class _Result:
    """A frame that is being made."""

    pixels: Pixels
    pinned: bool


@dataclasses.dataclass
class _Pending:
    """A band that is under way."""

    slot: _Slot
    band: _Band
    result: _Result
    done: Any
    last: bool


class FrameEngine(Windows):
    """An engine on a GPU; see the module."""

    def __init__(
        self,
        name: str,
        graph: Graph,
        headless: HeadlessGraph,
        network: Network,
        device: Device,
        precision: str,
        tile: int | None,
    ) -> None:
        self.name, self.precision = name, precision
        super().__init__(graph, tile)
        self.headless, self.network, self.device = headless, network, device
        most, *sides = network.limits
        self._batch = most  # windows at once, at most
        if graph.fixed_size is None and graph.radius is not None:
            if tile is None:
                self.tile = (LARGEST_WINDOW, LARGEST_WINDOW)
            elif tile > min(sides):
                raise EngineError(f"tile {tile} is larger than the {sides[1]}x{sides[0]} that the engine was built for")
            self._limit(*sides)
            if tile is None:
                self._fit()
        self._upload, self._compute, self._download = device.stream(), device.stream(), device.stream()
        self._lock = threading.RLock()  # around whatever queues work on the compute stream
        self._prepared: tuple[tuple[int, int, int], Prepared] | None = None
        self._programs: dict[object, _Program] = {}
        self._idle: dict[object, list[_Slot]] = collections.defaultdict(list)

    def _limit(self, height: int, width: int) -> None:
        """Make windows at most this large."""
        step = self.graph.alignment
        height, width = (min(a, b) // step * step for a, b in zip(self.tile, (height, width), strict=True))
        if min(height, width) < self.smallest:
            raise EngineError(
                f"{self.graph.name}: windows of {width}x{height} pixels are too small; {self.smallest} are needed"
            )
        self.tile = (height, width)

    @property
    def gpu(self) -> int:
        """Number of the GPU that it runs on."""
        return self.device.index

    def _fit(self) -> None:
        """Make windows, then batches, as small as the free memory asks by what the network is measured to take."""
        most = int(self.device.free_memory() * MEMORY_SHARE)
        while min(self.tile) >= 2 * self.smallest and self.network.need(self._least_batch, *self.tile) > most:
            self._limit(*(side * 3 // 4 for side in self.tile))
        while self._batch > 1 and self.network.need(self._at_once(self.tile), *self.tile) > most:
            self._batch //= 2

    @property
    def _least_batch(self) -> int:
        return self.graph.fixed_batch or 1

    def _at_once(self, window: tuple[int, int]) -> int:
        """How many windows of a size go through the network together, if there are so many."""
        return self.graph.fixed_batch or min(self._batch, max(1, FULL // math.prod(window)))

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`."""
        (made,) = self._through([pixels], progress)
        return made

    def stream(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """Each frame enlarged, in order; while one is computed, the next is taken from `frames` and copied."""
        return self._through(frames, None)

    def run_on_device(self, frame: Array, shape: tuple[int, int, int], out: Array, stream: Any) -> None:
        """Enlarge `frame`, an H x W x C device array, into `out`, in order on `stream`; the host does not wait."""
        height, width, _ = shape
        with self._lock:
            self.device.wait(self._compute, self.device.record(stream))
            for band in self._bands_in_turn(height, width):
                self._band_between(frame, out, band, self.plan(height, width).window)
            self.device.wait(stream, self.device.record(self._compute))

    # ---- frames in host memory --------------------------------------------------------------------------------------

    def _through(self, frames: Iterable[Pixels], progress: Progress | None) -> Iterator[Pixels]:
        waiting: collections.deque[_Pending] = collections.deque()
        try:
            for frame in frames:
                height, width, channels = frame.shape
                result = self._result(height, width, channels, frame.dtype)
                done = 0
                while done < height:
                    bands = [b for b in self._bands(height, width) if b.core_end > done]
                    try:
                        total, made = sum(len(b.windows) for b in bands), 0
                        for band in bands:
                            if len(waiting) == SLOTS:
                                yield from self._finish(waiting.popleft())
                            waiting.append(self._start(frame, band, result, last=band is bands[-1]))
                            done, made = band.core_end, made + len(band.windows)
                            if progress is not None:
                                progress(made, total)
                    except Exception as error:
                        if not self.device.is_out_of_memory(error):
                            raise
                        for pending in list(waiting):
                            waiting.popleft()
                            yield from self._finish(pending)
                        self._halve(error)
            while waiting:
                yield from self._finish(waiting.popleft())
        finally:
            for pending in waiting:  # the caller stopped early, or something failed
                self.device.sync(pending.done)

    def _result(self, height: int, width: int, channels: int, dtype: npt.DTypeLike) -> _Result:
        shape = (height * self.graph.scale, width * self.graph.scale, channels)
        if math.prod(shape) * np.dtype(dtype).itemsize <= PINNED_LIMIT:
            return _Result(self.device.pinned(shape, dtype), True)
        return _Result(np.empty(shape, dtype), False)

    def _start(self, frame: Pixels, band: _Band, result: _Result, last: bool) -> _Pending:
        device, scale = self.device, self.graph.scale
        slot = self._slot(frame, band)
        np.copyto(slot.host_low[: band.rows], frame[band.start : band.start + band.rows])
        with self._lock:
            device.copy(slot.low[: band.rows], slot.host_low[: band.rows], self._upload)
            device.wait(self._compute, device.record(self._upload))
            self._band_in(slot, band, self.plan(*frame.shape[:2]).window)
            device.wait(self._download, device.record(self._compute))
            device.copy(self._target(slot, band, result), slot.high[_core(band, scale)], self._download)
            done = device.record(self._download)
        return _Pending(slot, band, result, done, last)

    def _target(self, slot: _Slot, band: _Band, result: _Result) -> npt.NDArray[Any]:
        scale = self.graph.scale
        if result.pinned:
            return result.pixels[band.core_start * scale : band.core_end * scale]
        if slot.host_high is None:
            slot.host_high = self.device.pinned(slot.high.shape, result.pixels.dtype)
        return slot.host_high[_core(band, scale)]

    def _finish(self, pending: _Pending) -> Iterator[Pixels]:
        """Wait for a band; the frame, if that was its last."""
        self.device.sync(pending.done)
        band, slot, scale = pending.band, pending.slot, self.graph.scale
        if not pending.result.pinned:
            assert slot.host_high is not None
            rows = slice(band.core_start * scale, band.core_end * scale)
            np.copyto(pending.result.pixels[rows], slot.host_high[_core(band, scale)])
        with self._lock:
            self._idle[slot.kind].append(slot)
        if pending.last:
            yield pending.result.pixels

    def _slot(self, frame: Pixels, band: _Band) -> _Slot:
        height, width, channels = frame.shape
        kind = (min(height, self.plan(height, width).window[0]), width, channels), frame.dtype
        with self._lock:
            if self._idle[kind]:
                return self._idle[kind].pop(0)  # the one that has rested longest: slots take turns
            if len(self._idle) > 1:  # frames of another size came before
                self._forget()
                self._idle.clear()
            return _Slot(self.device, kind, self.graph.scale)

    # ---- windows ----------------------------------------------------------------------------------------------------

    def _bands(self, height: int, width: int) -> list[_Band]:
        plan = self.plan(height, width)
        bands = []
        for row in plan.rows:
            core_end = min(row.core_end, height)  # rows and columns that only alignment added are dropped
            if row.core_start >= core_end:
                continue
            windows = np.array(
                [
                    (0, c.start, row.core_start - row.start, c.core_start, core_end - row.start, min(c.core_end, width))
                    for c in plan.columns
                    if c.core_start < width
                ],
                np.int64,
            )
            rows = min(row.length, height - row.start)
            bands.append(_Band(row.start, rows, row.core_start, core_end, windows))
        return bands

    def _bands_in_turn(self, height: int, width: int) -> Iterator[_Band]:
        """All bands of a frame; when memory runs out for one, smaller windows from there on."""
        done = 0
        while done < height:
            for band in [b for b in self._bands(height, width) if b.core_end > done]:
                try:
                    self._prepare(band, self.plan(height, width).window)
                except Exception as error:
                    if not self.device.is_out_of_memory(error):
                        raise
                    self._halve(error)
                    break
                yield band
                done = band.core_end

    def _halve(self, error: Exception) -> None:
        """Go on with one window at a time, then half its side. Raises EngineError when nothing smaller is possible."""
        with self._lock:
            self._forget()
            self._idle.clear()
            self._prepared = None
            self.device.release()
            if self._batch > 1:
                self._batch = 1
                return
            height, width = (side // 2 for side in self.tile)  # buffers grow with the one, the network with both
            possible = self.graph.fixed_size is None and self.graph.radius is not None
            if not possible or min(height, width) < 2 * self.smallest:
                raise EngineError(
                    f"{self.graph.name}: the GPU's memory does not hold a window of {self.tile[1]}x{self.tile[0]} "
                    f"pixels, and smaller ones are not possible; free memory or use device='cpu' ({error})"
                ) from None
            self._limit(height, width)

    # ---- on the device ----------------------------------------------------------------------------------------------

    def _prepare(self, band: _Band, window: tuple[int, int]) -> Prepared:
        batch = self.graph.fixed_batch or min(self._at_once(window), len(band.windows))
        key = (batch, *window)
        if self._prepared is None or self._prepared[0] != key:
            self._forget()
            self._prepared = None
            self._prepared = key, self.network.prepare(*key)
        return self._prepared[1]

    def _forget(self) -> None:
        """Drop all graphs, once nothing runs any more that they or their buffers belong to."""
        self.device.sync(self.device.record(self._compute))
        self._programs.clear()

    def _band_in(self, slot: _Slot, band: _Band, window: tuple[int, int]) -> None:
        """Queue a band in a slot. Its buffers stay where they are, so all of it can be captured."""
        prepared = self._prepare(band, window)
        low, high = slot.low[: band.rows], slot.high[: band.rows * self.graph.scale]

        def work() -> None:
            self._queue(low, high, band.windows, window, prepared.x, lambda: prepared.run(self._compute))

        self._program((id(slot), band.rows, band.windows.tobytes()), work, slot)

    def _band_between(self, frame: Array, out: Array, band: _Band, window: tuple[int, int]) -> None:
        """Queue a band between a caller's arrays, which may lie elsewhere each time: only the network is captured."""
        prepared = self._prepare(band, window)
        windows = band.windows + np.array([1, 0, 1, 0, 1, 0]) * band.start

        def network() -> Array:
            return self._program("network", lambda: prepared.run(self._compute))

        self._queue(frame, out, windows, window, prepared.x, network)

    def _queue(
        self,
        low: Array,
        high: Array,
        windows: npt.NDArray[np.int64],
        window: tuple[int, int],
        x: Array,
        network: Callable[[], Array],
    ) -> None:
        layout, headless = self.network.layout, self.headless
        between = self.graph.scale // headless.factor
        batch = self._prepared[0][0] if self._prepared else 1
        for first in range(0, len(windows), batch):
            # The last batch is filled up with its last window, which is then stored more than once, the same each time.
            chosen = windows[np.minimum(np.arange(first, first + batch), len(windows) - 1)]
            ops.tile_gather(
                low, chosen[:, :2], window, dtype=self.network.dtype, layout=layout, out=x, stream=self._compute
            )
            y = network()
            ops.tile_scatter(
                y,
                chosen * between,
                high,
                headless.factor,
                headless.residual,
                low if headless.residual != "none" else None,
                layout=layout,
                stream=self._compute,
            )

    def _program(self, key: object, work: Callable[[], Any], *owned: object) -> Any:
        """Queue `work`: as it is the first time, captured the second, by its graph from then on. Returns its result.

        `owned` lives as long as the graph.
        """
        program = self._programs.get(key)
        if program is None:
            self._programs[key] = _Program(owned)
            return work()
        if program.launch is None:
            program.launch = self.device.capture(lambda: program.keep(work()), self._compute)
        program.launch()
        return program.result


@dataclasses.dataclass
class _Program:
    """Work that was seen, and its graph once it was seen twice."""

    owned: tuple[object, ...]
    launch: Callable[[], None] | None = None
    result: Any = None

    def keep(self, result: Any) -> None:
        self.result = result


def _core(band: _Band, scale: int) -> slice:
    """The rows that a band is trusted for, of its enlarged buffer."""
    return slice((band.core_start - band.start) * scale, (band.core_end - band.start) * scale)
