"""What turns pixels into more pixels: a trained network on its engine, or one of the classic filters."""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from fastsr import frame_parts
from fastsr.engines.excerpt import gathered
from fastsr.engines.gpu.tensors import DeviceImage
from fastsr.engines.protocol import (
    BandedEngine,
    DeviceEngine,
    Engine,
    Estimate,
    ForetellingEngine,
    Pixels,
    Progress,
    StreamingEngine,
    StreamReusingEngine,
)
from fastsr.images import DecodedImage, Frame, band_resampling, luma, resample
from fastsr.images.sample_values import settled, settled_dtype, settled_floats
from fastsr.network.graph import Graph
from fastsr.tiling.frame_part import FramePart


class PixelUpscaler(Protocol):
    """Turns pixels into pixels of a wanted size (width, height) and of the same dtype."""

    scale: int  # when nothing else is asked for

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        """H x W x 1|3 pixels to size[1] x size[0] x 1|3."""
        ...

    def part_bands(
        self, pixels: Pixels, size: tuple[int, int], part: FramePart, progress: Progress | None
    ) -> Iterator[Pixels]:
        """A part of what `enlarge` makes, in bands of rows from above; of `images.view`'s pixels too."""
        ...


class Generator:
    """A trained network; other sizes than its own are resampled from it once, in float."""

    def __init__(
        self, network: Graph, engine: Engine, exact: Callable[[], Engine] | None = None, windows: str = ""
    ) -> None:
        """`exact` makes the engine for pixels of more than 8 bits, once they come, where that is another one; `windows`
        tells how the engine cuts frames where that changes the results.
        """
        self.network, self.engine, self.scale, self.windows = network, engine, network.default_scale, windows
        self._exact, self._making = None if exact is None else functools.cache(exact), threading.Lock()

    def for_stream(self) -> Generator:
        """One for the frames of one stream, in order, which makes the same: see `StreamReusingEngine`."""

        def exact() -> Engine:
            return _for_stream(self._engine_for(np.dtype(np.float32)))

        return Generator(self.network, _for_stream(self.engine), None if self._exact is None else exact, self.windows)

    def _engine_for(self, dtype: np.dtype[Any]) -> Engine:
        if self._exact is None or dtype == np.uint8:
            return self.engine
        with self._making:
            return self._exact()

    def is_plain(self, image: DecodedImage) -> bool:
        """Whether an image is nothing but one frame of colours that goes through the engine as it is."""
        first = image.frames[0]
        plain = len(image.frames) == 1 and first.alpha is None and first.black is None
        return plain and first.color.shape[2] == self.network.channels

    def estimate(
        self, height: int, width: int, size: tuple[int, int] | None = None, part: FramePart | None = None
    ) -> Estimate | None:
        """What a frame of this size costs, or a part of its enlargement to `size`; None where the engine finds out as
        it runs.
        """
        if not isinstance(self.engine, ForetellingEngine):
            return None
        scale = self.network.scale
        if size is not None and part is not None:
            part = self._made_from((width * scale, height * scale), size, part).divided(scale)
        return self.engine.estimate(height, width, part)

    @staticmethod
    def _made_from(own: tuple[int, int], size: tuple[int, int], part: FramePart) -> FramePart:
        """What of the network's own result a part of a result of `size` (width, height) is resampled from."""
        rows = band_resampling.read(own[1], size[1], part.rows)
        columns = band_resampling.read(own[0], size[0], part.columns)
        return FramePart(rows.start, rows.stop, columns.start, columns.stop)

    @property
    def streams(self) -> bool:
        """Whether `stream` overlaps images; where not, they are better made one by one."""
        return isinstance(self.engine, StreamingEngine)

    def stream(self, images: Iterable[DecodedImage]) -> Iterator[Any]:
        """Plain images at the own scale, as `DecodedImage.restore` gives them back."""
        assert isinstance(self.engine, StreamingEngine)
        waiting: collections.deque[DecodedImage] = collections.deque()

        def colors() -> Iterator[Pixels]:
            for image in images:
                waiting.append(image)
                yield np.ascontiguousarray(image.frames[0].color)

        for made in self.engine.stream(colors()):
            yield waiting.popleft().restore([Frame(made, None, None)])

    def takes(self, image: DeviceImage) -> bool:
        """Whether the engine can have an image where it lies, on a GPU."""
        return isinstance(self.engine, DeviceEngine) and image.fits(self.network.channels)

    def on_device(self, image: DeviceImage) -> Any:
        """An image on a GPU, enlarged there."""
        assert isinstance(self.engine, DeviceEngine)
        return image.upscaled(self.engine, self.network.scale)

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        height, width = pixels.shape[:2]
        if size == (width * self.network.scale, height * self.network.scale):
            return self._run(self._engine_for(pixels.dtype), pixels, progress)
        return gathered(self.bands(pixels, size, progress), size[1])

    def part_bands(
        self, pixels: Pixels, size: tuple[int, int], part: FramePart, progress: Progress | None
    ) -> Iterator[Pixels]:
        dtype, network = settled_dtype(pixels), self.network
        engine = self._engine_for(dtype)
        own = pixels.shape[1] * network.scale, pixels.shape[0] * network.scale
        if size == own:
            return frame_parts.enlarged(engine, network, pixels, part, dtype, progress)
        needed = self._made_from(own, size, part)
        floats = frame_parts.enlarged(engine, network, pixels, needed, np.dtype(np.float32), progress)
        return band_resampling.resampled(floats, own, size, dtype, part.rows, part.columns)

    def makes_bands(self, pixels: Pixels) -> bool:
        """Whether `bands` gives more than one of such pixels."""
        return isinstance(self._engine_for(pixels.dtype), BandedEngine) and pixels.shape[2] <= self.network.channels

    def bands(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Iterator[Pixels]:
        """What `enlarge` makes, in bands of rows from above; nothing is held whole where the engine makes bands."""
        engine = self._engine_for(pixels.dtype)
        own = pixels.shape[1] * self.network.scale, pixels.shape[0] * self.network.scale
        if size == own:
            return self._bands(engine, pixels, pixels.dtype, progress)
        floats = self._bands(engine, pixels, np.dtype(np.float32), progress)
        return band_resampling.resampled(floats, own, size, pixels.dtype)

    def _bands(
        self, engine: Engine, pixels: Pixels, dtype: np.dtype[Any], progress: Progress | None
    ) -> Iterator[Pixels]:
        """At the own scale, in `dtype`: that of the pixels or float32."""
        given, wanted = pixels.shape[2], self.network.channels
        if not isinstance(engine, BandedEngine) or given > wanted:
            yield self._run(engine, pixels if dtype == pixels.dtype else resample.to_float(pixels), progress)
        elif given == wanted:
            yield from engine.bands(pixels, dtype, progress)
        else:
            yield from map(luma.gray, engine.bands(np.repeat(pixels, 3, axis=2), dtype, progress))

    def _run(self, engine: Engine, pixels: Pixels, progress: Progress | None) -> Pixels:
        given, wanted = pixels.shape[2], self.network.channels
        if given == wanted:
            return engine.run(np.ascontiguousarray(pixels), progress)
        if given == 1:
            return luma.gray(engine.run(np.repeat(pixels, 3, axis=2), progress))
        # Eyes see detail in luma: that is what a network of one channel is for, and trained on.
        y, chroma = luma.split(pixels)
        made = engine.run(y, progress)
        return luma.joined(made, resample.resize(chroma, (made.shape[1], made.shape[0])), pixels.dtype)


def _for_stream(engine: Engine) -> Engine:
    return engine.for_stream() if isinstance(engine, StreamReusingEngine) else engine


class Interpolation:
    """One of the classic filters; makes any size directly."""

    scale = 4  # when nothing else is asked for

    def __init__(self, method: str) -> None:
        self.method = method

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        made = resample.resize_to(resample.to_float(pixels), size, pixels.dtype, self.method)
        if progress is not None:
            progress(1, 1)
        return made

    def part_bands(
        self, pixels: Pixels, size: tuple[int, int], part: FramePart, progress: Progress | None
    ) -> Iterator[Pixels]:
        to_floats = functools.partial(settled_floats, name="image")
        floats = band_resampling.part(pixels, to_floats, size, part.rows, part.columns, self.method)
        yield resample.to_dtype(floats, settled_dtype(pixels))
        if progress is not None:
            progress(1, 1)


class QuickInterpolation(Interpolation):
    """The same, for pixels of 8 bits in integers: a third of the time, a level or two off where it overshoots."""

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        if pixels.dtype != np.uint8:
            return super().enlarge(pixels, size, progress)
        made = resample.resize_bytes(pixels, size, self.method)
        if progress is not None:
            progress(1, 1)
        return made

    def part_bands(
        self, pixels: Pixels, size: tuple[int, int], part: FramePart, progress: Progress | None
    ) -> Iterator[Pixels]:
        yield np.ascontiguousarray(self.enlarge(settled(pixels, "image"), size, progress)[part.slices()])
