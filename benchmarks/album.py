"""Memory and rate over many photographs: `python -m benchmarks.album`.

`fastsr upscale FOLDER` on COUNT photographs of 1 to 12 megapixels (the demo photograph enlarged, with a camera's
noise), JPEG in, PNG out, in a process of its own. Results are deleted as soon as the next one is begun, since together
they would fill a disk. Every so many photographs, PROBED in all, are enlarged by the engine alone before and after,
decoded and not written: the rate that the command is compared with. Writes benchmarks/results/album.json; `--dry` only
prints.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import machine

RESULTS = Path(__file__).parent / "results" / "album.json"
PHOTO = Path(__file__).parent / "assets" / "photo.jpg"
MODEL = "fast-x4"
COUNT = 200
SMALLEST, LARGEST = 1e6, 12e6
PROBED = 6
PARTS = 4  # of the run, the most memory of each of which is given


def album(folder: Path, count: int) -> list[int]:
    """Write the photographs, in a seeded order; their pixels."""
    generator = np.random.default_rng(2)
    with Image.open(PHOTO) as source:
        photo = source.convert("RGB")
    pixels = np.geomspace(SMALLEST, LARGEST, count)
    generator.shuffle(pixels)
    sizes = []
    for number, area in enumerate(pixels):
        width = round((area * 4 / 3) ** 0.5)
        size = (width, width * 3 // 4)
        image = np.asarray(photo.resize(size, Image.Resampling.LANCZOS), np.int16)
        noise = generator.normal(0, 2, size[::-1]).round().astype(np.int16)  # grey, as a JPEG's chroma keeps it
        Image.fromarray((image + noise[:, :, None]).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:03}.jpg", quality=92
        )
        sizes.append(size[0] * size[1])
    return sizes


def engine(sources: list[Path]) -> float:
    """Seconds a megapixel of the network alone, on every so many of the photographs."""
    import fastsr

    upscaler = fastsr.load(MODEL)
    upscaler.upscale(np.zeros((64, 64, 3), np.uint8))
    seconds = megapixels = 0.0
    for path in sources[:: max(1, len(sources) // PROBED)]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        begun = time.perf_counter()
        upscaler.upscale(pixels)
        seconds += time.perf_counter() - begun
        megapixels += pixels.shape[0] * pixels.shape[1] / 1e6
    return seconds / megapixels


class Watch(threading.Thread):
    """Deletes finished results and notes the memory that the process held until then."""

    def __init__(self, process: int, target: Path) -> None:
        super().__init__(daemon=True)
        self.status, self.target = Path(f"/proc/{process}/status"), target
        self.peaks: list[int] = []  # MB, one for each result
        self.done = threading.Event()

    def run(self) -> None:
        peak = 0
        while not self.done.wait(0.02):
            try:
                held = re.search(r"VmRSS:\s+(\d+) kB", self.status.read_text())
            except (FileNotFoundError, ProcessLookupError):
                return
            peak = max(peak, int(held[1]) // 1024 if held else 0)
            for path in sorted(self.target.glob("*.png"))[:-1]:
                path.unlink()
                self.peaks.append(peak)
                peak = 0


def command(source: Path, target: Path) -> tuple[float, list[int]]:
    """Seconds of the command and the memory that it held for each photograph."""
    target.mkdir()
    given = ["upscale", str(source), "-o", str(target), "--model", MODEL, "--format", "png", "--quiet"]
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "fastsr", *given]) as running:
        watch = Watch(running.pid, target)
        watch.start()
        code = running.wait()
    seconds = time.perf_counter() - begun
    watch.done.set()
    watch.join()
    if code:
        raise SystemExit(code)
    return seconds, watch.peaks


def engine_apart(source: Path) -> float:
    """`engine` in a process of its own, so that both begin equal."""
    given = [sys.executable, "-m", "benchmarks.album", "--engine", str(source)]
    return float(subprocess.run(given, check=True, capture_output=True, text=True).stdout)


def text(content: dict[str, Any]) -> str:
    """Markdown: one sentence with the figures."""
    rate = content["megapixels"] * content["engine_seconds_a_megapixel"] / content["seconds"]
    return (
        f"{content['photographs']} photographs of 1 to 12 megapixels, {content['megapixels']:.0f} together: "
        f"{content['seconds']:.0f} s, {rate:.0%} of the engine's own rate; at most "
        f"{', '.join(map(str, content['peaks']))} MB of memory in its quarters."
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        print(engine(sorted(arguments.engine.iterdir())))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photographs")
        source.mkdir()
        sizes = album(source, arguments.count)
        before = engine_apart(source)
        seconds, peaks = command(source, Path(folder, "large"))
        rates = [before, engine_apart(source)]
    content = {
        "machine": machine.describe(),
        "model": MODEL,
        "photographs": len(sizes),
        "megapixels": sum(sizes) / 1e6,
        "seconds": seconds,
        "engine_seconds_a_megapixel": statistics.mean(rates),
        "engine_rates": rates,
        "peaks": [int(max(part)) for part in np.array_split(peaks, PARTS)],
    }
    print(text(content))
    if not arguments.dry:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
