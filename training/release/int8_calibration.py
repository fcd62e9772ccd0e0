"""Calibration for int8: ranges of the tensors that convolutions read, measured on images, kept in the model's file."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image
from tqdm import tqdm

from fastsr import files
from fastsr.engines.native import engine
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.engines.precision_probe import probe
from fastsr.engines.protocol import Engine
from fastsr.importing import lookup
from fastsr.network import arithmetic, catalog, graph, half_weights, onnx_reader, quantization
from fastsr.network.graph import Graph
from training.data import synthetic_images
from training.data.image_folders import DataError, find_images
from training.measure.evaluate import low_resolution
from training.measure.precision_cost import FLAT_SIDE, PrecisionCost
from training.release import equalization

Ranges = dict[str, tuple[float, float]]
Watch = Callable[[str, npt.NDArray[Any]], None]
Pixels = npt.NDArray[Any]

IMAGES = 32
TILE = 128  # input pixels; every watched tensor of one window is in memory at once
LARGEST_TILE = 512  # of exact windows; networks that see farther run in windows of TILE with this border:
OVERLAP = 16
BINS = 2048
STEPS = 64  # of which each end of a range is tried

# The power of the error that ranges minimise. Above 2, because rounding averages out in the next convolution's sums and
# clipping, which strikes all of an edge at once, does not (the norms of Nahshan et al. 2021, LAPQ).
POWER = 3

# Text drives tensors three to five times as far as photographs do, so ranges that hold all of it leave photographs few
# values, and ranges of photographs alone fray text. Ranges between the two are tried: at these parts of the way.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
HALF = 0.5  # where the choice cannot be measured

BUDGET = 0.05  # dB of PSNR that int8 may cost before convolutions are left in float
SIDE = 64  # input pixels of the crops that tell what it costs
CROPS = 8

# Networks that take more than so many MFLOP a pixel see the middles of images and fewer photographs, and their tensors
# are tried in fewer groups: minutes of work on two cores, not hours. Colours they see all: saturated ones drive x4plus
# farther than any photograph does.
HEAVY = 10.0
FEW = 4  # every so many photographs
GROUPS = 16


@dataclasses.dataclass
class Calibration:
    """What the tensors that convolutions read hold, by kind of image.

    Attributes:
        network: with channels made equally large, where tensors are concatenated (see `equalization`).
        rings: of each tensor the first of those that are concatenated with it, which counts for them all.
        extremes: lowest and highest value by ring, over all kinds.
        counts: kind -> ring -> histogram of BINS between the extremes; each sums to 1.

    """

    network: Graph
    rings: dict[str, str]
    extremes: Ranges
    counts: dict[str, dict[str, npt.NDArray[np.float64]]]

    def ranges(self, *kinds: str) -> Ranges:
        """The ranges that suit these kinds best, each with the same weight; all kinds where none is named."""
        chosen = [self.counts[kind] for kind in kinds or self.counts]
        best = {n: best_range(np.sum([c[n] for c in chosen], axis=0), *ends) for n, ends in self.extremes.items()}
        pixels = [name for name in quantization.inputs(self.network) if name in _samples(self.network)]
        return {**dict.fromkeys(pixels, (0.0, 1.0)), **{name: best[ring] for name, ring in self.rings.items()}}


def _samples(network: Graph) -> set[str]:
    """The input, and its blocks of pixels: what holds nothing but samples of 0..1."""
    blocks = [n.outputs[0] for n in network.nodes if n.op == "SpaceToDepth" and n.inputs[0] == network.input]
    return {network.input, *blocks}


def between(few: Ranges, many: Ranges, share: float) -> Ranges:
    """Ranges that lie the `share` of the way from `few` (0) to `many` (1), by the ratio of their ends."""

    def end(a: float, b: float) -> float:
        if a * b > 0:
            return a * float((b / a) ** share)
        return a + share * (b - a)

    return {name: (end(low, many[name][0]), end(high, many[name][1])) for name, (low, high) in few.items()}


def calibrate(path: Path, images: Iterable[Path], count: int = IMAGES, low: bool = False) -> Calibration:
    """Histograms of the tensors of the float model at `path`: on `images`, on text and on flat colours and ramps.

    `count` of the images, evenly spread, are made smaller by the model's scale; with `low` they are taken as they are.
    Text, flat colours and ramps are those of `training.data.synthetic_images`. One run finds the extremes of each
    channel, a second the histograms. Networks that are HEAVY see the middles of the images, of photographs a part.
    Raises ModelError for a model without an int8 form and DataError for an image that cannot be used.
    """
    network = onnx_reader.read(path)
    read = [name for name in quantization.inputs(network) if name not in _samples(network)]
    rings = equalization.rings(network, read)
    paths = _spread(list(images), -(-count // FEW) if _heavy(network) else count)
    kinds: dict[str, Callable[[], Iterable[Pixels]]] = {
        "photographs": lambda: _photographs(paths, network, low),
        "text": lambda: _text(network),
        "flat": lambda: _smooth(network),
    }
    lows: dict[str, npt.NDArray[np.float64]] = {}
    highs: dict[str, npt.NDArray[np.float64]] = {}

    def widen(kind: str, name: str, values: npt.NDArray[Any]) -> None:
        least, most = (f(values, axis=(0, 2, 3)).astype(np.float64) for f in (np.min, np.max))
        lows[name], highs[name] = np.minimum(lows.get(name, 0.0), least), np.maximum(highs.get(name, 0.0), most)

    def watched(purpose: str, watch: Callable[[str, str, npt.NDArray[Any]], None]) -> None:
        for kind, made in kinds.items():
            engine = Watched(network, list(rings), functools.partial(watch, kind))
            for pixels in tqdm(made(), desc=f"{purpose}, {kind}", leave=False):
                engine.run(_middle(pixels) if _heavy(network) else pixels)

    watched("extremes", widen)
    network, factors = equalization.equalized(network, {n: np.maximum(-lows[n], highs[n]) for n in rings})
    ends = {n: ((lows[n] * factors[n]).min(), (highs[n] * factors[n]).max()) for n in rings}
    extremes = {
        name: (float(min(ends[n][0] for n in ring)), float(max(ends[n][1] for n in ring)))
        for name, ring in rings.items()
    }
    counts = {kind: {name: np.zeros(BINS) for name in rings} for kind in kinds}

    def fill(kind: str, name: str, values: npt.NDArray[Any]) -> None:
        counts[kind][name] += np.histogram(values, BINS, extremes[name])[0]

    watched("histograms", fill)
    of_tensor = {name: rings[equalization.parts(network, name)[0]] for name in read}
    every = {ring[0]: ring for ring in of_tensor.values()}
    shares: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    for kind, held in counts.items():
        sums = {first: np.sum([held[name] for name in ring], axis=0) for first, ring in every.items()}
        shares[kind] = {first: values / values.sum() for first, values in sums.items()}
    firsts = {name: ring[0] for name, ring in of_tensor.items()}
    return Calibration(network, firsts, {first: extremes[first] for first in every}, shares)


def best_range(counts: npt.NDArray[Any], least: float, most: float) -> tuple[float, float]:
    """The range inside `least`..`most` whose u8 values have the smallest sum of errors to the POWER.

    `counts` is the histogram of the values, `least` <= 0 <= `most`. The range returned is exactly what they span.
    """
    if least == most:
        return 0.0, 1.0  # nothing but zeros, which any range represents
    centres = (least + (np.arange(len(counts)) + 0.5) * (most - least) / len(counts))[counts > 0]
    weights = counts[counts > 0].astype(np.float64)
    shares = np.arange(1, STEPS + 1) / STEPS
    smallest, best = np.inf, (least, most)
    for low in least * shares if least < 0 else (0.0,):
        for high in most * shares if most > 0 else (0.0,):
            scale, zero = quantization.activation_parameters(low, high)
            span = -float(scale) * int(zero), float(scale) * (255 - int(zero))
            rounded = np.rint(centres / scale) * float(scale)
            error = float(weights @ np.abs(np.clip(rounded, *span) - centres) ** POWER)
            if error < smallest:
                smallest, best = error, span
    return best


def by_cost(network: Graph, ranges: Ranges, losses: PrecisionCost) -> list[tuple[str, ...]]:
    """The tensors, those first whose ranges cost least when they are alone, on all kinds of image together.

    Tensors that are concatenated go together; where there are many, so do neighbours, in GROUPS.
    """
    alone = {}
    for group in tqdm(_groups(network, ranges), desc="what each range costs", leave=False):
        some = {name: ranges[name] for name in group}
        alone[group] = losses.errors(_engine(_with_ranges(network, some), "int8").run)
    totals = [sum(errors) or 1.0 for errors in zip(*alone.values(), strict=True)]
    return sorted(alone, key=lambda group: sum(e / total for e, total in zip(alone[group], totals, strict=True)))


def _groups(network: Graph, ranges: Ranges) -> list[tuple[str, ...]]:
    """The tensors in their order, in groups that are quantized together."""
    rings: dict[str, list[str]] = {}
    held = equalization.rings(network, list(ranges))
    for name in ranges:
        rings.setdefault(held[equalization.parts(network, name)[0]][0], []).append(name)
    groups = list(rings.values())
    most = GROUPS if _heavy(network) else len(groups)
    sizes = [len(groups) * i // most for i in range(most + 1)] if len(groups) > most else range(len(groups) + 1)
    return [tuple(name for group in groups[first:last] for name in group) for first, last in itertools.pairwise(sizes)]


def affordable(
    network: Graph,
    ranges: Ranges,
    order: list[tuple[str, ...]],
    losses: PrecisionCost,
    budget: float,
    flat: int = catalog.MAX_FLAT_ERROR,
) -> Ranges:
    """`ranges` without the last of `order`, as few as it takes until int8 costs at most `budget` dB of PSNR.

    That holds for photographs and for text; no flat colour may be off by more than `flat` 8-bit steps, and int8 must
    pass the probe without which fastsr would not use it. Ramps are no part of it: 8 bits cannot hold 16, and fastsr
    never chooses int8 for 16-bit images by itself. A convolution whose input has no range stays float.
    """
    exact = _engine(network, "fp32")

    def within(kept: Ranges) -> bool:
        engine = _engine(_with_ranges(network, kept), "int8")
        return (
            probe(engine, exact, network) is None
            and losses.flat_error(engine.run) <= flat
            and max(losses.costs(engine.run, BOUND).values()) <= budget
        )

    def first(count: int) -> Ranges:
        kept = {name for group in order[:count] for name in group}
        return {name: ranges[name] for name in ranges if name in kept}

    if within(ranges):
        return ranges
    fits, exceeds = 1, len(order)  # counts; the cheapest alone is kept in any case
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if within(first(middle)):
            fits = middle
        else:
            exceeds = middle
    return first(fits)


def quantize(
    model: str,
    folders: list[Path],
    target: Path | None = None,
    count: int = IMAGES,
    low: bool = False,
    budget: float = BUDGET,
    flat: int = catalog.MAX_FLAT_ERROR,
) -> Ranges:
    """Calibrate `model` (a shipped name or an ONNX file) on images under `folders`; write its ranges into the file.

    The weights stay float: one file serves every precision. `target` is written instead where it is given. Convolutions
    stay float where int8 would cost more than `budget` dB, or turn flat colours by more than `flat` 8-bit steps (see
    `affordable`); with `low` that cannot be told. Of the ranges at SHARES those are taken with which the fewest do.
    """
    path = lookup.find(model)
    images = find_images(folders)
    found = calibrate(path, images, count, low)
    network = found.network
    few, many = found.ranges("photographs"), found.ranges()
    if low:
        ranges = between(few, many, HALF)
    else:
        losses = PrecisionCost(
            network,
            _engine(network, "fp32").run,
            synthetic_images.CALIBRATED,
            _crops(images, network)[:: FEW if _heavy(network) else 1],
            SIDE if _heavy(network) else None,
        )
        order = by_cost(network, between(few, many, HALF), losses)
        tried = [
            affordable(network, between(few, many, share), order, losses, budget, flat)
            for share in tqdm(SHARES, desc="ranges", leave=False)
        ]
        ranges = max(tried, key=lambda kept: _share(network, kept))
        print(told(network, ranges, losses))
    made = onnx.load_model_from_string(network.serialized)
    kept = {p.key: p.value for p in made.metadata_props}
    onnx.helper.set_model_props(made, {**kept, graph.RANGES: json.dumps(ranges)})
    if half_weights.widened(onnx.load_model(str(path))):
        half_weights.halved(made)
    written = target or path
    written.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(written) as temporary:
        onnx.save_model(made, str(temporary))
    return ranges


BOUND = ("photographs", "text")  # kinds that the budget is for


def told(network: Graph, ranges: Ranges, losses: PrecisionCost) -> str:
    """What int8 with these ranges costs by kind of image, and how much is int8, in one line."""
    run = _engine(_with_ranges(network, ranges), "int8").run
    costs = [f"{cost:.2f} dB of PSNR on {kind}" for kind, cost in losses.costs(run, (*BOUND, "ramps")).items()]
    return (
        f"int8 costs {', '.join(costs)}, and {losses.flat_error(run)} of 255 in flat colours; "
        f"{_share(network, ranges):.0%} of the multiplications are in int8"
    )


def _share(network: Graph, ranges: Ranges) -> float:
    """Share of the multiplications that are done in int8."""
    every = sum(_products(network, name) for name in quantization.inputs(network))
    return sum(_products(network, name) for name in ranges) / every


def _products(network: Graph, name: str) -> int:
    """Multiplications for a pixel in the convolutions that read a tensor."""
    return sum(network.weights[n.inputs[1]].size for n in network.nodes if n.op == "Conv" and n.inputs[0] == name)


def _heavy(network: Graph) -> bool:
    return arithmetic.mflop_per_pixel(network) > HEAVY


def _middle(pixels: Pixels) -> Pixels:
    """The middle of an image, SIDE by SIDE at most."""
    top, left = (max(0, length - SIDE) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def _with_ranges(network: Graph, ranges: Ranges) -> Graph:
    return dataclasses.replace(network, metadata={**network.metadata, graph.RANGES: json.dumps(ranges)})


def _engine(network: Graph, precision: str) -> Engine:
    kind = OnnxRuntimeEngine if engine.unsupported(network) else engine.NativeEngine
    return kind(network, precision, None)


def _crops(images: list[Path], network: Graph) -> list[tuple[Pixels, Pixels]]:
    """The middles of a few images: low-resolution pixels, and the originals."""
    made = []
    for path in _spread(images, CROPS):
        image = _opened(path, network, network.scale)
        side = SIDE * network.scale
        width, height = (min(side, length // network.scale * network.scale) for length in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        high = image.crop((left, top, left + width, top + height))
        made.append((_pixels(low_resolution(high, network.scale)), _pixels(high)))
    return made


class Watched(OnnxRuntimeEngine):
    """The float model, run window by window as everywhere; shows the named tensors of each window to `watch`."""

    def __init__(self, network: Graph, names: list[str], watch: Watch) -> None:
        model = onnx.load_model_from_string(network.serialized)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name != network.output)
        tile, overlap = None, None
        if network.fixed_size is None and network.radius is not None:
            tile = max(TILE, 3 * (network.radius + network.alignment))
            if tile > LARGEST_TILE:  # what a seam changes is nothing to the ranges
                tile, overlap = TILE, OVERLAP
        super().__init__(dataclasses.replace(network, serialized=model.SerializeToString()), "fp32", tile, overlap)
        self._names, self._watch = names, watch

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `WindowedEngine.forward`."""
        made, *watched = self.fetch([self.graph.output, *self._names], batch)
        for name, values in zip(self._names, watched, strict=True):
            self._watch(name, values)
        return made


