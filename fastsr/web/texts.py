"""What is said to visitors: errors without the server's paths, amounts, progress."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from fastsr.tiling.bounds import amount
from fastsr.web.jobs import Job

_ADDED = re.compile(r"; (?:if you trust it, use allow_huge|--folder names another|FASTSR_MODELS names)[^;]*$")


def without_paths(text: str, root: Path) -> str:
    """A message in which files below a folder are called by their names, without remedies of the server's owner."""
    return _ADDED.sub("", re.sub(rf"{re.escape(str(root))}/(?:[\w.-]+/)*", "", text))


def megapixels(width: int, height: int) -> str:
    """Pixels as people count them."""
    count = width * height / 1e6
    return f"{count:.1f} megapixels" if count < 10 else f"{count:.0f} megapixels"


def duration(seconds: float) -> str:
    """A length of time: 0.4 s, 12 s, 3:05 min, 1:02:03 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d} h"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


def how_far(what: str, job: Job[Any], unit: str = "") -> str:
    """A line on work that goes on: how much is done, how fast in `unit` a second if one is given, how long it takes."""
    if not job.total:
        return f"{what}: {job.done} {unit}s made" if job.done and unit else f"{what}: begins, or waits for its turn"
    parts = [f"{what}: {job.share:.0%}"]
    if unit:
        parts.append(f"{job.done} of {job.total} {unit}s")
        if job.rate:
            parts.append(f"{job.rate:.1f} a second")
    left = job.seconds_left
    return ", ".join([*parts, *([f"{duration(left)} left"] if left is not None else [])])


def size_on_disk(path: Path) -> str:
    """Of a file."""
    return amount(path.stat().st_size)


def progress(text: str, share: float | None = None) -> str:
    """HTML of a line, with a bar where it is known how much is done, that screen readers follow."""
    bar = ""
    if share is not None:
        percent = round(100 * share)
        bar = (
            f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
            f'aria-label="progress"><div style="width:{percent}%"></div></div>'
        )
    return f'<div class="status" role="status">{bar}<p>{html.escape(text)}</p></div>'


def faults(texts: list[str]) -> str:
    """HTML of what went wrong, one line each."""
    lines = "".join(f"<p>{html.escape(text)}</p>" for text in texts)
    return f'<div class="faults" role="alert">{lines}</div>' if texts else ""
