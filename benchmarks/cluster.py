"""What a cluster costs and gains: `python -m benchmarks.cluster`, with the extras `cluster` and `video`.

Measured on this machine, as a cluster of one node that runs already: the plain command and the same with --cluster, on
photos and on a film, in turns; how long the node takes to start; how many tasks a second are handed out. From the
times of tasks and the sizes of files, a simulation tells how well 1 to 100 nodes would be used for 100 000 photos and a
film of two hours: `--paper FILE` does that alone, from an earlier run's `--out FILE`. Nothing of that was run.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import heapq
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import machine

NODES = (1, 2, 5, 10, 20, 50, 100)
CORES = 16  # of each node on paper
NETWORK = 1.25e9  # bytes a second of the driver's link on paper: 10 Gbit/s
STORE = 400 << 20  # bytes of the node's object store
TASKS = 2000  # that do nothing, by which handing out is measured


@dataclasses.dataclass(frozen=True)
class Nothing:
    """Work that takes no time."""

    def do(self, host: Any) -> int:
        """Done."""
        return 0


class NothingTask:
    """A task of such work."""

    name, size = "nothing", 1 << 30

    def __init__(self) -> None:
        self.deaths = 0

    def work(self, node: str) -> tuple[Nothing, int]:
        """The work."""
        return Nothing(), 0

    def settled(self, done: Any, node: str) -> Any:
        """As it came."""
        return done

    def after_death(self) -> None:
        """Nothing."""


def photographs(folder: Path, count: int, megapixels: float) -> None:
    """Photos of noise over smooth shades, as JPEG: for the engine's and the encoders' times what is in them counts."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    height = round(width * 3 / 4)
    drawn = np.random.default_rng(0)
    folder.mkdir()
    shades = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 100, width))[..., None]
    for number in range(count):
        small = drawn.normal(0, 9, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, axis=0).repeat(4, axis=1)
        pixels = np.clip(shades + small[:height, :width] + drawn.integers(0, 30), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.jpg", quality=92)


def film(path: Path, source: Path, seconds: float) -> None:
    """A clip, repeated until it is long enough."""
    import av

    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = given.streams.video[0]
        out = made.add_stream("libx264", rate=stream.average_rate, options={"crf": "20"})
        out.width, out.height, out.pix_fmt = stream.width, stream.height, "yuv420p"
        assert stream.average_rate is not None
        wanted, written = int(seconds * stream.average_rate), 0
        while written < wanted:
            given.seek(0, stream=stream)
            for frame in given.decode(stream):
                if written == wanted:
                    break
                frame.pts, frame.time_base = written, 1 / stream.average_rate
                made.mux(out.encode(frame))
                written += 1
        made.mux(out.encode(None))


@contextlib.contextmanager
def one_node() -> Iterator[tuple[str, float]]:
    """A cluster of this machine alone; its address, and how long it took to start."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    from ray.cluster_utils import Cluster

    cores = len(os.sched_getaffinity(0))
    options = {"num_cpus": cores, "object_store_memory": STORE, "include_dashboard": False}
    begun = time.perf_counter()
    made = Cluster(initialize_head=True, head_node_args=options)
    try:
        yield made.address, time.perf_counter() - begun
    finally:
        made.shutdown()


def timed(arguments: Sequence[str | Path]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds that a call of `fastsr upscale` takes, and what it says of each result."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "fastsr", "upscale", *map(str, arguments), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, [json.loads(line) for line in done.stdout.splitlines()]


def compared(name: str, source: Path, options: list[str], address: str, rounds: int) -> dict[str, Any]:
    """The plain command and the one on the cluster, in turns; the best of each."""
    plain: list[float] = []
    many: list[float] = []
    told: list[dict[str, Any]] = []
    target = source.parent / f"large-{source.name}"
    for _ in range(rounds):
        plain.append(timed([source, "-o", target, "--device", "cpu", "--force", *options])[0])
        seconds, told = timed([source, "-o", target, "--cluster", address, "--force", *options])
        many.append(seconds)
    best = min(plain), min(many)
    print(f"{name}: plain {best[0]:.1f} s, cluster {best[1]:.1f} s ({best[1] / best[0] - 1:+.1%})", flush=True)
    return {"plain": plain, "cluster": many, "tasks": [line["seconds"] for line in told]}


def handed_out(address: str) -> tuple[float, float]:
    """Seconds until a worker is ready, and tasks a second that are handed out and taken back."""
    from fastsr.cluster.connection import Connection
    from fastsr.cluster.pool import Pool, Size

    begun = time.perf_counter()
    with Connection(address) as connection:
        pool: Pool[NothingTask] = Pool(connection, Size(1, 1), {})
        list(pool.run([NothingTask()]))
        ready = time.perf_counter() - begun
        begun = time.perf_counter()
        list(pool.run([NothingTask() for _ in range(TASKS)]))
        rate = TASKS / (time.perf_counter() - begun)
        pool.close()
        return ready, rate


def makespan(tasks: Sequence[float], workers: int, handing: float, sent: float = 0.0) -> float:
    """Seconds that tasks take on workers, handed out one after the other.

    Args:
        tasks: seconds of each, in order.
        workers: how many there are.
        handing: seconds of the driver for each task.
        sent: seconds of the driver's link for each task, besides.

    """
    free = [0.0] * workers
    driver = end = 0.0
    for task in tasks:
        driver += max(handing, sent)
        begun = max(driver, heapq.heappop(free))
        heapq.heappush(free, begun + task)
        end = max(end, begun + task)
    return end


def paper(found: dict[str, Any]) -> None:
    """Print how well nodes would be used, by the times of tasks and of the driver."""
    drawn = random.Random(0)
    handing = 1 / found["tasks_a_second"]
    photos = [drawn.choice(found["photos"]["tasks"]) for _ in range(100_000)]
    segments = found["segments_of_two_hours"]
    length = found["film"]["tasks"][0] / found["film_segments"]  # one worker made them, one after the other
    frames = [length * drawn.uniform(0.6, 1.4) for _ in range(segments)]  # as their numbers of frames differ
    photo_bytes = found["photo_bytes"]
    print(f"on paper: nodes of {CORES} cores, the driver at {found['tasks_a_second']:.0f} tasks a second, 10 Gbit/s")
    for nodes in NODES:
        workers = nodes * CORES
        shared = sum(photos) / workers / makespan(photos, workers, handing)
        apart = sum(photos) / workers / makespan(photos, workers, handing, photo_bytes / NETWORK)
        video_workers = nodes * max(1, CORES // 4)
        film_used = sum(frames) / video_workers / makespan(frames, video_workers, handing)
        print(f"{nodes:4} nodes: photos {shared:.0%}, not shared {apart:.0%}; film of 2 h {film_used:.0%}", flush=True)
    print(f"the driver is the limit from {found['tasks_a_second'] * sum(photos) / len(photos):.0f} workers on")


def main() -> None:
    """Measure, print, and tell what that means for more machines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--megapixels", type=float, default=3)
    parser.add_argument("--clip", type=Path, help="of which the film is made; without it, none is")
    parser.add_argument("--seconds", type=float, default=60, help="of the film")
    parser.add_argument("--model", default="fast-x2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write what was measured as JSON")
    parser.add_argument("--paper", type=Path, help="only tell what an earlier run's --out means for more machines")
    arguments = parser.parse_args()
    if arguments.paper:
        paper(json.loads(arguments.paper.read_text()))
        return
    with tempfile.TemporaryDirectory() as temporary, one_node() as (address, started):
        found = measured(Path(temporary), arguments, address)
        found["start"] = started
    print(f"a node starts in {started:.1f} s, its first worker is ready after {found['ready']:.1f} s")
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1))
    if "film" in found:
        paper(found)


