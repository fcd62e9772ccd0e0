"""Photographs from file to file: `python -m benchmarks.photos [FOLDER]`.

`fastsr upscale` beside the loops that people write with Pillow and PyTorch, Pillow and ONNX Runtime, or OpenCV: JPEG
in, PNG out, the same weights, each in a process of its own, in turns. Without a folder the photographs are parts of the
demo photograph, scaled to COUNT sizes of 0.25 to 0.5 megapixels. Seconds are those of the loop, without imports and
loading; "engine alone" is fastsr's network on photographs that are decoded already, none of them written. Writes
benchmarks/results/photos.json; `--dry` only prints. Peers that are not installed or fail are named and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import machine

RESULTS = Path(__file__).parent / "results" / "photos.json"
PHOTO = Path(__file__).parent / "assets" / "photo.jpg"
MODEL = "fast-x4"
COUNT = 6
ENGINE = "engine alone"
WAYS = ("fastsr upscale", ENGINE, "Pillow + PyTorch", "Pillow + ONNX Runtime", "OpenCV dnn")
STAGES = ("decode", "network", "encode")


class Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what lies within."""
        begun = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - begun

    def called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose calls are counted."""

        def timed(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return timed


def photographs(folder: Path) -> None:
    """Write the set that is measured without a folder."""
    with Image.open(PHOTO) as source:
        photo = source.convert("RGB")
    for index in range(COUNT):
        megapixels = 0.25 + 0.25 * index / (COUNT - 1)
        width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
        left = index * 16
        part = photo.crop((left, left, left + 384, left + 288))
        part = part.resize((width, width * 3 // 4), Image.Resampling.LANCZOS)
        part.save(folder / f"{index:03}.jpg", quality=92)


def command(sources: list[Path], target: Path, clock: Clock) -> float:
    """`fastsr upscale` in this process. What stages take in threads at the same time adds up to more than the whole."""
    from fastsr import images
    from fastsr.cli import command as cli
    from fastsr.cli.models import Models
    from fastsr.upscaler import Upscaler

    loading: list[float] = []

    def loaded(self: Models, *arguments: Any, load: Any = Models.load, **options: Any) -> Any:
        begun = time.perf_counter()
        made = load(self, *arguments, **options)
        made.upscale(np.zeros((64, 64, 3), np.uint8))  # as the loops begin
        loading.append(time.perf_counter() - begun)
        return made

    def rows(self: Upscaler, *arguments: Any, make: Any = Upscaler.rows, **options: Any) -> Any:
        made = make(self, *arguments, **options)
        return None if made is None else images.Rows(made.shape, made.dtype, _timed(made.bands, clock))

    def write_rows(*arguments: Any, write: Any = images.write_rows, **options: Any) -> None:
        before = clock.seconds["network"]
        with clock.stage("encode"):
            write(*arguments, **options)
        clock.seconds["encode"] -= clock.seconds["network"] - before  # rows are made while they are written

    for owner, name, made in (
        (Models, "load", loaded),
        (Upscaler, "rows", rows),
        (Upscaler, "enlarge", clock.called("network", Upscaler.enlarge)),
        (images, "read", clock.called("decode", images.read)),
        (images, "write", clock.called("encode", images.write)),
        (images, "write_rows", write_rows),
    ):
        setattr(owner, name, made)
    begun = time.perf_counter()
    code = cli.main(["upscale", *map(str, sources), "-o", str(target), "--model", MODEL, "--format", "png", "--quiet"])
    if code:
        raise SystemExit(code)
    return time.perf_counter() - begun - sum(loading)


def _timed(bands: Iterator[Any], clock: Clock) -> Iterator[Any]:
    while True:
        with clock.stage("network"):
            band = next(bands, None)
        if band is None:
            return
        yield band


def engine(sources: list[Path], _: Path, clock: Clock) -> float:
    """The network alone."""
    import fastsr

    upscaler = fastsr.load(MODEL)
    decoded = [np.asarray(Image.open(path).convert("RGB")) for path in sources]
    upscaler.upscale(decoded[0][:64, :64])
    begun = time.perf_counter()
    for pixels in decoded:
        with clock.stage("network"):
            upscaler.upscale(pixels)
    return time.perf_counter() - begun


def loop(run: Callable[[Any], Any]) -> Callable[[list[Path], Path, Clock], float]:
    """What a user writes around a network: Pillow's reader and writer, one photograph after the other."""

    def loop_with_pillow(sources: list[Path], target: Path, clock: Clock) -> float:
        run(np.zeros((64, 64, 3), np.uint8))
        begun = time.perf_counter()
        for path in sources:
            with clock.stage("decode"):
                pixels = np.asarray(Image.open(path).convert("RGB"))
            with clock.stage("network"):
                made = run(pixels)
            with clock.stage("encode"):
                Image.fromarray(made).save(target / f"{path.stem}.png")
        return time.perf_counter() - begun

    return loop_with_pillow


