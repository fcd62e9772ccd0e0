"""Upscaler: one generator on one device at one precision."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from fastsr import images
from fastsr.deadline_stream import Clock, DeadlineStream, Rung
from fastsr.engines.excerpt import gathered
from fastsr.engines.gpu.tensors import DeviceImage, is_tensor_on_gpu
from fastsr.engines.protocol import Estimate, Pixels, Progress, counted
from fastsr.errors import FastsrError
from fastsr.former_names import names_of
from fastsr.images import DecodedImage, Frame, Rows
from fastsr.images.alpha import spread
from fastsr.images.sample_values import settled
from fastsr.output_size import Region, Size, output_size, part_of
from fastsr.pixel_upscalers import Generator, PixelUpscaler, QuickInterpolation
from fastsr.tiling.frame_part import FramePart

if TYPE_CHECKING:
    from PIL import Image


class _Tensor(Protocol):
    """A PyTorch tensor, to type checkers without PyTorch."""

    is_cuda: bool

    def permute(self, *dims: Any) -> Any: ...


TensorT = TypeVar("TensorT", bound=_Tensor)
ScalarT = TypeVar("ScalarT", bound=np.generic)
File = str | os.PathLike[str] | IO[bytes]

QUICKEST = "bicubic"  # what makes a frame that would be late otherwise


class Reloadable(Protocol):
    """What an upscaler was loaded as: it makes an equal one in another process."""

    def upscaler(self) -> Upscaler:
        """Loaded on first use, and kept."""
        ...

    def lighter(self) -> list[Upscaler]:
        """Lighter models of the same factor, loaded the same way, the heaviest first."""
        ...


class Upscaler:
    """A loaded generator (or interpolation); made by `fastsr.load`, used from any number of threads.

    One can be pickled, as process pools do: the other process loads the same model the same way, once.
    """

    def __init__(self, name: str, pixel_upscaler: PixelUpscaler, loaded_as: Reloadable | None = None) -> None:
        self.name = name
        """Model name."""
        self.scale = pixel_upscaler.scale
        """Factor along each axis when neither scale nor size is given."""
        self._pixel_upscaler, self._loaded_as = pixel_upscaler, loaded_as
        self._generator = pixel_upscaler if isinstance(pixel_upscaler, Generator) else None

    @property
    def engine(self) -> str:
        """Name of the engine in use: "cpu", "onnxruntime", "openvino", "torch", "tensorrt"; "pillow" for a filter."""
        return "pillow" if self._generator is None else self._generator.engine.name

    @property
    def precision(self) -> str:
        """Precision in use for 8-bit pixels, after any fallback: "fp32", "bf16", "fp16" or "int8"."""
        return "fp32" if self._generator is None else self._generator.engine.precision

    @property
    def fingerprint(self) -> str:
        """What the results depend on, as a short text: equal for upscalers that make equal results."""
        weights = b"" if self._generator is None else self._generator.network.serialized
        windows = "" if self._generator is None or not self._generator.windows else f" {self._generator.windows}"
        return f"{self.name} {hashlib.sha256(weights).hexdigest()[:16]} {self.engine} {self.precision}{windows}"

    @property
    def loaded_as(self) -> Reloadable | None:
        """What `fastsr.load` was asked for; None for one that it did not make."""
        return self._loaded_as

    def estimate(
        self,
        width: int,
        height: int,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        region: Region | None = None,
    ) -> Estimate | None:
        """What an image of this size would cost: the parts it is cut into, work done twice, memory; None on a GPU.

        Args:
            width: of the image, pixels.
            height: pixels.
            scale: as for `upscale`; says what `region` is a part of, for an image is always enlarged by the model's
                own factor first.
            size: likewise.
            region: as for `upscale`: the cost of this part of the result alone.

        Raises EngineError where its memory does not suffice, as `upscale` would before it begins; FastsrError for a
        region that reaches beyond the result.

        """
        if self._generator is None:
            return None
        if region is None:
            return self._generator.estimate(height, width)
        target = output_size(width, height, scale, size, self.scale)
        return self._generator.estimate(height, width, target, part_of(region, target))

    def __repr__(self) -> str:
        return f"<Upscaler {self.name} x{self.scale} on {self.engine} at {self.precision}>"

    def __reduce__(self) -> tuple[Callable[[], Upscaler], tuple[()]]:
        if self._loaded_as is None:
            raise FastsrError(f"{self!r} was not made by fastsr.load, so that it cannot be pickled; load it there")
        return self._loaded_as.upscaler, ()

    @overload
    def upscale(
        self,
        image: npt.NDArray[ScalarT],
        scale: float | None = None,
        size: Size | None = None,
        *,
        region: Region | None = None,
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
        region: Region | None = None,
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
        region: Region | None = None,
        progress: Progress | None = None,
        allow_huge: bool = False,
    ) -> TensorT: ...
    def upscale(
        self,
        image: Any,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        region: Region | None = None,
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
            region: left, top, right and bottom of a box in the result, in pixels, as for Pillow's `crop`. Of each frame
                only this part is made and given back, to the bytes that it has in the whole, for the work and the
                memory of what it depends on. A file with an EXIF orientation is upright, as results are. Nothing else
                of an array or a tensor is looked at, not even for values that are no image; but of one with alpha all
                is, for colours are spread into transparent pixels first.
            progress: called with how much is done, and of how much in all: tiles, or natively thousandths of the work.
                What it raises ends the run: natively within a second, elsewhere behind the tile at hand.
            allow_huge: read files over Pillow's limit of pixels too.

        Returns:
            The same kind, of the same dtype and, as a tensor, on the same device; a Pillow image for a path or a file,
            a list of them for an animation.

        Raises:
            ImageError: the image cannot be used.
            EngineError: it takes more memory than there is; told before it begins, with the remedy.
            FastsrError: a scale or a size that makes no image, or both at once; a region that reaches beyond the
                result.

        """
        return upscaled(self, opened(image, allow_huge, region), scale, size, progress, region)

    @overload
    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        deadline: None = None,
        progress: Progress | None = None,
    ) -> Iterator[Any]: ...
    @overload
    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        deadline: float,
        progress: Progress | None = None,
    ) -> DeadlineStream: ...
    def stream(
        self,
        frames: Iterable[Any],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        *,
        deadline: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Any]:
        """Enlarge frames one after the other, each as `upscale` does and with its errors; lazy, in order.

        On a GPU, while one frame is computed, the next is taken and copied up and the one before is copied down; not
        with a deadline. On the CPU, the native engine computes only what depends on pixels that differ from those of
        the frame before.

        Args:
            frames: images of any kind that `upscale` takes; an array N x H x W x C and a tensor N x C x H x W are N of
                them.
            scale: as for `upscale`.
            size: as for `upscale`.
            deadline: seconds from when a frame is taken until its result is given back, for sources that do not wait,
                such as a camera: 0.04 for 25 frames a second, less what is done with each result. A frame that this
                model would make too late, by how long it took lately, is made by a lighter shipped model of the same
                factor, or by bicubic interpolation. What comes back then counts that: `made_by` (name -> frames) and
                `late`, the frames that were late all the same.
            progress: as for `upscale`, for each frame anew; not where a GPU works on several at once.

        Raises:
            FastsrError: `frames` is a single image, or nothing that images can be taken from; a deadline of no time.

        """
        several = _several(frames)
        if deadline is not None:
            return in_time(self, several, scale, size, deadline, progress=progress)
        return self._stream(several, scale, size, progress)

    def _stream(
        self, frames: Iterable[Any], scale: float | None, size: tuple[int, int] | None, progress: Progress | None
    ) -> Iterator[Any]:
        images_read = (opened(frame) for frame in frames)
        overlapped = self._generator if self._generator is not None and self._generator.streams else None
        following = for_stream(self)
        for together, run in itertools.groupby(images_read, lambda image: self._is_plain(image, scale, size)):
            if together and overlapped is not None:
                yield from overlapped.stream(image for image in run if isinstance(image, DecodedImage))
            else:
                yield from (upscaled(following, image, scale, size, progress) for image in run)

    def _is_plain(self, image: DecodedImage | DeviceImage, scale: float | None, size: tuple[int, int] | None) -> bool:
        """Whether an image in the host's memory goes through the engine as it is, at the engine's own scale."""
        if isinstance(image, DeviceImage) or self._generator is None:
            return False
        height, width, _ = image.frames[0].color.shape
        factor = self._generator.network.scale
        own = output_size(width, height, scale, size, self.scale) == (width * factor, height * factor)
        return own and self._generator.is_plain(image)

    def enlarge(
        self,
        picture: DecodedImage,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        progress: Progress | None = None,
        region: Region | None = None,
    ) -> list[Frame]:
        """Every frame of an image (of `fastsr.images.read`) enlarged; for `images.write` or `DecodedImage.restore`.

        With `region`, that part of each, as for `upscale`; then of `fastsr.images.view` too. Raises FastsrError for a
        scale or a size that makes no image, and a region that reaches beyond one.
        """
        targets = []
        for frame in picture.frames:
            height, width = frame.color.shape[:2]
            target = output_size(width, height, scale, size, self.scale)
            targets.append((target, None if region is None else part_of(region, target)))
        report = counted(progress, sum(1 + f.transparent + (f.black is not None) for f in picture.frames))
        return [self._frame(frame, *target, report) for frame, target in zip(picture.frames, targets, strict=True)]

    def rows(
        self,
        image: DecodedImage,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        progress: Progress | None = None,
        region: Region | None = None,
    ) -> Rows | None:
        """What `enlarge` would make, as rows that are made while they are taken; for `images.write_rows`.

        None where that would save nothing: for several frames, transparency, CMYK, and engines that make frames whole.

        Args:
            image: one of `fastsr.images.read`.
            scale: as for `upscale`.
            size: as for `upscale`.
            progress: as for `upscale`.
            region: as for `upscale`.

        Raises:
            FastsrError: a scale, a size or a region that makes no image; taking the rows raises what `enlarge` would.

        """
        frame = image.frames[0]
        plain = len(image.frames) == 1 and frame.alpha is None and frame.black is None
        if not plain or self._generator is None or not self._generator.makes_bands(frame.color):
            return None
        height, width, channels = frame.color.shape
        target = output_size(width, height, scale, size, self.scale)
        if region is None:
            bands, shape = self._generator.bands(frame.color, target, progress), (target[1], target[0], channels)
        else:
            part = part_of(region, target)
            bands = self._generator.part_bands(frame.color, target, part, progress)
            shape = part.height, part.width, channels
        return Rows(shape, frame.color.dtype, bands)

    def _frame(
        self,
        frame: Frame,
        size: tuple[int, int],
        part: FramePart | None,
        report: Iterator[Progress | None],
    ) -> Frame:
        def enlarge(pixels: Pixels) -> Pixels:
            if part is None:
                return self._pixel_upscaler.enlarge(pixels, size, next(report))
            return gathered(self._pixel_upscaler.part_bands(pixels, size, part, next(report)), part.height)

        black = None if frame.black is None else enlarge(frame.black)
        if frame.alpha is None:
            return Frame(enlarge(frame.color), None, black)
        if not frame.transparent:
            color = enlarge(frame.color)
            return Frame(color, np.full((*color.shape[:2], 1), settled(frame.alpha[:1, :1], "image")), black)
        filled = spread(frame.color, frame.alpha) if part is None else frame.spread
        return Frame(enlarge(filled), enlarge(frame.alpha), black)


