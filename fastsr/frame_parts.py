"""A part of what a network makes of a frame, at the network's own scale, for the work that the part takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.engines.protocol import Engine, PartialEngine, Pixels, PixelwiseMap, Progress
from fastsr.images import band_resampling, luma
from fastsr.images.sample_values import settled, settled_floats
from fastsr.network.graph import Graph
from fastsr.tiling.frame_part import FramePart


def enlarged(
    engine: Engine, network: Graph, pixels: Pixels, part: FramePart, dtype: np.dtype[Any], progress: Progress | None
) -> Iterator[Pixels]:
    """A part of the enlargement of a gray or RGB frame, in bands of rows from above.

    `pixels` are those of a frame, or of `images.view`; `dtype` is that of the result: theirs, once settled, or float32.
    """
    given, wanted = pixels.shape[2], network.channels

    def values(samples: Pixels) -> Pixels:
        return settled_floats(samples, "image") if dtype == np.float32 else settled(samples, "image")

    def repeated(samples: Pixels) -> Pixels:
        return np.repeat(values(samples), 3, axis=2)

    def brightness(samples: Pixels) -> Pixels:
        return luma.split(values(samples))[0]

    if given == wanted:
        yield from _bands(engine, network.scale, pixels, part, values, dtype, progress)
    elif given == 1:
        yield from map(luma.gray, _bands(engine, network.scale, pixels, part, repeated, dtype, progress))
    else:
        top = part.top
        for made in _bands(engine, network.scale, pixels, part, brightness, np.dtype(np.float32), progress):
            rows = range(top, top + len(made))
            yield luma.joined(made, _chroma(pixels, network.scale, rows, part.columns), dtype)
            top = rows.stop


def _bands(
    engine: Engine,
    scale: int,
    pixels: Pixels,
    part: FramePart,
    convert: PixelwiseMap,
    dtype: np.dtype[Any],
    progress: Progress | None,
) -> Iterator[Pixels]:
    """The part, of converted pixels, which are of `dtype`; an engine that knows no parts makes the whole frame."""
    if not isinstance(engine, PartialEngine):
        whole = engine.run(np.ascontiguousarray(convert(pixels)), progress)
        yield np.ascontiguousarray(whole[part.slices()])
        return
    source = part.divided(scale)
    top = source.top * scale
    for band in engine.part_bands(pixels, source, convert, dtype, progress):
        held = FramePart(top, top + len(band), source.left * scale, source.right * scale)
        yield np.ascontiguousarray(band[part.within(held).slices(held.top, held.left)])
        top = held.bottom


def _chroma(pixels: Pixels, scale: int, rows: range, columns: range) -> npt.NDArray[np.float32]:
    size = pixels.shape[1] * scale, pixels.shape[0] * scale

    def chroma(samples: Pixels) -> npt.NDArray[np.float32]:
        return luma.split(settled(samples, "image"))[1]

    return band_resampling.part(pixels, chroma, size, rows, columns, "bicubic")
