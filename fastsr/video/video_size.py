"""The size of a video's pictures, without decoding more than is needed to open it."""

from __future__ import annotations

import contextlib
import os

from fastsr.video.arguments import checked_rate, checked_time_range
from fastsr.video.request import Input


def size_of(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of a video file, or of numbered images, as they are stored. Raises VideoError or ImageError."""
    given = Input(os.fspath(path), deinterlace=True, rate=checked_rate(None), raw_size=None)
    with contextlib.closing(given.open(checked_time_range(None, None, None), upright=False)) as source:
        return source.info.width, source.info.height
