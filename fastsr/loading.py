"""`load` and `upscale`: a model found, loaded on the engine that fits, and kept for the next call."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from fastsr.engines import selection
from fastsr.engines.protocol import Device, EngineName, Precision, Progress
from fastsr.engines.registry import current_name
from fastsr.errors import FastsrError, ModelError
from fastsr.importing import lookup
from fastsr.network import catalog, file_kinds, heaviness, onnx_reader
from fastsr.output_size import Region, Size, default_model
from fastsr.pixel_upscalers import Generator, Interpolation
from fastsr.tiling.bounds import Bounds
from fastsr.tiling.bounds import checked as checked_bounds
from fastsr.upscaler import File, ScalarT, TensorT, Upscaler, opened, upscaled

if TYPE_CHECKING:
    from PIL import Image


def checked_realism(realism: float | None) -> float | None:
    """`realism` as it came; FastsrError unless it is None or within 0..1."""
    if realism is not None and not (isinstance(realism, (int, float, np.number)) and 0 <= realism <= 1):
        raise FastsrError(f"realism {realism!r} must be a number from 0 (faithful) to 1 (most detail)")
    return realism


def checked_blend(blend: float) -> float:
    """`blend` as it came; FastsrError unless it is within 0..1."""
    if isinstance(blend, bool) or not isinstance(blend, (int, float, np.number)) or not 0 <= blend <= 1:
        raise FastsrError(f"blend {blend!r} must be a number from 0 (bicubic) to 1 (the model's own result)")
    return float(blend)


@dataclasses.dataclass(frozen=True)
class LoadRequest:
    """What `load` was asked for, in words that mean the same in any process on this machine."""

    model: str
    device: str
    precision: str
    engine: str
    bounds: Bounds
    realism: float | None
    blend: float
    video: bool
    changed: int  # time of change of a model's file, so that one that is exported anew is another model

    def options(self) -> dict[str, Any]:
        """All but the model, as `load` takes them."""
        names = ("device", "precision", "engine", "realism", "blend", "video")
        return {name: getattr(self, name) for name in names} | self.bounds._asdict()

    def upscaler(self) -> Upscaler:
        """What was asked for: loaded on first use, and kept."""
        with _keeping:
            return _kept(self)

    def lighter(self) -> list[Upscaler]:
        """Shipped models of the same factor that are much lighter, loaded the same way, the heaviest first."""
        if self.model in catalog.INTERPOLATIONS:
            return []
        path = catalog.find(self.model)
        if file_kinds.is_engine_file(path):  # which does not tell how heavy it is
            return []
        found = []
        for name in heaviness.lighter(path, onnx_reader.read(path).scale):
            changed = catalog.find(name).stat().st_mtime_ns
            with contextlib.suppress(FastsrError):  # one that cannot be loaded like this one is left out
                found.append(dataclasses.replace(self, model=name, realism=None, changed=changed).upscaler())
        return found


def load(
    model: str | os.PathLike[str] = "fast-x4",
    device: Device = "auto",
    precision: Precision = "auto",
    engine: EngineName = "auto",
    tile: int | None = None,
    *,
    realism: float | None = None,
    blend: float = 1,
    video: bool = False,
    wait: bool = True,
    overlap: int | None = None,
    memory: int | str | None = None,
) -> Upscaler:
    """Load a generator once for many calls.

    Args:
        model: a shipped model (see `fastsr.models()`) or an imported one (see `fastsr models`); the path of an ONNX
            file (NCHW float in 0..1), of a file that is imported on first use (ncnn's `.param` or `.bin`, an archive
            with them, a PyTorch checkpoint) or of an engine that `fastsr export --tensorrt` wrote; or "nearest",
            "bilinear", "bicubic" or "lanczos".
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", "fp16", "int8", or "auto": on a CPU fp32, on a GPU fp16. Reduced ones are faster
            where a machine has instructions for them, and less exact; `fastsr.models()` says what they cost.
        engine: "auto", "cpu", "onnxruntime", "openvino", "torch" or "tensorrt".
        tile: side of the windows that large frames are cut into, border included, in input pixels; the result does not
            depend on it, unless `overlap` is given.
        realism: for an adversarial model, where between its fidelity model (0: highest PSNR) and itself (1, or not
            given: most detail) the weights lie. The fidelity model is named by the card of a shipped model or by the
            metadata key "fidelity" of an ONNX file.
        blend: share of the model's own result, 0 to 1; the rest is what bicubic interpolation makes of the same image.
            For any model: what it draws too strongly then looks natural.
        video: for videos, as `upscale_video` sets it: on a CPU, precision "auto" may then be a faster one
            where the model's card proves that it cannot be told from fp32, so that results may differ from one machine
            to another. 16-bit and float pixels are computed in fp32 nevertheless.
        wait: False lets another engine serve while TensorRT builds its own, the first time on a GPU, in the background.
        overlap: the border of windows, in input pixels, where it may be smaller than what a pixel depends on. Results
            then differ from the whole image's, the more the smaller it is (docs/models.md has figures). It makes
            windows possible for networks that depend on the whole image, and less costly for very deep ones.
        memory: bytes, or a text such as "2G", that a run may take beyond image, result and weights. The parts that
            images are cut into are made so small; the result does not depend on it, unless `overlap` is given.
            `Upscaler.estimate` tells what that costs. By default: what is free.

    Raises:
        ModelError: the model is not known, cannot be read, or has no fidelity model; the message says what there is.
        EngineError: this machine cannot run it so, or `tile` or an environment variable is of no use; the message says
            what would be.
        FastsrError: a realism or a blend outside 0..1.

    """
    bounds = checked_bounds(tile, overlap, memory)
    return _load(_load_request(model, device, precision, engine, bounds, realism, blend, video), wait)


def _load_request(
    model: str | os.PathLike[str],
    device: str,
    precision: str,
    engine: str,
    bounds: Bounds,
    realism: float | None,
    blend: float,
    video: bool = False,
) -> LoadRequest:
    """Names checked, a model's file found. Raises as `load`."""
    realism, blend = checked_realism(realism), checked_blend(blend)
    selection.check(device, precision, engine)
    engine = current_name(engine)
    if not isinstance(model, (str, os.PathLike)):
        known = ", ".join([*catalog.models(), *catalog.INTERPOLATIONS])
        raise ModelError(f"model {model!r} is neither a name nor a path; known: {known}")
    name, changed = os.fsdecode(model), 0
    if name in catalog.INTERPOLATIONS:
        if realism is not None:
            raise ModelError(f"{name!r} is a filter without weights; {catalog.realism_offered()}")
        if blend != 1:
            raise ModelError(f"{name!r} is a filter already; blend mixes a model's result with bicubic interpolation")
    else:
        path = lookup.find(name)
        changed = path.stat().st_mtime_ns
        if name not in catalog.models():
            name = str(path.absolute())
    return LoadRequest(name, device, precision, engine, bounds, realism, blend, video, changed)


