"""Containers that a video can be written in."""

from __future__ import annotations

from pathlib import Path

from fastsr.errors import VideoError
from fastsr.video_formats import CONTAINERS


def container_of(path: Path) -> tuple[str, str]:
    """FFmpeg's name of the container and its default codec, by the suffix. Raises VideoError for an unknown one."""
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        known = " ".join(CONTAINERS)
        raise VideoError(f"{path}: unknown suffix {path.suffix!r} of a video; use one of {known}") from None
