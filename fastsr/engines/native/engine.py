"""The native engine: a generator's layers run row by row in our own C++ convolutions. See docs/cpu-engine.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core
from fastsr.engines import memory_shortage
from fastsr.engines.memory_shortage import out_of_memory
from fastsr.engines.native.draft import Unsupported
from fastsr.engines.native.lowering import lower, unsupported
from fastsr.engines.native.program import (
    Bilinear,
    Conv,
    Epilogue,
    Normalization,
    Pad,
    Pointwise,
    Program,
    Remap,
    SpaceToDepth,
    pointwise,
)
from fastsr.engines.native.reuse import Part, ReusingEngine
from fastsr.engines.protocol import Engine, Estimate, Pixels, Progress, counted
from fastsr.errors import EngineError
from fastsr.images import resample
from fastsr.network import catalog, quantization
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds
from fastsr.tiling.windows import USE_OVERLAP, Windows

__all__ = ["NativeEngine", "build", "precisions", "unsupported", "video_precision"]

# Precisions that are faster than fp32, fastest first. Byte dot products are. Bfloat16's are on some processors (Zen 4),
# not on others with the same instructions, which multiply them at half the rate of floats (docs/cpu-engine.md).
FASTER = {"avxvnni": ("int8",), "avx512": ("int8",), "avx512bf16": ("int8",)}

WINDOW_RINGS = 1 << 30  # bytes that the rings of one window of an overlapped frame should take
LARGEST_WINDOW = 2048  # side of one
BAND_BYTES = 128 << 20  # that a band of the result should take at the most

_NONE = np.empty(0, np.float32)


def precisions() -> tuple[str, ...]:
    """What the engine offers on this machine."""
    return tuple(_core.precisions())


def video_precision(graph: Graph) -> str:
    """What "auto" takes for video: the fastest precision that the card of a shipped model proves, else fp32."""
    card = catalog.card(graph.path)
    if card is None or graph.digest != hashlib.sha256(card.path.read_bytes()).hexdigest():
        return "fp32"  # a model of the user's own, or weights between two models
    faster = FASTER.get(_core.active_isa(), ())
    return next((p for p in faster if card.proves(p) and (p != "int8" or graph.ranges)), "fp32")


class NativeEngine:
    """One packed program; its `run` may be called from several threads."""

    name = "cpu"
    reuses = True  #: whether streams take over what has not changed; off to measure what that saves

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        """`tile` bounds the sides of the parts that a frame is cut into, margins included, in input pixels; `memory`
        bounds the bytes that their rings take together. Both leave the result as it is.

        `overlap`, where it is less than the receptive radius, changes it: frames are then cut into windows (`Windows`),
        and each is run by itself.

        Raises EngineError, naming the operator, for a graph or precision that the engine does not have.
        """
        self.precision = precision
        if precision not in precisions():
            raise EngineError(
                f"engine 'cpu' has no {precision} on this machine ({_core.active_isa()}); "
                f"it has: {', '.join(precisions())}"
            )
        if precision == "int8":
            quantization.ranged(graph)  # refuses a graph without ranges
        try:
            program = lower(graph, precision)
        except Unsupported as reason:
            raise EngineError(
                f"{graph.path}: the native engine cannot run it: {reason}; use engine='onnxruntime'"
            ) from None
        self.channels, self._path = graph.channels, graph.path
        self.block, self.scale = program.block, graph.scale
        blocks = max(1, *((-t.growth[axis]) // t.factor + 1 for t in program.tensors for axis in (0, 1)))
        self.least = (blocks - 1) * program.block + 1  # pixels of a side, of which nothing would be left with fewer
        self.side, self._memory = 0, memory
        self._program = packed(program, precision)
        middle = self.block << 20
        self._reach = middle - self._program.input_rows(2 * middle, middle, middle + self.block)[0]  # of a row upward
        windows = Windows(graph, tile, overlap)  # refuses a tile that is too small
        self._windows = None if windows.exact else windows
        if tile is not None and windows.exact:
            self.side = tile - 2 * (graph.radius or 0)
        if tile is None and not windows.exact:
            self._fit_windows(windows, memory or WINDOW_RINGS)

    def _fit_windows(self, windows: Windows, most: int) -> None:
        """Make windows as large as the rings of one may be, but for those that are more border than anything else."""
        side = LARGEST_WINDOW
        while side > 4 * windows.smallest and self._program.unit_bytes(-(-side // self.block)) > most:
            side = side * 3 // 4
        windows.tile = (side, side)

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`; `progress` counts thousandths of the work of each part that the frame is cut into."""
        try:
            return self._whole(pixels, progress) if self._windows is None else self._windowed(pixels, progress)
        except MemoryError:
            raise self.out_of_memory(pixels) from None

    def run_region(self, pixels: Pixels, part: Part, progress: Progress | None = None) -> Pixels:
        """The enlargement of a part of the frame (top, bottom, left, right): that cut out of what `run` makes, for the
        work that the part takes.
        """
        top, bottom, left, right = part
        height, width, channels = pixels.shape
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise EngineError(
                f"rows {top} to {bottom}, columns {left} to {right} are no part of {width}x{height} pixels"
            )
        scale, block = self.scale, self.block
        if self._windows is not None:
            made, begin = self.run(pixels, progress), (0, 0)
        else:
            begin = top // block * block, left // block * block
            end = bottom + -bottom % block, right + -right % block
            shape = *((last - first) * scale for first, last in zip(begin, end, strict=True)), channels
            made = np.empty(shape, pixels.dtype)
            self.make_parts(self.filled(pixels), [(begin[0], end[0], begin[1], end[1])], made, begin, progress)
        rows, columns = (
            slice((first - begun) * scale, (last - begun) * scale)
            for first, last, begun in ((top, bottom, begin[0]), (left, right, begin[1]))
        )
        return np.ascontiguousarray(made[rows, columns])

    def for_stream(self) -> Engine:
        """See `StreamReusingEngine.for_stream`."""
        return ReusingEngine(self) if self.reuses and self._windows is None else self

    def out_of_memory(self, pixels: Pixels) -> EngineError:
        """What to raise where there was not enough for a frame."""
        return EngineError(out_of_memory(self._path, pixels, "free some, or take a smaller image"))

    def bands(self, pixels: Pixels, dtype: np.dtype[Any], progress: Progress | None = None) -> Iterator[Pixels]:
        """See `BandedEngine.bands`. Bands begin and end where they depend on less than a sixteenth of rows beyond them,
        but for those that would be larger than `BAND_BYTES`.
        """
        convert = resample.to_float if dtype != pixels.dtype else np.ascontiguousarray
        if self._windows is not None:
            yield self.run(convert(pixels), progress)
            return
        height, width = pixels.shape[:2]
        filled = self.filled(pixels)
        most = self._most(height, width)
        tops = range(0, len(filled), self._band_rows(width * self.channels * dtype.itemsize))
        for report, top in zip(counted(progress, len(tops)), tops, strict=True):
            bottom = min(top + tops.step, len(filled))
            first, last = self._program.input_rows(len(filled), top, bottom)
            part = np.ascontiguousarray(convert(filled[first : last + 1]))
            shown = slice((height - top) * self.scale), slice(width * self.scale)
            try:
                # without a name, which would keep it while the next one is made
                yield np.ascontiguousarray(
                    self._program.run_band(part, len(filled), first, top, bottom, self.side, most, report)[shown]
                )
            except MemoryError:
                raise self.out_of_memory(pixels) from None

    def _band_rows(self, row_bytes: int) -> int:
        """Rows of the input of a band, of so many bytes a row."""
        made = row_bytes * self.scale**2  # of the rows that one becomes
        rows = min(max(16 * self._reach, BAND_BYTES // 4 // made), max(4 * self._reach, BAND_BYTES // made))
        return max(rows // self.block, 1) * self.block

    def estimate(self, height: int, width: int) -> Estimate:
        """See `ForetellingEngine.estimate`."""
        windows = self._windows
        if windows is None:
            return self._cut(height, width)[1]
        plan = windows.plan(height, width)
        inner = self._cut(*plan.window)[1]
        return Estimate(plan.part[::-1], len(plan), inner.memory, plan.work * (1 + inner.twice) - 1)

    def _cut(self, height: int, width: int) -> tuple[int, Estimate]:
        """The bound of memory to run a frame with (0: none), and what it then costs. Raises EngineError."""
        rows, columns = height + -height % self.block, width + -width % self.block

        def estimated(most: int) -> Estimate:
            cut = self._program.cut(rows, columns, self.side, most)
            part = -(-width // cut.across), -(-height // cut.down)
            return Estimate(part, cut.across * cut.down, cut.memory, cut.work - 1)

        made = estimated(self._memory or 0)
        most = memory_shortage.bound(self._memory, made.memory)
        if most is None or made.memory <= most:
            return self._memory or 0, made
        if self._memory is None:
            made = estimated(most)
        if made.memory > most:
            remedy = f"{USE_OVERLAP}; or " if self._windows is None else ""
            remedy += "free some, or take a smaller image" if self._memory is None else "give more memory"
            raise memory_shortage.too_much(self._path, height, width, made.memory, self._memory, remedy)
        return most, made

    def _windowed(self, pixels: Pixels, progress: Progress | None) -> Pixels:
        """Window by window, each as if it were a frame; of each its core is kept."""
        assert self._windows is not None
        height, width, channels = pixels.shape
        plan = self._windows.plan(height, width)
        out = np.empty((height * self.scale, width * self.scale, channels), pixels.dtype)
        windows = [(row, column) for row in plan.rows for column in plan.columns]
        for report, (row, column) in zip(counted(progress, len(windows)), windows, strict=True):
            part = pixels[row.start : row.start + row.length, column.start : column.start + column.length]
            made = self._whole(part, report)
            rows, columns = (
                slice(s.core_start * self.scale, min(s.core_end, side) * self.scale)
                for s, side in ((row, height), (column, width))
            )
            top, left = row.start * self.scale, column.start * self.scale
            out[rows, columns] = made[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        return out

    def _whole(self, pixels: Pixels, progress: Progress | None) -> Pixels:
        """Run on sides that are multiples of the block."""
        height, width = pixels.shape[:2]
        made = self._program.run(self.filled(pixels), self.side, self._most(height, width), progress)
        return np.ascontiguousarray(made[: height * self.scale, : width * self.scale])

    def make(self, filled: Pixels, progress: Progress | None = None) -> Pixels:
        """See `PartsEngine.make`. Raises EngineError."""
        try:
            return self._program.run(filled, self.side, self._most(*filled.shape[:2]), progress)
        except MemoryError:
            raise self.out_of_memory(filled) from None

    def make_parts(
        self,
        filled: Pixels,
        parts: Sequence[Part],
        out: Pixels,
        begin: tuple[int, int] = (0, 0),
        progress: Progress | None = None,
    ) -> None:
        """See `PartsEngine.make_parts`; parts are of whole blocks. Raises EngineError."""
        try:
            self._program.run_parts(filled, parts, out, *begin, self.side, self._most(*filled.shape[:2]), progress)
        except MemoryError:
            raise self.out_of_memory(filled) from None

    def changed_parts(self, before: Pixels, after: Pixels) -> Sequence[Part] | None:
        """See `PartsEngine.changed_parts`; both frames are of one shape and dtype."""
        return self._program.changed_parts(before, after)

    def _check_sides(self, height: int, width: int) -> None:
        if 0 < min(height, width) < self.least:
            raise EngineError(
                f"{self._path}: {width}x{height} pixels are too few for its borders; it takes {self.least} at least "
                "along each side"
            )

    def filled(self, pixels: Pixels) -> Pixels:
        """Pixels whose sides are multiples of the block, mirrored beyond the frame's as `tile_gather` does it.

        Raises EngineError for too few of them.
        """
        self._check_sides(*pixels.shape[:2])
        below, right = -pixels.shape[0] % self.block, -pixels.shape[1] % self.block
        if not below and not right:
            return np.ascontiguousarray(pixels)
        return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="reflect")

    def _most(self, height: int, width: int) -> int:
        """The bound of memory to run a frame with; 0 for none, where the whole frame's rings are small."""
        rings = self._program.unit_bytes(-(-width // self.block))
        if self._memory is None and rings * _core.thread_count() <= memory_shortage.SMALL:
            return 0
        return self._cut(height, width)[0]


def packed(program: Program, precision: str) -> _core.ConvProgram:
    """A program handed to the C++ engine, its weights packed for the instruction set in use."""
    made = _core.ConvProgram(precision)
    for t in program.tensors:
        made.tensor(t.channels, t.factor, t.floats, t.packed, *t.quantization, t.growth)
    concatenations = [i for i, t in enumerate(program.tensors) if t.parts]
    for i in sorted(concatenations, key=lambda i: -len(program.tensors[i].parts)):  # the others are runs of these
        made.concat(i, program.tensors[i].parts)
    for i, t in enumerate(program.tensors):
        if t.source >= 0:
            made.slice(i, t.source, t.first)
    for step in program.steps:
        if isinstance(step, Conv):
            scales = _NONE if step.scales is None else step.scales
            what, after = (step.source, step.target, step.kernel, step.bias), _epilogue(step.epilogue)
            if step.depthwise:
                made.depthwise(*what, *after, step.before, step.dilation)
            else:
                made.conv(*what, scales, *after, step.factor, step.before, step.dilation)
        elif isinstance(step, Remap):
            table = step.table.reshape(-1)
            made.remap(step.source, step.target, len(step.table), table, *_pointwise(step.pointwise))
        elif isinstance(step, Normalization):
            made.normalize(step.source, step.target, step.centred, step.epsilon, step.gains, step.offsets)
        elif isinstance(step, Bilinear):
            made.bilinear(step.source, step.target, step.factor)
        elif isinstance(step, Pad):
            made.pad(step.source, step.target, step.added, step.border)
        elif isinstance(step, SpaceToDepth):
            made.space_to_depth(step.source, step.target, step.down)
        else:
            scales = _NONE if step.scales is None else step.scales
            made.reduce_rows(step.source, step.target, step.terms, step.bias, scales, step.before)
        if not isinstance(step, Remap) and (follows := pointwise(step)) is not None:
            made.follow(step.target, *_pointwise(follows))
    made.store(program.output, program.factor, program.base, program.fold, program.gain, program.repeated)
    return made


def _epilogue(epilogue: Epilogue) -> tuple[npt.NDArray[np.float32], int, float, float]:
    return (_NONE if epilogue.slopes is None else epilogue.slopes), epilogue.add, epilogue.low, epilogue.high


def _pointwise(
    values: Pointwise,
) -> tuple[npt.NDArray[np.float32], int, float, float, npt.NDArray[np.float32], npt.NDArray[np.float32], str, int]:
    gains, offsets = (_NONE if v is None else v for v in (values.gains, values.offsets))
    return *_epilogue(values.epilogue), gains, offsets, values.function, values.times


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> NativeEngine:
    """The registry's entry point."""
    return NativeEngine(graph, precision, *bounds)