def _load(asked: LoadRequest, wait: bool = True) -> Upscaler:
    if asked.model in catalog.INTERPOLATIONS:
        return Upscaler(asked.model, Interpolation(asked.model), asked)
    path = catalog.find(asked.model)
    if file_kinds.is_engine_file(path):
        chosen = (asked.device, asked.precision, asked.engine, asked.bounds, asked.realism, asked.blend)
        network, engine = selection.from_file(path, *chosen)
        return Upscaler(network.name, Generator(network, engine, windows=asked.bounds.changes(network)), asked)
    network = onnx_reader.read(path)
    if asked.realism is not None:
        from fastsr.network import weight_interpolation  # onnx takes a while to import

        network = weight_interpolation.between(weight_interpolation.fidelity_of(network), network, asked.realism)
    if asked.blend != 1:
        from fastsr.network import blending

        network = blending.blended(network, asked.blend)
    made = selection.build(network, asked.device, asked.precision, asked.engine, asked.bounds, wait, asked.video)
    exact = None
    if asked.precision == "auto" and made.precision == "int8":
        name = made.name
        exact = lambda: selection.build(network, asked.device, "fp32", name, asked.bounds)  # noqa: E731
    return Upscaler(network.name, Generator(network, made, exact, asked.bounds.changes(network)), asked)


_keeping = threading.Lock()
_kept = functools.lru_cache(maxsize=4)(_load)


@overload
def upscale(
    image: npt.NDArray[ScalarT],
    scale: float | None = None,
    size: Size | None = None,
    model: str | os.PathLike[str] | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    *,
    region: Region | None = None,
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
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
    region: Region | None = None,
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
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
    region: Region | None = None,
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
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
    region: Region | None = None,
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
    progress: Progress | None = None,
    allow_huge: bool = False,
) -> Any:
    """Enlarge an image: `fastsr.upscale("photo.jpg").save("large.png")`.

    Takes and returns what `Upscaler.upscale` does; the model is loaded on first use and kept.

    Args:
        image: a path, a binary file, a Pillow image, a NumPy array or a PyTorch tensor.
        scale: factor along each axis; four where neither it nor `size` is given.
        size: width and height of the result in pixels, instead of `scale`.
        model: as for `load`; by default the shipped one that fits the scale: up to 2 "fast-x2", above it "photo-x4",
            which removes noise and JPEG artifacts ("fast-x4" is faster and keeps them).
        device: as for `load`.
        precision: as for `load`.
        region: as for `Upscaler.upscale`: left, top, right and bottom of the only part of the result that is made.
        engine: as for `load`.
        tile: as for `load`.
        overlap: as for `load`.
        memory: as for `load`.
        realism: as for `load`.
        blend: as for `load`.
        progress: as for `Upscaler.upscale`.
        allow_huge: read files over Pillow's limit of pixels too.

    Raises:
        ImageError: the image cannot be used.
        ModelError: the model is not known or cannot be read.
        EngineError: this machine cannot run it so.
        FastsrError: a scale, size, region, realism or blend that cannot be.

    """
    read = opened(image, allow_huge, region)
    if model is None:
        model = default_model(*read.size, scale, size)
    bounds = checked_bounds(tile, overlap, memory)
    loaded = _load_request(model, device, precision, engine, bounds, realism, blend).upscaler()
    return upscaled(loaded, read, scale, size, progress, region)
