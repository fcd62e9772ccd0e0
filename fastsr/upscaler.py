"""Upscaler: one generator on one device at one precision."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from fastsr import images
from fastsr.engines import protocol, selection
from fastsr.engines.gpu import tensors
from fastsr.engines.protocol import Device, EngineName, Pixels, Precision, Progress
from fastsr.errors import FastsrError, ModelError
from fastsr.images import Frame, Picture, resample
from fastsr.images.alpha import bleed
from fastsr.network import catalog, file_kinds, onnx_reader

if TYPE_CHECKING:
    from PIL import Image

    from fastsr.network.graph import Graph

MAX_SIDE = 1 << 28  # pixels of a result; Pillow takes hardly more


class _Tensor(Protocol):
    """A PyTorch tensor, to type checkers without PyTorch."""

    is_cuda: bool

    def permute(self, *dims: Any) -> Any: ...


TensorT = TypeVar("TensorT", bound=_Tensor)
ScalarT = TypeVar("ScalarT", bound=np.generic)
File = str | os.PathLike[str] | IO[bytes]
Size = tuple[int, int]


class Enlarger(Protocol):
    """Turns pixels into pixels of a wanted size (width, height) and of the same dtype."""

    scale: int

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        """H x W x 1|3 pixels to size[1] x size[0] x 1|3."""
        ...


class _Generator:
    """A trained network; other sizes than its own are resampled from it once, in float."""

    def __init__(
        self, network: Graph, engine: protocol.Engine, exact: Callable[[], protocol.Engine] | None = None
    ) -> None:
        """`exact` makes the engine for pixels of more than 8 bits, once they come, where that is another one."""
        self.network, self.engine, self.scale = network, engine, network.scale
        self._exact, self._making = None if exact is None else functools.cache(exact), threading.Lock()

    def _engine_for(self, dtype: np.dtype[Any]) -> protocol.Engine:
        if self._exact is None or dtype == np.uint8:
            return self.engine
        with self._making:
            return self._exact()

    def is_plain(self, picture: Picture) -> bool:
        """Whether a picture is nothing but one frame of colours that goes through the engine as it is."""
        first = picture.frames[0]
        plain = len(picture.frames) == 1 and first.alpha is None and first.black is None
        return plain and first.color.shape[2] == self.network.channels

    def stream(self, pictures: Iterable[Picture]) -> Iterator[Any]:
        """Plain pictures at the own scale, as `Picture.restore` gives them back."""
        waiting: collections.deque[Picture] = collections.deque()

        def colors() -> Iterator[Pixels]:
            for picture in pictures:
                waiting.append(picture)
                yield np.ascontiguousarray(picture.frames[0].color)

        for made in self.engine.stream(colors()):  # type: ignore[attr-defined]
            yield waiting.popleft().restore([Frame(made, None, None)])

    def takes(self, tensor: Any) -> bool:
        """Whether `on_device` can have this tensor on a GPU."""
        return hasattr(self.engine, "run_on_device") and tensors.fits(tensor, self.network.channels)

    def on_device(self, tensor: Any) -> Any:
        """A tensor on a GPU, enlarged there."""
        stream = sys.modules["torch"].cuda.current_stream(tensor.device)
        return tensors.upscale(tensor, self.engine, self.scale, stream)  # type: ignore[arg-type]

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        height, width = pixels.shape[:2]
        engine = self._engine_for(pixels.dtype)
        if size == (width * self.scale, height * self.scale):
            return self._run(engine, pixels, progress)
        made = self._run(engine, resample.to_float(pixels), progress)
        return resample.resize_to(made, size, pixels.dtype)

    def _run(self, engine: protocol.Engine, pixels: Pixels, progress: Progress | None) -> Pixels:
        given, wanted = pixels.shape[2], self.network.channels
        if given == wanted:
            return engine.run(np.ascontiguousarray(pixels), progress)
        if given == 1:
            made = engine.run(np.repeat(pixels, 3, axis=2), progress)
            # Gray is the mean of the three channels that a colour network makes of a gray picture.
            gray = np.empty((*made.shape[:2], 1), made.dtype)
            for top in range(0, len(made), resample.BAND):
                rows = slice(top, top + resample.BAND)
                gray[rows] = resample.to_dtype(resample.to_float(made[rows]).mean(axis=2, keepdims=True), made.dtype)
            return gray
        planes = zip(np.moveaxis(pixels, 2, 0), _counted(progress, given), strict=True)
        return np.stack([engine.run(np.ascontiguousarray(p[..., None]), r)[..., 0] for p, r in planes], axis=2)


class _Interpolation:
    """One of the classic filters; makes any size directly."""

    scale = 4  # when nothing else is asked for

    def __init__(self, method: str) -> None:
        self.method = method

    def enlarge(self, pixels: Pixels, size: tuple[int, int], progress: Progress | None) -> Pixels:
        made = resample.resize_to(resample.to_float(pixels), size, pixels.dtype, self.method)
        if progress is not None:
            progress(1, 1)
        return made


class Upscaler:
    """A loaded generator (or interpolation); made by `fastsr.load`, used from any number of threads.

    One can be pickled, as process pools do: the other process loads the same model the same way, once.
    """

    def __init__(self, name: str, enlarger: Enlarger, loaded_as: _Loading | None = None) -> None:
        self.name = name
        """Model name."""
        self.scale = enlarger.scale
        """Factor along each axis when neither scale nor size is given."""
        self._enlarger, self._loaded_as = enlarger, loaded_as
        self._generator = enlarger if isinstance(enlarger, _Generator) else None

    @property
    def engine(self) -> str:
        """Name of the engine in use: "cpu", "onnxruntime", "torch" or "tensorrt"; "pillow" for an interpolation."""
        return "pillow" if self._generator is None else self._generator.engine.name

    @property
    def precision(self) -> str:
        """Precision in use for 8-bit pixels, after any fallback: "fp32", "bf16", "fp16" or "int8"."""
        return "fp32" if self._generator is None else self._generator.engine.precision

    @property
    def fingerprint(self) -> str:
        """What the results depend on, as a short text: equal for upscalers that make equal results."""
        weights = b"" if self._generator is None else self._generator.network.serialized
        return f"{self.name} {hashlib.sha256(weights).hexdigest()[:16]} {self.engine} {self.precision}"

    def __repr__(self) -> str:
        return f"<Upscaler {self.name} x{self.scale} on {self.engine} at {self.precision}>"

    def __reduce__(self) -> tuple[Callable[..., Upscaler], tuple[_Loading]]:
        if self._loaded_as is None:
            raise FastsrError(f"{self!r} was not made by fastsr.load, so that it cannot be pickled; load it there")
        return _kept, (self._loaded_as,)

    @overload
    def upscale(
        self,
        image: npt.NDArray[ScalarT],
        scale: float | None = None,
        size: Size | None = None,
        *,
        progress: Progress | None = None,
        allow_huge: bool = False,
    ) -> npt.NDArray[ScalarT]: ...
    @overload
    def upscale(
        self,
        image: Image.Image | File,
        scale: float | None = None,
        size: Size | None = None,
        *,
        progress: Progress | None = None,
        allow_huge: bool = False,
    ) -> Image.Image | Any: ...  # Any: a list of images for an animation
    @overload
    def upscale(
        self,
        image: TensorT,
        scale: float | None = None,
        size: Size | None = None,
        *,
        progress: Progress | None = None,
        allow_huge: bool = False,
    ) -> TensorT: ...
    def upscale(
        self,
        image: Any,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        progress: Progress | None = None,
        allow_huge: bool = False,
    ) -> Any:
        """Enlarge an image; by default by the model's own factor.

        Any other size is resampled from the model's output, once, in float.

        Args:
            image: a path or a binary file; a Pillow image; an array H x W or H x W x 1, 3 (RGB) or 4 (RGBA), uint8,
                uint16 or, in 0..1, float16, float32 or float64; or a PyTorch tensor C x H x W or N x C x H x W,
                C = 1, 3 or 4, uint8 or, in 0..1, of any float dtype. Floats from -0.5 to 1.5 are clipped to 0..1, as
                the overshoots of a resampled image are; others are refused.
            scale: factor along each axis, any number above 0.
            size: width and height of the result in pixels, instead of `scale`.
            progress: called with the number of tiles (or rows) done, and of all.
            allow_huge: read files over Pillow's limit of pixels too.

        Returns:
            The same kind, of the same dtype and, as a tensor, on the same device; a Pillow image for a path or a file,
            a list of them for an animation.

        Raises:
            ImageError: the image cannot be used.
            FastsrError: a scale or a size that makes no image, or both at once.

        """
        if self._generator is not None and self._stays_on_gpu(image, scale, size):
            return self._generator.on_device(image)
        picture = images.read(image, allow_huge=allow_huge)
        return picture.restore(self.enlarge(picture, scale, size, progress))

    def stream(
        self, frames: Iterable[Any], scale: float | None = None, size: tuple[int, int] | None = None
    ) -> Iterator[Any]:
        """Enlarge frames one after the other, each as `upscale` does and with its errors; lazy, in order.

        On a GPU, while one frame is computed, the next is taken and copied up and the one before is copied down.

        Args:
            frames: images of any kind that `upscale` takes; an array N x H x W x C and a tensor N x C x H x W are N of
                them.
            scale: as for `upscale`.
            size: as for `upscale`.

        Raises:
            FastsrError: `frames` is a single image, or nothing that images can be taken from.

        """
        return self._stream(_several(frames), scale, size)

    def _stream(self, frames: Iterable[Any], scale: float | None, size: tuple[int, int] | None) -> Iterator[Any]:
        generator = self._generator
        if generator is None or not hasattr(generator.engine, "stream"):
            yield from (self.upscale(frame, scale, size) for frame in frames)
            return
        for stays, group in itertools.groupby(frames, lambda frame: self._stays_on_gpu(frame, scale, size)):
            if stays:
                yield from (generator.on_device(frame) for frame in group)
                continue
            pictures = (images.read(frame) for frame in group)
            for plain, run in itertools.groupby(pictures, lambda picture: self._is_plain(picture, scale, size)):
                if plain:
                    yield from generator.stream(run)
                else:
                    yield from (picture.restore(self.enlarge(picture, scale, size)) for picture in run)

    def _stays_on_gpu(self, image: Any, scale: float | None, size: tuple[int, int] | None) -> bool:
        """Whether a picture on a GPU can stay there: the engine is there too, and makes the size that is wanted."""
        own = size is None and scale in (None, self.scale)
        return own and tensors.is_tensor_on_gpu(image) and self._generator is not None and self._generator.takes(image)

    def _is_plain(self, picture: Picture, scale: float | None, size: tuple[int, int] | None) -> bool:
        height, width, _ = picture.frames[0].color.shape
        own = output_size(width, height, scale, size, self.scale) == (width * self.scale, height * self.scale)
        return own and self._generator is not None and self._generator.is_plain(picture)

    def enlarge(
        self,
        picture: Picture,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        progress: Progress | None = None,
    ) -> list[Frame]:
        """Every frame of a picture (of `fastsr.images.read`) enlarged; for `images.write` or `Picture.restore`.

        Raises FastsrError for a scale or a size that makes no image.
        """
        planes = sum(1 + _transparent(f) + (f.black is not None) for f in picture.frames)
        report = _counted(progress, planes)
        out = []
        for frame in picture.frames:
            height, width = frame.color.shape[:2]
            target = output_size(width, height, scale, size, self.scale)
            out.append(self._frame(frame, target, report))
        return out

    def _frame(self, frame: Frame, size: tuple[int, int], report: Iterator[Progress | None]) -> Frame:
        def enlarge(pixels: Pixels) -> Pixels:
            return self._enlarger.enlarge(pixels, size, next(report))

        black = None if frame.black is None else enlarge(frame.black)
        if frame.alpha is None:
            return Frame(enlarge(frame.color), None, black)
        if not _transparent(frame):
            color = enlarge(frame.color)
            return Frame(color, np.full((*color.shape[:2], 1), frame.alpha.flat[0]), black)
        filled = bleed(resample.to_float(frame.color), resample.to_float(frame.alpha))
        return Frame(enlarge(resample.to_dtype(filled, frame.color.dtype)), enlarge(frame.alpha), black)


def _several(frames: Any) -> Iterable[Any]:
    """`frames` as it came. Raises FastsrError for one image: its rows, or a path's letters, are no images."""
    depth = getattr(frames, "ndim", None)
    alone = depth is not None and depth < 4
    alone = alone or isinstance(frames, (str, bytes, os.PathLike)) or hasattr(frames, "read")
    if alone or not isinstance(frames, Iterable):
        what = type(frames).__name__ if depth is None else f"{type(frames).__name__} of shape {tuple(frames.shape)}"
        raise FastsrError(
            f"frames: {what} is not several images; hand in a list or an iterator of them, or call upscale for one"
        )
    return frames