def opencv(sources: list[Path], target: Path, clock: Clock) -> float:
    """The same with OpenCV's reader, network and writer."""
    import cv2

    from fastsr.network import catalog

    network: Any = cv2.dnn.readNetFromONNX(str(catalog.find(MODEL)))

    def run(pixels: Any) -> Any:
        network.setInput(cv2.dnn.blobFromImage(pixels, 1 / 255, swapRB=True))
        made = network.forward()[0].transpose(1, 2, 0)
        return cv2.cvtColor(np.rint(made.clip(0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2BGR)

    run(np.zeros((64, 64, 3), np.uint8))
    begun = time.perf_counter()
    for path in sources:
        with clock.stage("decode"):
            pixels = cv2.imread(str(path))
        with clock.stage("network"):
            made = run(pixels)
        with clock.stage("encode"):
            cv2.imwrite(str(target / f"{path.stem}.png"), made)
    return time.perf_counter() - begun


def peer(way: str) -> Callable[[list[Path], Path, Clock], float]:
    """What measures a way; raises ImportError where it is not installed."""
    if way == "fastsr upscale":
        return command
    if way == ENGINE:
        return engine
    if way == "OpenCV dnn":
        return opencv
    from benchmarks import cpu_engines
    from fastsr.network import catalog, onnx_reader

    network = onnx_reader.read(catalog.find(MODEL))
    if way == "Pillow + PyTorch":
        return loop(cpu_engines.eager(network, last=True))
    return loop(cpu_engines.session(network.serialized, network.input))


def child(way: str, source: Path, target: Path) -> None:
    """One way over all photographs, in its own process; prints its seconds as JSON."""
    clock = Clock()
    seconds = peer(way)(sorted(source.iterdir()), target, clock)
    print(json.dumps({"seconds": seconds, **clock.seconds}))


def measured(way: str, source: Path, target: Path) -> dict[str, float] | None:
    """One way in a process of its own; None where it failed, which is printed."""
    given = [sys.executable, "-m", "benchmarks.photos", str(source), "--child", way, str(target)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"left out: {way}: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def differs(ours: Path, theirs: Path) -> bool:
    """Whether results are more than a level of 255 apart, or one is missing."""
    for path in sorted(ours.iterdir()):
        other = theirs / path.name
        if not other.exists():
            return True
        pairs = [np.asarray(Image.open(file)).astype(int) for file in (path, other)]
        if np.abs(pairs[0] - pairs[1]).max() > 1:
            return True
    return False


def measure(source: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of every way that runs and makes the same photographs."""
    taken: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for way in list(taken):
                target = Path(folder, f"{turn}-{way}")
                target.mkdir()
                row = measured(way, source, target)
                if row is None or (turn == 0 and way != ENGINE and differs(Path(folder, f"0-{WAYS[0]}"), target)):
                    print(f"left out: {way}")
                    del taken[way]
                    continue
                taken[way].append(row)
                print(f"{way}: {row}", flush=True)
    return {way: {key: statistics.median(r[key] for r in rows) for key in rows[0]} for way, rows in taken.items()}


def table(content: dict[str, Any]) -> str:
    """Markdown: a row per way."""
    rows = content["rows"]
    lines = [
        "| | seconds | decode | network | encode | of the engine's own rate |",
        "|---|---|---|---|---|---|",
    ]
    alone = rows[ENGINE]["seconds"]
    for way, row in rows.items():
        stages = [f"{row[stage]:.1f}" if row[stage] or way != ENGINE else "" for stage in STAGES]
        rate = f"{alone / row['seconds']:.0%}" if way == WAYS[0] else ""
        lines.append(f"| {way} | {row['seconds']:.1f} | " + " | ".join(stages) + f" | {rate} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of JPEG photographs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    parser.add_argument("--child", nargs=2, metavar=("WAY", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], arguments.folder, Path(arguments.child[1]))
        return
    with tempfile.TemporaryDirectory() as made:
        if arguments.folder is None:
            photographs(Path(made))
        source = arguments.folder or Path(made)
        sizes = [Image.open(path).size for path in sorted(source.iterdir())]
        rows = measure(source, arguments.rounds)
    megapixels = round(sum(width * height for width, height in sizes) / 1e6, 1)
    content = {
        "machine": machine.describe(),
        "model": MODEL,
        "photographs": len(sizes),
        "megapixels": megapixels,
        "rounds": arguments.rounds,
        "rows": rows,
    }
    print(table(content))
    if not arguments.dry:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
