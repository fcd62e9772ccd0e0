"""How long the command takes to list a folder of many files and to skip them: `python -m benchmarks.folders`.

Two folders: of texts and one image, and of small PNG and JPEG files; all results are there. Prints seconds of
processor time and of the clock, for a process of its own, its start included.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

IN_A_FOLDER = 1000
ARGUMENTS = ("--model", "nearest", "--scale", "1")


def fill(folder: Path, count: int, contents: dict[str, bytes]) -> None:
    """Files in folders of IN_A_FOLDER each, with contents by suffix in turns."""
    kinds = list(contents.items())
    for number in range(count):
        below = folder / f"{number // IN_A_FOLDER:04}"
        if number % IN_A_FOLDER == 0:
            below.mkdir(parents=True)
        suffix, content = kinds[number % len(kinds)]
        (below / f"{number:06}{suffix}").write_bytes(content)


def results(folder: Path, images: dict[str, bytes]) -> dict[str, bytes]:
    """What the command makes of each of the images."""
    for suffix, content in images.items():
        (folder / f"in{suffix}").write_bytes(content)
        command = [sys.executable, "-m", "fastsr", "upscale", f"in{suffix}", "-o", f"out{suffix}", *ARGUMENTS]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return {suffix: (folder / f"out{suffix}").read_bytes() for suffix in images}


def measure(folder: Path, name: str) -> None:
    """Run the command on a folder and print what it says and takes."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "fastsr", "upscale", name, "-o", f"{name}-out", *ARGUMENTS]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stdout + done.stderr).strip()
    print(f"{name}: {processor:.2f} s of processor time, {time.perf_counter() - begun:.2f} s: {said}")


def main() -> None:
    """Make the folders, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    images = {}
    for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG")):
        file = io.BytesIO()
        Image.new("RGB", (8, 6)).save(file, kind)
        images[suffix] = file.getvalue()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill(folder / "texts", count, {".txt": b"a text\n" * 20})
        fill(folder / "images", count, images)
        made = results(folder, images)
        fill(folder / "images-out", count, made)
        for name, content in (("texts", images[".png"]), ("texts-out", made[".png"])):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "image.png").write_bytes(content)
        measure(folder, "texts")
        measure(folder, "images")


if __name__ == "__main__":
    main()