def _transparent(frame: Frame) -> bool:
    return frame.alpha is not None and not bool((resample.to_float(frame.alpha) == 1).all())


def _counted(progress: Progress | None, runs: int) -> Iterator[Progress | None]:
    """One callback per engine run; together they count to the end of all `runs`."""
    for run in range(runs):
        if progress is None:
            yield None
        else:
            yield lambda done, total, run=run: progress(run * total + done, runs * total)  # type: ignore[misc]


def output_size(
    width: int, height: int, scale: float | None, size: tuple[int, int] | None, own: float
) -> tuple[int, int]:
    """Width and height that `scale` or `size` ask for; FastsrError for both at once or values that make no image."""
    if scale is not None and size is not None:
        raise FastsrError("scale and size were both given; give one of them")
    if size is not None:
        sides = tuple(size) if isinstance(size, Sequence | np.ndarray) else ()
        if len(sides) != 2 or not all(isinstance(s, (int, float, np.number)) and s >= 1 and s % 1 == 0 for s in sides):
            raise FastsrError(f"size {size!r} is not a width and a height of at least 1 pixel")
        return _possible(sides[0], sides[1])
    factor = own if scale is None else scale
    if not isinstance(factor, (int, float, np.number)) or not math.isfinite(factor) or factor <= 0:
        raise FastsrError(f"scale {scale!r} must be a number above 0, such as 2 or 1.5")
    return _possible(max(1.0, width * factor), max(1.0, height * factor))


