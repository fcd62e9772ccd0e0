"""The native engine: a generator's layers run row by row in our own C++ convolutions. See docs/cpu-engine.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr import _core
from fastsr.available_memory import available
from fastsr.engines import memory_shortage
from fastsr.engines.excerpt import check_part, gathered, mirrored
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
from fastsr.engines.protocol import Engine, Estimate, Pixels, PixelwiseMap, Progress, counted
from fastsr.errors import EngineError
from fastsr.images import resample
from fastsr.network import catalog, quantization
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds
from fastsr.tiling.frame_part import FramePart, whole
from fastsr.tiling.windows import USE_OVERLAP, Windows

__all__ = ["NativeEngine", "build", "precisions", "unsupported", "video_precision"]

# Precisions that are faster than fp32, fastest first. Byte dot products are. Bfloat16's are on some processors (Zen 4),
# not on others with the same instructions, which multiply them at half the rate of floats (docs/cpu-engine.md).
FASTER = {"avxvnni": ("int8",), "avx512": ("int8",), "avx512bf16": ("int8",)}

WINDOW_RINGS = 1 << 30  # bytes that the rings of one window of an overlapped frame should take
LARGEST_WINDOW = 2048  # side of one
KEPT_TENSORS = 512 << 20  # bytes that a stream may keep of the network's tensors, and
KEPT_SHARE = 0.25  # of what is free
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
            if self._windows is None:
                return self._whole(pixels, progress)
            return self._windowed(pixels, whole(*pixels.shape[:2]), np.ascontiguousarray, pixels.dtype, progress)
        except MemoryError:
            raise self.out_of_memory(*pixels.shape[:2]) from None

    def run_region(self, pixels: Pixels, part: FramePart, progress: Progress | None = None) -> Pixels:
        """The enlargement of a part of a frame: that cut out of what `run` makes, for the work that the part takes."""
        bands = self.part_bands(pixels, part, np.ascontiguousarray, pixels.dtype, progress)
        return gathered(bands, part.height * self.scale)

    def part_bands(
        self,
        frame: Pixels,
        part: FramePart,
        convert: PixelwiseMap,
        dtype: np.dtype[Any],
        progress: Progress | None = None,
    ) -> Iterator[Pixels]:
        """See `PartialEngine.part_bands`. Bands begin and end where they depend on less than a sixteenth of rows beyond
        them, but for those that would be larger than `BAND_BYTES`.
        """
        height, width = frame.shape[:2]
        check_part(part, height, width)
        self._check_sides(height, width)
        try:
            if self._windows is not None:
                yield self._windowed(frame, part, convert, dtype, progress)
                return
            filled = height + -height % self.block, width + -width % self.block
            blocks = part.around(self.block)
            most = self._most(height, width, blocks)
            tops = range(blocks.top, blocks.bottom, self._band_rows(blocks.width * self.channels * dtype.itemsize))
            for report, top in zip(counted(progress, len(tops)), tops, strict=True):
                band = blocks._replace(top=top, bottom=min(top + tops.step, blocks.bottom))
                given, first = mirrored(frame, self._read(height, width, band), convert)
                shown = part.within(band).slices(band.top, band.left, self.scale)
                # without a name, which would keep it while the next one is made
                yield np.ascontiguousarray(
                    self._program.run_part(given, filled, first, band, self.side, most, report)[shown]
                )
        except MemoryError:
            raise self.out_of_memory(height, width) from None

    def _read(self, height: int, width: int, part: FramePart) -> FramePart:
        """What a part of whole blocks depends on, of the frame filled up to whole blocks."""
        top, last_row = self._program.input_rows(height + -height % self.block, part.top, part.bottom)
        left, last_column = self._program.input_columns(width + -width % self.block, part.left, part.right)
        return FramePart(top, last_row + 1, left, last_column + 1)

    def for_stream(self) -> Engine:
        """See `StreamReusingEngine.for_stream`."""
        return ReusingEngine(self) if self.reuses and self._windows is None else self

    def out_of_memory(self, height: int, width: int) -> EngineError:
        """What to raise where there was not enough for a frame."""
        return EngineError(out_of_memory(self._path, height, width, "free some, or take a smaller image"))

    def bands(self, pixels: Pixels, dtype: np.dtype[Any], progress: Progress | None = None) -> Iterator[Pixels]:
        """See `BandedEngine.bands`."""
        convert = resample.to_float if dtype != pixels.dtype else np.ascontiguousarray
        return self.part_bands(pixels, whole(*pixels.shape[:2]), convert, dtype, progress)

    def _band_rows(self, row_bytes: int) -> int:
        """Rows of the input of a band, of so many bytes a row."""
        made = row_bytes * self.scale**2  # of the rows that one becomes
        rows = min(max(16 * self._reach, BAND_BYTES // 4 // made), max(4 * self._reach, BAND_BYTES // made))
        return max(rows // self.block, 1) * self.block

    def estimate(self, height: int, width: int, part: FramePart | None = None) -> Estimate:
        """See `ForetellingEngine.estimate`."""
        part = part or whole(height, width)
        if self._windows is None:
            return self._cut(height, width, part)[1]
        plan = self._windows.plan(height, width).covering(part)
        inner = self._cut(*plan.window)[1]
        return Estimate(plan.part[::-1], len(plan), inner.memory, plan.work * (1 + inner.twice) - 1)

    def _cut(self, height: int, width: int, part: FramePart | None = None) -> tuple[int, Estimate]:
        """The bound of memory to run a part of a frame with (0: none), and what it then costs. Raises EngineError."""
        part = part or whole(height, width)
        rows, columns = height + -height % self.block, width + -width % self.block

        def estimated(most: int) -> Estimate:
            cut = self._program.cut(rows, columns, self.side, most, part=part.around(self.block))
            sides = -(-part.width // cut.across), -(-part.height // cut.down)
            return Estimate(sides, cut.across * cut.down, cut.memory, cut.work - 1)

        made = estimated(self._memory or 0)
        most = memory_shortage.bound(self._memory, made.memory)
        if most is None or made.memory <= most:
            return self._memory or 0, made
        if self._memory is None:
            made = estimated(most)
        if made.memory > most:
            remedy = f"{USE_OVERLAP}; or " if self._windows is None else ""
            remedy += "free some, or take a smaller image" if self._memory is None else "give more memory"
            raise memory_shortage.too_much(self._path, part.height, part.width, made.memory, self._memory, remedy)
        return most, made

    def _windowed(
        self, frame: Pixels, part: FramePart, convert: PixelwiseMap, dtype: np.dtype[Any], progress: Progress | None
    ) -> Pixels:
        """Window by window, each as if it were a frame; of each is kept what its core has of the part."""
        assert self._windows is not None
        windows = self._windows.plan(*frame.shape[:2]).covering(part).parts()
        out = np.empty((part.height * self.scale, part.width * self.scale, self.channels), dtype)
        for report, (window, core) in zip(counted(progress, len(windows)), windows, strict=True):
            made = self._whole(convert(frame[window.slices()]), report)
            kept = core.within(part)
            out[kept.slices(part.top, part.left, self.scale)] = made[kept.slices(window.top, window.left, self.scale)]
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
            raise self.out_of_memory(*filled.shape[:2]) from None

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
            raise self.out_of_memory(*filled.shape[:2]) from None

    def changed_parts(self, before: Pixels, after: Pixels) -> Sequence[Part] | None:
        """See `PartsEngine.changed_parts`; both frames are of one shape and dtype."""
        return self._program.changed_parts(before, after)

    def keep(self, filled: Pixels) -> _core.KeptTensors | None:
        """See `PartsEngine.keep`. None, too, where the caller bounds the memory or the parts of a frame."""
        if self._memory is not None or self.side > 0:
            return None
        needed, free = self._program.kept_bytes(*filled.shape[:2]), available()
        if needed > KEPT_TENSORS or (free is not None and needed > free * KEPT_SHARE):
            return None
        try:
            return self._program.keep(*filled.shape[:2])
        except MemoryError:
            return None

    def make_changes(
        self,
        tensors: _core.KeptTensors,
        before: Pixels | None,
        filled: Pixels,
        out: Pixels,
        progress: Progress | None = None,
    ) -> float:
        """See `PartsEngine.make_changes`."""
        return self._program.run_kept(tensors, filled, out, before, progress)

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

    def _most(self, height: int, width: int, part: FramePart | None = None) -> int:
        """The bound of memory to run a part of a frame with; 0 for none, where the rings of all of it are small."""
        read = width if part is None else self._read(height, width, part).width
        rings = self._program.unit_bytes(-(-read // self.block))
        if self._memory is None and rings * _core.thread_count() <= memory_shortage.SMALL:
            return 0
        return self._cut(height, width, part)[0]


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
