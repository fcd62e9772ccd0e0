"""The native engine: a generator's layers run row by row in our own C++ convolutions. See docs/cpu-engine.md."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from fastsr import _core
from fastsr.engines.memory_shortage import out_of_memory
from fastsr.engines.native.draft import Unsupported
from fastsr.engines.native.lowering import lower, unsupported
from fastsr.engines.native.program import Conv, Epilogue, Program, Remap
from fastsr.engines.protocol import Pixels, Progress
from fastsr.errors import EngineError
from fastsr.network import catalog, quantization
from fastsr.network.graph import Graph
from fastsr.tiling.windows import Windows

__all__ = ["NativeEngine", "build", "precisions", "unsupported", "video_precision"]

# Precisions that are faster than fp32, fastest first. Byte dot products are. Bfloat16's are on some processors (Zen 4),
# not on others with the same instructions, which multiply them at half the rate of floats (docs/cpu-engine.md).
FASTER = {"avxvnni": ("int8",), "avx512": ("int8",), "avx512bf16": ("int8",)}

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

    def __init__(self, graph: Graph, precision: str, tile: int | None) -> None:
        """`tile` bounds the sides of the parts that a frame is cut into, margins included, in input pixels.

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
        side = 0
        if tile is not None:
            Windows(graph, tile)  # refuses one that is too small
            side = tile - 2 * (graph.radius or 0)
        self.side = side
        self.channels, self._path = graph.channels, graph.path
        self.fold, self.scale = program.fold, graph.scale
        self._program = packed(program, precision)

    def run(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """See `Engine.run`; `progress` counts thousandths of the work of each part that the frame is cut into."""
        try:
            return self._filled_up(pixels, progress)
        except MemoryError:
            raise EngineError(out_of_memory(self._path, pixels, "free some, or take a smaller image")) from None

    def _filled_up(self, pixels: Pixels, progress: Progress | None) -> Pixels:
        """Run on sides that are multiples of the fold, mirrored beyond the frame's as `tile_gather` does it."""
        height, width = pixels.shape[:2]
        below, right = -height % self.fold, -width % self.fold
        if not below and not right:
            return self._program.run(np.ascontiguousarray(pixels), self.side, 0, progress)
        filled = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="reflect")
        made = self._program.run(filled, self.side, 0, progress)
        return np.ascontiguousarray(made[: height * self.scale, : width * self.scale])


def packed(program: Program, precision: str) -> _core.ConvProgram:
    """A program handed to the C++ engine, its weights packed for the instruction set in use."""
    made = _core.ConvProgram(precision)
    for t in program.tensors:
        made.tensor(t.channels, t.factor, t.floats, t.packed, *t.quantization)
    concatenations = [i for i, t in enumerate(program.tensors) if t.parts]
    for i in sorted(concatenations, key=lambda i: -len(program.tensors[i].parts)):  # the others are runs of these
        made.concat(i, program.tensors[i].parts)
    for i, t in enumerate(program.tensors):
        if t.source >= 0:
            made.slice(i, t.source, t.first)
    for step in program.steps:
        if isinstance(step, Conv):
            scales = _NONE if step.scales is None else step.scales
            made.conv(step.source, step.target, step.kernel, step.bias, scales, *_epilogue(step.epilogue), step.factor)
        elif isinstance(step, Remap):
            slopes, add, low, high = _epilogue(step.epilogue)
            table = step.table.reshape(-1)
            gains, offsets = (_NONE if values is None else values for values in (step.gains, step.offsets))
            made.remap(
                step.source,
                step.target,
                len(step.table),
                table,
                slopes,
                add,
                low,
                high,
                gains,
                offsets,
                step.function,
                step.times,
            )
        else:
            scales = _NONE if step.scales is None else step.scales
            made.reduce_rows(step.source, step.target, step.terms, step.bias, scales)
    made.store(program.output, program.factor, program.base, program.fold)
    return made


def _epilogue(epilogue: Epilogue) -> tuple[npt.NDArray[np.float32], int, float, float]:
    return (_NONE if epilogue.slopes is None else epilogue.slopes), epilogue.add, epilogue.low, epilogue.high


def build(graph: Graph, device: str, precision: str, tile: int | None) -> NativeEngine:
    """The registry's entry point."""
    return NativeEngine(graph, precision, tile)
