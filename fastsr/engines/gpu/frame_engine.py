"""Frames through a network on one GPU: tiles gathered, run and scattered there, copies beside the computing.

A frame is cut into bands (bands.py), of windows as large as memory allows (window_budget.py). Bands go
through two slots in turn: while one is computed, the next is copied up and the one before is copied down. What runs on
the device for a band (gather, network, scatter) is captured in a CUDA graph the second time that it is seen. In a
stream, windows that repeat what they showed in the frame before are left out (window_reuse.py).
"""

from __future__ import annotations

import collections
import dataclasses
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import ops
from fastsr.engines.excerpt import check_part, sources
from fastsr.engines.gpu.bands import Band, bands_of
from fastsr.engines.gpu.device import Array, Device, Network, Prepared
from fastsr.engines.gpu.window_budget import WindowBudget
from fastsr.engines.gpu.window_reuse import FollowedFrame, WindowReuse
from fastsr.engines.protocol import Pixels, PixelwiseMap, Progress
from fastsr.network.graph import Graph
from fastsr.network.output_head import HeadlessGraph
from fastsr.tiling.frame_part import FramePart

SLOTS = 2
PINNED_LIMIT = 256 << 20  # results up to here are page-locked themselves; larger ones are copied out of a slot

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
    followed: FollowedFrame | None = None  # in a stream


@dataclasses.dataclass
class _Pending:
    """A band that is under way. Where all of its windows repeat, it has neither slot nor event."""

    slot: _Slot | None
    band: Band
    result: _Result
    done: Any
    last: bool
    repeated: npt.NDArray[np.int64]  # windows whose results
    before: FollowedFrame | None  # this frame has