def opened(image: Any, allow_huge: bool = False, region: Region | None = None) -> DecodedImage | DeviceImage:
    """What a user hands in, read; a tensor on a GPU stays where it is. For a region of its enlargement, only viewed:
    then a tensor is copied to the host, which takes less time than enlarging all of it. Raises ImageError as
    `images.read`.
    """
    if region is not None:
        return images.view(image, allow_huge=allow_huge)
    if is_tensor_on_gpu(image) and image.ndim in (3, 4):
        return DeviceImage(image)
    return images.read(image, allow_huge=allow_huge)


def upscaled(
    upscaler: Upscaler,
    image: DecodedImage | DeviceImage,
    scale: float | None = None,
    size: Size | None = None,
    progress: Progress | None = None,
    region: Region | None = None,
) -> Any:
    """What `opened` gave, enlarged, as the kind that the user handed in. A tensor on a GPU is copied to the host only
    where the engine is not on that GPU or another size than its own is wanted.
    """
    if isinstance(image, DeviceImage):
        generator = upscaler._generator
        asked = upscaler.scale if scale is None else scale
        if generator is not None and size is None and asked == generator.network.scale and generator.takes(image):
            return generator.on_device(image)
        image = images.read(image.tensor)
    return image.restore(upscaler.enlarge(image, scale, size, progress, region))