def _possible(width: float, height: float) -> tuple[int, int]:
    if max(width, height) > MAX_SIDE:
        raise FastsrError(f"{width:g}x{height:g} pixels are too many; a side may have up to {MAX_SIDE}")
    return round(width), round(height)


def default_model(width: int, height: int, scale: float | None, size: tuple[int, int] | None) -> str:
    """The shipped model for an image of this size when none is named: the one that fits, four times by default."""
    wanted = output_size(width, height, scale, size, 4)
    return catalog.default(max(wanted[0] / width, wanted[1] / height))


def checked_realism(realism: float | None) -> float | None:
    """`realism` as it came; FastsrError unless it is None or within 0..1."""
    if realism is not None and not (isinstance(realism, (int, float, np.number)) and 0 <= realism <= 1):
        raise FastsrError(f"realism {realism!r} must be a number from 0 (faithful) to 1 (most detail)")
    return realism


@dataclasses.dataclass(frozen=True)
class _Loading:
    """What `load` was asked for, in words that mean the same in any process on this machine."""

    model: str
    device: str
    precision: str
    engine: str
    tile: int | None
    realism: float | None
    video: bool
    changed: int  # time of change of a model's file, so that one that is exported anew is another model


def load(
    model: str | os.PathLike[str] = "fast-x4",
    device: Device = "auto",
    precision: Precision = "auto",
    engine: EngineName = "auto",
    tile: int | None = None,
    *,
    realism: float | None = None,
    video: bool = False,
    wait: bool = True,
) -> Upscaler:
    """Load a generator once for many calls.

    Args:
        model: a shipped model (see `fastsr.models()`), the path of an ONNX file (NCHW float in 0..1) or of an
            engine that `fastsr export --tensorrt` wrote, or "nearest", "bilinear", "bicubic" or "lanczos".
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", "fp16", "int8", or "auto": on a CPU fp32, on a GPU fp16. Reduced ones are faster
            where a machine has instructions for them, and less exact; `fastsr.models()` says what they cost.
        engine: "auto", "cpu", "onnxruntime", "torch" or "tensorrt".
        tile: side of the windows that large frames are cut into, halo included, in input pixels; the result does not
            depend on it.
        realism: for an adversarial model, where between its fidelity model (0: highest PSNR) and itself (1, or not
            given: most detail) the weights lie. The fidelity model is named by the card of a shipped model or by the
            metadata key "fidelity" of an ONNX file.
        video: for moving pictures, as `upscale_video` sets it: on a CPU, precision "auto" may then be a faster one
            where the model's card proves that it cannot be told from fp32, so that results may differ from one machine
            to another. 16-bit and float pixels are computed in fp32 nevertheless.
        wait: False lets another engine serve while TensorRT builds its own, the first time on a GPU, in the background.

    Raises:
        ModelError: the model is not known, cannot be read, or has no fidelity model; the message says what there is.
        EngineError: this machine cannot run it so, or `tile` or an environment variable is of no use; the message says
            what would be.
        FastsrError: a realism outside 0..1.

    """
    return _load(_loading(model, device, precision, engine, tile, realism, video), wait)