class FrameEngine:
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
        overlap: int | None = None,
        memory: int | None = None,
    ) -> None:
        """`tile`, `overlap`, `memory`: as for `WindowBudget`."""
        self.name, self.precision, self.graph = name, precision, graph
        self.headless, self.network, self.device = headless, network, device
        self.budget = WindowBudget(graph, network, device, tile, overlap, memory)
        self._upload, self._compute, self._download = device.stream(), device.stream(), device.stream()
        self._lock = threading.RLock()  # around whatever queues work on the compute stream
        self._prepared: tuple[tuple[int, int, int], Prepared] | None = None
        self._programs: dict[object, _Program] = {}
        self._idle: dict[object, list[_Slot]] = collections.defaultdict(list)

    @property
    def gpu(self) -> int:
        """Number of the GPU that it runs on."""
        return self.device.index

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`."""
        (made,) = self._through([pixels], progress, None)
        return made

    def stream(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """Each frame enlarged, in order; while one is computed, the next is taken from `frames` and copied."""
        return self._through(frames, None, WindowReuse())

    def run_on_device(self, frame: Array, shape: tuple[int, int, int], out: Array, stream: Any) -> None:
        """Enlarge `frame`, an H x W x C device array, into `out`, in order on `stream`; the host does not wait."""
        height, width, _ = shape
        with self._lock:
            self.device.wait(self._compute, self.device.record(stream))
            for band in self._bands_in_turn(height, width):
                self._band_between(frame, out, band, self.budget.plan(height, width).window)
            self.device.wait(stream, self.device.record(self._compute))

    def part_bands(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Iterator[Pixels]:
        """See `PartialEngine.part_bands`; all of it in one band, by those windows of the whole that it lies in."""
        check_part(part, *frame.shape[:2])
        made = None
        while made is None:
            try:
                made = self._part(frame, part, convert, dtype, progress)
            except Exception as error:
                if not self.device.is_out_of_memory(error):
                    raise
                self._shrink(error)
        yield made

    def _part(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Pixels:
        plan = self.budget.plan(*frame.shape[:2])
        covering = plan.covering(part)
        read = sources(covering.read, *frame.shape[:2])
        pixels = convert(frame[read.slices()])
        height, width, channels = pixels.shape
        scale = self.graph.scale
        bands = bands_of(covering.moved(read.top, read.left), height, width, beside=len(plan.columns))
        # not page-locked: of what lies around the windows' cores nothing is ever written
        result = _Result(np.empty((height * scale, width * scale, channels), dtype), False)
        waiting: collections.deque[_Pending] = collections.deque()
        try:
            for done, band in enumerate(bands, 1):
                if len(waiting) == SLOTS:
                    self._settle(waiting.popleft())
                waiting.append(self._start(pixels, band, plan.window, result, last=False))
                if progress is not None:
                    progress(done, len(bands))
        finally:
            for pending in waiting:
                self._settle(pending)
        return result.pixels[part.slices(read.top, read.left, scale)]

    def _through(
        self, frames: Iterable[Pixels], progress: Progress | None, reuse: WindowReuse | None
    ) -> Iterator[Pixels]:
        waiting: collections.deque[_Pending] = collections.deque()
        try:
            for frame in frames:
                height, width, channels = frame.shape
                result = self._result(height, width, channels, frame.dtype)
                if reuse is not None:
                    plan = self.budget.plan(height, width)
                    batch = self.budget.at_once(plan.window)
                    result.followed = reuse.follow(frame, plan.window, len(plan), batch)
                done = 0
                while done < height:
                    bands, window = self._bands(height, width, below=done)
                    try:
                        total, made = sum(len(b.windows) for b in bands), 0
                        for band in bands:
                            if len(waiting) == SLOTS:
                                yield from self._finish(waiting.popleft())
                            waiting.append(self._start(frame, band, window, result, last=band is bands[-1]))
                            done, made = band.core_end, made + len(band.windows)
                            if progress is not None:
                                progress(made, total)
                    except Exception as error:
                        if not self.device.is_out_of_memory(error):
                            raise
                        for pending in list(waiting):
                            waiting.popleft()
                            yield from self._finish(pending)
                        self._shrink(error)
                        if result.followed is not None:
                            result.followed.forget()
            while waiting:
                yield from self._finish(waiting.popleft())
        finally:
            for pending in waiting:  # the caller stopped early, or something failed
                if pending.slot is not None:
                    self.device.sync(pending.done)

    def _result(self, height: int, width: int, channels: int, dtype: npt.DTypeLike) -> _Result:
        shape = (height * self.graph.scale, width * self.graph.scale, channels)
        if math.prod(shape) * np.dtype(dtype).itemsize <= PINNED_LIMIT:
            return _Result(self.device.pinned(shape, dtype), True)
        return _Result(np.empty(shape, dtype), False)

    def _start(self, frame: Pixels, band: Band, window: tuple[int, int], result: _Result, last: bool) -> _Pending:
        device, scale = self.device, self.graph.scale
        repeats, before = np.zeros(len(band.windows), bool), None
        if result.followed is not None:
            repeats, before = result.followed.take_over(band)
            if last:
                result.followed.all_begun()
        repeated, windows = band.windows[repeats], band.windows[~repeats]
        if not len(windows):
            return _Pending(None, band, result, None, last, repeated, before)
        slot = self._slot(frame, window)
        np.copyto(slot.host_low[: band.rows], frame[band.start : band.start + band.rows])
        with self._lock:
            device.copy(slot.low[: band.rows], slot.host_low[: band.rows], self._upload)
            device.wait(self._compute, device.record(self._upload))
            self._band_in(slot, band, windows, window)
            device.wait(self._download, device.record(self._compute))
            device.copy(self._target(slot, band, result), slot.high[band.core(scale)], self._download)
            done = device.record(self._download)
        return _Pending(slot, band, result, done, last, repeated, before)

    def _target(self, slot: _Slot, band: Band, result: _Result) -> npt.NDArray[Any]:
        scale = self.graph.scale
        if result.pinned:
            return result.pixels[band.core_start * scale : band.core_end * scale]
        if slot.host_high is None:
            slot.host_high = self.device.pinned(slot.high.shape, result.pixels.dtype)
        return slot.host_high[band.core(scale)]

    def _finish(self, pending: _Pending) -> Iterator[Pixels]:
        """Wait for a band; the frame, if that was its last."""
        self._settle(pending)
        if pending.last:
            if pending.result.followed is not None:
                pending.result.followed.keep(pending.result.pixels)
            yield pending.result.pixels

    def _settle(self, pending: _Pending) -> None:
        """Wait for a band, whose slot is then free."""
        band, slot, scale, result = pending.band, pending.slot, self.graph.scale, pending.result
        if slot is not None:
            self.device.sync(pending.done)
            if not result.pinned:
                assert slot.host_high is not None
                rows = slice(band.core_start * scale, band.core_end * scale)
                np.copyto(result.pixels[rows], slot.host_high[band.core(scale)])
            with self._lock:
                self._idle[slot.kind].append(slot)
        if pending.before is not None:
            pending.before.copy_cores(result.pixels, pending.repeated, band.start, scale)

    def _slot(self, frame: Pixels, window: tuple[int, int]) -> _Slot:
        height, width, channels = frame.shape
        kind = (min(height, window[0]), width, channels), frame.dtype
        with self._lock:
            if self._idle[kind]:
                return self._idle[kind].pop(0)  # the one that has rested longest: slots take turns
            if len(self._idle) > 1:  # frames of another size came before
                self._forget()
                self._idle.clear()
            return _Slot(self.device, kind, self.graph.scale)

    def _bands(self, height: int, width: int, below: int) -> tuple[list[Band], tuple[int, int]]:
        """The bands of a frame whose rows down to `below` are made, and the size of windows."""
        plan = self.budget.plan(height, width)
        return [b for b in bands_of(plan, height, width) if b.core_end > below], plan.window

    def _bands_in_turn(self, height: int, width: int) -> Iterator[Band]:
        """All bands of a frame; when memory runs out for one, smaller windows from there on."""
        done = 0
        while done < height:
            bands, window = self._bands(height, width, below=done)
            for band in bands:
                try:
                    self._prepare(band, window)
                except Exception as error:
                    if not self.device.is_out_of_memory(error):
                        raise
                    self._shrink(error)
                    break
                yield band
                done = band.core_end

    def _shrink(self, error: Exception) -> None:
        """Go on with smaller windows. Raises EngineError when nothing smaller is possible."""
        with self._lock:
            self._forget()
            self._idle.clear()
            self._prepared = None
            self.device.release()
            self.budget.shrink(error)

    def _prepare(self, band: Band, window: tuple[int, int]) -> Prepared:
        batch = self.graph.fixed_batch or min(self.budget.at_once(window), band.beside)
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

    def _band_in(self, slot: _Slot, band: Band, windows: npt.NDArray[np.int64], window: tuple[int, int]) -> None:
        """Queue windows of a band in a slot. Its buffers stay where they are, so all of the band can be captured; of
        some windows, which are others each time, only the network.
        """
        prepared = self._prepare(band, window)
        low, high = slot.low[: band.rows], slot.high[: band.rows * self.graph.scale]
        if len(windows) < len(band.windows):
            self._queue(low, high, windows, window, prepared.x, self._captured_network(prepared))
            return

        def work() -> None:
            self._queue(low, high, windows, window, prepared.x, lambda: prepared.run(self._compute))

        self._program((id(slot), band.rows, windows.tobytes()), work, slot)

    def _captured_network(self, prepared: Prepared) -> Callable[[], Array]:
        return lambda: self._program("network", lambda: prepared.run(self._compute))

    def _band_between(self, frame: Array, out: Array, band: Band, window: tuple[int, int]) -> None:
        """Queue a band between a caller's arrays, which may lie elsewhere each time: only the network is captured."""
        prepared = self._prepare(band, window)
        windows = band.windows + np.array([1, 0, 1, 0, 1, 0]) * band.start
        self._queue(frame, out, windows, window, prepared.x, self._captured_network(prepared))

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