def ladder(upscaler: Upscaler) -> list[Upscaler]:
    """A model and lighter ones that can take its place to save time, the heaviest first."""
    return [upscaler] if upscaler._loaded_as is None else [upscaler, *upscaler._loaded_as.lighter()]


def for_stream(upscaler: Upscaler) -> Upscaler:
    """One for the frames of one stream, in order, which makes the same: see `Generator.for_stream`."""
    generator = upscaler._generator
    return upscaler if generator is None else Upscaler(upscaler.name, generator.for_stream())


def in_time(
    upscaler: Upscaler,
    frames: Iterable[Any],
    scale: float | None,
    size: Size | None,
    deadline: float,
    available: Clock | None = None,
    progress: Progress | None = None,
) -> DeadlineStream:
    """`Upscaler.stream` with a deadline; `available` as for `DeadlineStream`."""
    rungs = [*ladder(upscaler), Upscaler(QUICKEST, QuickInterpolation(QUICKEST))]
    factor = upscaler.scale if scale is None and size is None else scale

    def rung(made_by: Upscaler) -> Rung:
        following = for_stream(made_by)
        return Rung(made_by.name, lambda image: upscaled(following, image, factor, size, progress))

    return DeadlineStream(map(opened, frames), [rung(one) for one in rungs], deadline, available)


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


__getattr__ = names_of(__name__)  # what moved to fastsr.loading and fastsr.output_size