def _loading(
    model: str | os.PathLike[str],
    device: str,
    precision: str,
    engine: str,
    tile: int | None,
    realism: float | None,
    video: bool = False,
) -> _Loading:
    """Names checked, a model's file found. Raises as `load`."""
    realism = checked_realism(realism)
    selection.check(device, precision, engine, tile)
    if not isinstance(model, (str, os.PathLike)):
        known = ", ".join([*catalog.models(), *catalog.INTERPOLATIONS])
        raise ModelError(f"model {model!r} is neither a name nor a path; known: {known}")
    name, changed = os.fsdecode(model), 0
    if name in catalog.INTERPOLATIONS:
        if realism is not None:
            raise ModelError(f"{name!r} is a filter without weights; {catalog.realism_offered()}")
    else:
        path = catalog.find(name)
        changed = path.stat().st_mtime_ns
        if name not in catalog.models():
            name = str(path.absolute())
    return _Loading(name, device, precision, engine, tile, realism, video, changed)


def _load(asked: _Loading, wait: bool = True) -> Upscaler:
    if asked.model in catalog.INTERPOLATIONS:
        return Upscaler(asked.model, _Interpolation(asked.model), asked)
    path = catalog.find(asked.model)
    if file_kinds.is_engine_file(path):
        chosen = (asked.device, asked.precision, asked.engine, asked.tile, asked.realism)
        network, engine = selection.from_file(path, *chosen)
        return Upscaler(network.name, _Generator(network, engine), asked)
    network = onnx_reader.read(path)
    if asked.realism is not None:
        from fastsr.network import weight_interpolation  # onnx takes a while to import

        network = weight_interpolation.between(weight_interpolation.fidelity_of(network), network, asked.realism)
    made = selection.build(network, asked.device, asked.precision, asked.engine, asked.tile, wait, asked.video)
    exact = None
    if asked.precision == "auto" and made.precision == "int8":
        name = made.name
        exact = lambda: selection.build(network, asked.device, "fp32", name, asked.tile)  # noqa: E731
    return Upscaler(network.name, _Generator(network, made, exact), asked)


