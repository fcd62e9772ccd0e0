"""`fastsr serve` as its visitors meet it: `python -m benchmarks.serve [--rounds 5] [--users 20]`.

A server in a process of its own and a headless Chromium: how long the page takes to open once the server is up, from a
12-megapixel photo handed to the page to its preview, from a click on Stop to when the server computes no more, and
whether `--users` programs at once, each with such a photo, all get their result, with the server's peak memory.
Writes benchmarks/results/serve.json; `--dry` only prints.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import machine
from benchmarks.demo import PHOTO
from benchmarks.memory import MIB, forget_peak, resident

RESULTS = Path(__file__).parent / "results" / "serve.json"
SIZE = (4000, 3000)  # of the photo, pixels
STOPPED_MODEL = "photo-x4"  # whose run is stopped
USERS_MODEL, USERS_SIZE = "fast-x2", "2x"
QUIET_SHARE = 0.3  # of a core: the server is taken to compute while it takes more than that
POLL = 0.1  # seconds
PATIENCE = 600_000  # milliseconds
WHAT = {
    "start_s": "from the command to a server that answers, s",
    "open_s": "page open, s",
    "preview_s": "12-megapixel photo handed to the page until its preview is seen, s",
    "stop_s": "Stop until the server computes no more, s",
}


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int, float]]:
    """A server's address, its process and the seconds that it took to start."""
    command = [sys.executable, "-m", "fastsr", "serve", "--port", "0", "--folder", str(folder)]
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("fastsr is at "):
                    yield line.split()[3], process.pid, time.perf_counter() - begun
                    return
            raise SystemExit("fastsr serve did not start; run it to see why")
        finally:
            process.kill()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    path = os.environ.get("FASTSR_BROWSER") or found
    if path is None:
        raise SystemExit("no Chromium was found; run: apt-get install chromium, or set FASTSR_BROWSER to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def photo(path: Path) -> Path:
    """The demo's photograph, made as large as those of a phone."""
    with Image.open(PHOTO) as image:
        image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS).save(path, quality=90)
    return path


def visit(browser: Any, address: str, path: Path, process: int) -> dict[str, float]:
    """One visitor, from an empty browser to a run that is stopped; seconds by the names of `WHAT`."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(address)
    page.locator("#photo-run").wait_for()
    made = {"open_s": time.perf_counter() - begun}
    page.wait_for_timeout(1000)  # so that what the page does beside is not counted below
    begun = time.perf_counter()
    page.locator("#photos input[type=file]").set_input_files(str(path))
    page.wait_for_function(
        """() => {
            const viewer = document.querySelector("fastsr-viewer");
            return viewer?.sides?.every((side) => side.getFullyLoaded());
        }"""
    )
    made["preview_s"] = time.perf_counter() - begun
    model = page.locator("#photo-model input")
    model.click()
    model.fill(STOPPED_MODEL)
    page.locator("[role=option]", has_text=STOPPED_MODEL).first.click()
    page.wait_for_timeout(3000)  # for the preview by this model
    page.locator("#photo-run").click()
    page.locator("#photo-status [role=progressbar]").wait_for()
    if not _computes(process, 2.0):
        raise SystemExit("the server computes nothing that could be stopped; is the machine busy with something else?")
    begun = time.perf_counter()
    page.locator("#photo-stop").click()
    while _computes(process):
        pass
    made["stop_s"] = time.perf_counter() - begun - POLL
    page.locator("#photo-status").get_by_text("stopped").first.wait_for()
    context.close()
    return made


def _computes(process: int, seconds: float = POLL) -> bool:
    """Whether a process takes more than a part of a core for so long."""
    before = _cpu_seconds(process)
    time.sleep(seconds)
    return _cpu_seconds(process) - before > QUIET_SHARE * seconds


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowd(address: str, path: Path, users: int, process: int) -> dict[str, Any]:
    """So many programs at once: how many failed, how long all took, and the server's peak memory."""
    from gradio_client import Client, handle_file

    clients = [Client(address, verbose=False, download_files=False) for _ in range(users)]

    def call(client: Any) -> str | None:
        try:
            client.predict(
                handle_file(str(path)), model=USERS_MODEL, size=USERS_SIZE, format="png", api_name="/upscale"
            )
        except Exception as error:  # told in the result
            return str(error)
        return None

    forget_peak(process)
    begun = time.perf_counter()
    with ThreadPoolExecutor(users) as pool:
        faults = [fault for fault in pool.map(call, clients) if fault is not None]
    return {
        "users": users,
        "model": USERS_MODEL,
        "size": USERS_SIZE,
        "failed": len(faults),
        "faults": sorted(set(faults)),
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_mb": round(resident("VmHWM", process) / MIB),
    }


def measure(rounds: int, users: int) -> dict[str, Any]:
    """Medians over visitors, and the crowd."""
    taken: dict[str, list[float]] = {name: [] for name in WHAT}
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        path = photo(folder / "photo.jpg")
        for index in range(rounds):
            with serving(folder / f"visitor-{index}") as (address, process, seconds):
                made = {"start_s": seconds, **visit(browser, address, path, process)}
                print({key: round(value, 2) for key, value in made.items()})
                for key, value in made.items():
                    taken[key].append(value)
        with serving(folder / "crowd") as (address, process, _):
            gathered = crowd(address, path, users, process)
    rows = {name: round(statistics.median(values), 2) for name, values in taken.items()}
    return {"rounds": rounds, "photo": list(SIZE), "stopped_model": STOPPED_MODEL, "rows": rows, "crowd": gathered}


def table(content: dict[str, Any]) -> str:
    """Markdown: a row per measure."""
    lines = ["| | |", "|---|---|"]
    lines += [f"| {WHAT[name]} | {value:.2f} |" for name, value in content["rows"].items()]
    many = content["crowd"]
    lines.append(f"| {many['users']} programs at once: failed | {many['failed']} |")
    lines.append(f"| {many['users']} programs at once: all done after, s | {many['seconds']:.0f} |")
    lines.append(f"| {many['users']} programs at once: the server's peak memory, MiB | {many['peak_mb']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    content = {"machine": machine.describe(), **measure(arguments.rounds, arguments.users)}
    print(table(content))
    for fault in content["crowd"]["faults"]:
        print(fault)
    if not arguments.dry:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