def measured(folder: Path, arguments: argparse.Namespace, address: str) -> dict[str, Any]:
    """All that is run on this machine."""
    ready, rate = handed_out(address)
    found: dict[str, Any] = {"machine": machine.describe(), "ready": ready, "tasks_a_second": rate}
    options = ["--model", arguments.model]
    photographs(folder / "photos", arguments.photos, arguments.megapixels)
    found["photos"] = compared("photos", folder / "photos", options, address, arguments.rounds)
    sizes = [path.stat().st_size for path in (*folder.glob("photos/*"), *folder.glob("large-photos/*"))]
    found["photo_bytes"] = sum(sizes) / arguments.photos
    if arguments.clip:
        from fastsr.video.outputs.segmented_encoder import SEGMENT
        from fastsr.video.segment_plan import planned_segments
        from fastsr.video.sources.input_spec import file_input
        from fastsr.video.sources.video_source import VideoSource

        path = folder / "film.mp4"
        film(path, arguments.clip, arguments.seconds)
        found["film"] = compared("film", path, options, address, arguments.rounds)
        with contextlib.closing(VideoSource(file_input(path))) as source:
            found["film_segments"] = len(planned_segments(source.planned() or [], SEGMENT, None))
        found["segments_of_two_hours"] = round(found["film_segments"] * 7200 / arguments.seconds)
    return found


if __name__ == "__main__":
    main()