def _spread(paths: list[Path], count: int) -> list[Path]:
    if count < 1:
        raise DataError(f"{count} images calibrate nothing; use at least 1")
    return [paths[i * len(paths) // count] for i in range(count)] if len(paths) > count else paths


def _photographs(paths: list[Path], network: Graph, low: bool) -> Iterator[npt.NDArray[np.uint8]]:
    for path in paths:
        image = _opened(path, network, 1 if low else network.scale)
        yield _pixels(image if low else low_resolution(image, network.scale))


def _text(network: Graph) -> Iterator[Pixels]:
    for page in (page for pages in synthetic_images.pages(synthetic_images.CALIBRATED).values() for page in pages):
        yield _pixels(low_resolution(page.convert("L" if network.channels == 1 else "RGB"), network.scale))


def _smooth(network: Graph) -> Iterator[Pixels]:
    for low, _ in synthetic_images.ramps(1):
        yield np.ascontiguousarray(low[..., : network.channels])
    for color in synthetic_images.flats(synthetic_images.CALIBRATED):
        yield np.full((FLAT_SIDE, FLAT_SIDE, network.channels), color[: network.channels], np.uint8)


def _opened(path: Path, network: Graph, least: int) -> Image.Image:
    try:
        with Image.open(path) as image:
            converted = image.convert("L" if network.channels == 1 else "RGB")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); take it out of the folder") from None
    if min(converted.size) < least:
        raise DataError(f"{path}: is too small to be made {least} times smaller; take it out")
    return converted


def _pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image).reshape(image.height, image.width, -1)
