"""Calibration for int8: ranges of the tensors that convolutions read, found on pictures, kept in the model's file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from fastsr import catalog, graph, quantized
from fastsr.engines import cpu
from fastsr.engines.base import Engine, probe
from fastsr.engines.onnx import OnnxEngine
from fastsr.graph import Graph
from training import metrics
from training.data import DataError, find_images
from training.evaluate import as_tensor, low_resolution
from training.files import replacing

Ranges = dict[str, tuple[float, float]]
Watch = Callable[[str, npt.NDArray[Any]], None]

PICTURES = 32
TILE = 128  # input pixels; every watched tensor of one window is in memory at once
BINS = 2048
STEPS = 64  # of which each end of a range is tried

# The power of the error that ranges minimise. Above 2, because rounding averages out in the next convolution's sums and
# clipping, which strikes all of an edge at once, does not (the norms of Nahshan et al. 2021, LAPQ).
POWER = 3

BUDGET = 0.05  # dB of PSNR that int8 may cost before convolutions are left in float
SIDE = 64  # input pixels of the crops that tell what it costs
CROPS = 8


def calibrate(path: Path, images: Iterable[Path], pictures: int = PICTURES, low: bool = False) -> Ranges:
    """Lowest and highest value, by tensor, of the u8 grids that suit the float model at `path` best on `images`.

    `pictures` of the images, evenly spread, are made smaller by the model's scale; with `low` they are taken as they
    are. One run finds the extremes of each tensor, a second its histogram. Raises ModelError for a model without an
    int8 form and DataError for an image that cannot be used.
    """
    network = graph.read(path)
    names = [name for name in quantized.inputs(network) if name != network.input]
    files = _spread(list(images), pictures)
    extremes = {name: (0.0, 0.0) for name in names}
    counts = {name: np.zeros(BINS, np.int64) for name in names}

    def widen(name: str, values: npt.NDArray[Any]) -> None:
        least, most = extremes[name]
        extremes[name] = min(least, float(values.min())), max(most, float(values.max()))

    def count(name: str, values: npt.NDArray[Any]) -> None:
        counts[name] += np.histogram(values, BINS, extremes[name])[0]

    for purpose, watch in (("extremes", widen), ("histograms", count)):
        engine = _Watched(network, names, watch)
        for pixels in tqdm(_pictures(files, network, low), desc=purpose, total=len(files), leave=False):
            engine.run(pixels)
    found = {name: best_range(counts[name], *extremes[name]) for name in names}
    return {network.input: (0.0, 1.0), **found}


def best_range(counts: npt.NDArray[np.int64], least: float, most: float) -> tuple[float, float]:
    """The range inside `least`..`most` whose u8 grid has the smallest sum of errors to the POWER.

    `counts` is the histogram of the values, `least` <= 0 <= `most`. The range returned is exactly what the grid spans.
    """
    if least == most:
        return 0.0, 1.0  # nothing but zeros, which any grid holds
    centres = (least + (np.arange(len(counts)) + 0.5) * (most - least) / len(counts))[counts > 0]
    weights = counts[counts > 0].astype(np.float64)
    shares = np.arange(1, STEPS + 1) / STEPS
    smallest, best = np.inf, (least, most)
    for low in least * shares if least < 0 else (0.0,):
        for high in most * shares if most > 0 else (0.0,):
            scale, zero = quantized.activation_grid(low, high)
            span = -float(scale) * int(zero), float(scale) * (255 - int(zero))
            rounded = np.rint(centres / scale) * float(scale)
            error = float(weights @ np.abs(np.clip(rounded, *span) - centres) ** POWER)
            if error < smallest:
                smallest, best = error, span
    return best


def affordable(network: Graph, ranges: Ranges, images: Iterable[Path], budget: float) -> Ranges:
    """`ranges` without those that cost most, one after the other, until int8 costs at most `budget` dB of PSNR.

    It must also pass the probe without which fastsr would not use it. The cost is measured on the luma of the middles
    of a few of `images`, high-resolution ones; what each range costs, once, alone. A convolution whose input has no
    range stays float.
    """
    tests = [_middle(path, network) for path in _spread(list(images), CROPS)]

    def made(kept: Ranges) -> list[Tensor]:
        precision = "int8" if kept else "fp32"
        engine = _engine(_with_ranges(network, kept), precision)
        return [_tensor(engine.run(low)) for low, _ in tests]

    def psnr(pictures: list[Tensor]) -> float:
        values = [metrics.psnr_y(p, high, network.scale) for p, (_, high) in zip(pictures, tests, strict=True)]
        return sum(values) / len(values)

    exact = made({})
    aim = psnr(exact) - budget

    def error(name: str) -> float:
        alone = made({name: ranges[name]})
        return sum(float((a - b).square().mean()) for a, b in zip(alone, exact, strict=True))

    def refused(kept: Ranges) -> bool:
        engine = _engine(_with_ranges(network, kept), "int8")
        return probe(engine, _engine(network, "fp32"), network) is not None

    kept, order = dict(ranges), None
    while len(kept) > 1 and (refused(kept) or psnr(made(kept)) < aim):
        if order is None:
            order = sorted(tqdm(ranges, desc="what each range costs", leave=False), key=error)
        del kept[order.pop()]
    return kept


def quantize(
    model: str,
    folders: list[Path],
    target: Path | None = None,
    pictures: int = PICTURES,
    low: bool = False,
    budget: float = BUDGET,
) -> Ranges:
    """Calibrate `model` (a shipped name or an ONNX file) on images under `folders`; write its ranges into the file.

    The weights stay float: one file serves every precision. `target` is written instead where it is given. Convolutions
    stay float where int8 would cost more than `budget` (dB; see `affordable`); with `low` that cannot be told.
    """
    path = catalog.find(model)
    network = graph.read(path)
    images = find_images(folders)
    ranges = calibrate(path, images, pictures, low)
    if not low:
        ranges = affordable(network, ranges, images, budget)
    made = onnx.load_model_from_string(network.serialized)
    kept = {p.key: p.value for p in made.metadata_props}
    onnx.helper.set_model_props(made, {**kept, graph.RANGES: json.dumps(ranges)})
    with replacing(target or path) as temporary:
        onnx.save_model(made, str(temporary))
    return ranges


def _with_ranges(network: Graph, ranges: Ranges) -> Graph:
    return dataclasses.replace(network, metadata={**network.metadata, graph.RANGES: json.dumps(ranges)})


def _engine(network: Graph, precision: str) -> Engine:
    kind = OnnxEngine if cpu.unsupported(network) else cpu.CpuEngine
    return kind(network, precision, None)


def _middle(path: Path, network: Graph) -> tuple[npt.NDArray[np.uint8], Tensor]:
    """The middle of a picture: low-resolution pixels, and the original as the measures take it."""
    picture = _opened(path, network, network.scale)
    side = SIDE * network.scale
    width, height = (min(side, length // network.scale * network.scale) for length in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    high = picture.crop((left, top, left + width, top + height))
    return _pixels(low_resolution(high, network.scale)), _tensor(_pixels(high))


def _tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    return as_tensor(np.repeat(pixels, 3 // pixels.shape[2], axis=2))


class _Watched(OnnxEngine):
    """The float model, run window by window as everywhere; shows the named tensors of each window to `watch`."""

    def __init__(self, network: Graph, names: list[str], watch: Watch) -> None:
        model = onnx.load_model_from_string(network.serialized)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != network.output)
        cut = network.fixed_size is None and network.radius is not None
        tile = max(TILE, 3 * ((network.radius or 0) + network.alignment)) if cut else None
        super().__init__(dataclasses.replace(network, serialized=model.SerializeToString()), "fp32", tile)
        self._names, self._watch = names, watch

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `TiledEngine.forward`."""
        made, *watched = self.fetch([self.graph.output, *self._names], batch)
        for name, values in zip(self._names, watched, strict=True):
            self._watch(name, values)
        return made


def _spread(files: list[Path], count: int) -> list[Path]:
    if count < 1:
        raise DataError(f"{count} pictures calibrate nothing; use at least 1")
    return [files[i * len(files) // count] for i in range(count)] if len(files) > count else files


def _pictures(files: list[Path], network: Graph, low: bool) -> Iterator[npt.NDArray[np.uint8]]:
    for path in files:
        picture = _opened(path, network, 1 if low else network.scale)
        yield _pixels(picture if low else low_resolution(picture, network.scale))


def _opened(path: Path, network: Graph, least: int) -> Image.Image:
    try:
        with Image.open(path) as image:
            picture = image.convert("L" if network.channels == 1 else "RGB")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); take it out of the folder") from None
    if min(picture.size) < least:
        raise DataError(f"{path}: is too small to be made {least} times smaller; take it out")
    return picture


def _pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image).reshape(image.height, image.width, -1)
