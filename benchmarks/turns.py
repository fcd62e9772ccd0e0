"""Ways that take turns: each in a process of its own, round after round, so that what disturbs one disturbs all."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Way = Callable[[Frame], Frame]
Made = Callable[[Frame], npt.NDArray[Any]]  # a way, or what counts the frames that it has made of a file

PAUSE = 0.25  # seconds between two ways: a runtime's threads spin for up to that long before they sleep


def frame(height: int = 270, width: int = 480) -> Frame:
    """An image with edges, slopes and noise, always the same."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width] / 40
    waves = [
        127 + 80 * np.sin(x * a + y * b) + 30 * np.sign(np.sin(y * a - x * b)) for a, b in ((1, 2), (3, 1), (2, 5))
    ]
    return np.clip(np.stack(waves, axis=2) + random.normal(0, 6, (height, width, 3)), 0, 255).astype(np.uint8)


class Ended(RuntimeError):
    """The process of a way ended by itself: it crashed or was killed."""


class Runner:
    """One way in a process of its own, so that the threads of one runtime never compete with another's."""

    def __init__(self, make: Callable[..., Made], *arguments: Any, image: Callable[[], Frame] = frame) -> None:
        """`make(*arguments)` is called there, and `image()` for its input; all of that travels by pickle."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments, image), daemon=True)
        self._process.start()
        theirs.close()

    def output(self) -> npt.NDArray[np.int64]:
        """What it makes of its input. Raises Ended."""
        try:
            self._pipe.send("output")
            made: npt.NDArray[np.int64] = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise Ended(f"its process ended with status {self._process.exitcode}") from None
        return made

    def seconds(self) -> float:
        """How long it takes for it."""
        self._pipe.send("time")
        taken: float = self._pipe.recv()
        return taken

    def close(self) -> None:
        """End the process."""
        self._pipe.send("end")
        self._process.join()


def _serve(pipe: Any, make: Callable[..., Made], arguments: tuple[Any, ...], image: Callable[[], Frame]) -> None:
    run, pixels = make(*arguments), image()
    while (asked := pipe.recv()) != "end":
        begun = time.perf_counter()
        made = run(pixels)
        pipe.send(time.perf_counter() - begun if asked == "time" else made.astype(int))


def interleaved(
    runners: dict[str, Runner], rounds: int, patience: float, between: Callable[[], None] | None = None
) -> dict[str, list[float]]:
    """Milliseconds of every way in every round; after `patience` seconds, 3 rounds suffice.

    `between` is called at the beginning of each round. Ends the runners.
    """
    times: dict[str, list[float]] = {name: [] for name in runners}
    begun = time.perf_counter()
    for done in range(rounds):
        if done >= 3 and time.perf_counter() - begun > patience:
            break
        if between is not None:
            between()
        for name, runner in runners.items():
            time.sleep(PAUSE)
            times[name].append(runner.seconds() * 1e3)
    for runner in runners.values():
        runner.close()
    return times