_keeping = threading.Lock()
_kept_here = functools.lru_cache(maxsize=4)(_load)


def _kept(asked: _Loading) -> Upscaler:
    """The upscaler that was asked for: loaded on first use, and kept."""
    with _keeping:
        return _kept_here(asked)


@overload
def upscale(
    image: npt.NDArray[ScalarT],
    scale: float | None = None,
    size: Size | None = None,
    model: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    *,
    engine: EngineName = "auto",
    tile: int | None = None,
    realism: float | None = None,
    progress: Progress | None = None,
    allow_huge: bool = False,
) -> npt.NDArray[ScalarT]: ...
@overload
def upscale(
    image: Image.Image | File,
    scale: float | None = None,
    size: Size | None = None,
    model: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    *,
    engine: EngineName = "auto",
    tile: int | None = None,
    realism: float | None = None,
    progress: Progress | None = None,
    allow_huge: bool = False,
) -> Image.Image | Any: ...  # Any: a list of images for an animation
@overload
def upscale(
    image: TensorT,
    scale: float | None = None,
    size: Size | None = None,
    model: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    *,
    engine: EngineName = "auto",
    tile: int | None = None,
    realism: float | None = None,
    progress: Progress | None = None,
    allow_huge: bool = False,
) -> TensorT: ...
def upscale(
    image: Any,
    scale: float | None = None,
    size: Size | None = None,
    model: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    *,
    engine: EngineName = "auto",
    tile: int | None = None,
    realism: float | None = None,
    progress: Progress | None = None,
    allow_huge: bool = False,
) -> Any:
    """Enlarge an image: `fastsr.upscale("photo.jpg").save("large.png")`.

    Takes and returns what `Upscaler.upscale` does; the model is loaded on first use and kept.

    Args:
        image: a path, a binary file, a Pillow image, a NumPy array or a PyTorch tensor.
        scale: factor along each axis; four where neither it nor `size` is given.
        size: width and height of the result in pixels, instead of `scale`.
        model: as for `load`; by default the shipped one that fits the scale.
        device: as for `load`.
        precision: as for `load`.
        engine: as for `load`.
        tile: as for `load`.
        realism: as for `load`.
        progress: as for `Upscaler.upscale`.
        allow_huge: read files over Pillow's limit of pixels too.

    Raises:
        ImageError: the image cannot be used.
        ModelError: the model is not known or cannot be read.
        EngineError: this machine cannot run it so.
        FastsrError: a scale, size or realism that cannot be.

    """
    picture = images.read(image, allow_huge=allow_huge)
    if model is None:
        height, width = picture.frames[0].color.shape[:2]
        model = default_model(width, height, scale, size)
    loaded = _kept(_loading(model, device, precision, engine, tile, realism))
    return picture.restore(loaded.enlarge(picture, scale, size, progress))
