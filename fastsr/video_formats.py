"""What names stand for in videos: codecs, containers by suffix, numbered images, pipes.

Apart from `fastsr.video`, so that the command can offer and recognise them without loading PyAV.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

CODECS = ("h264", "hevc", "av1", "vp9", "prores")

CONTAINERS = {
    ".mp4": ("mp4", "h264"),
    ".m4v": ("mp4", "h264"),
    ".mov": ("mov", "h264"),
    ".mkv": ("matroska", "h264"),
    ".webm": ("webm", "vp9"),
}
"""Those that can be written: suffix -> FFmpeg's name, and the codec unless another is asked for."""

INPUT_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".wmv"),
        *(".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".y4m", ".h264", ".hevc", ".ivf", ".nut", ".dv"),
    )
)
"""Suffixes that inputs are taken for videos by."""

_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp", "http", "https")

PIPE = "-"
"""Standard input or output."""

NUMBER = re.compile(r"%(0?)(\d*)d")
"""The number in the name of an image sequence, such as frames/%05d.png."""


def is_image_sequence(name: str) -> bool:
    """Whether a name stands for numbered images."""
    return NUMBER.search(Path(name).name) is not None


def is_url(name: str) -> bool:
    """Whether a name is an address in the network that videos come from."""
    scheme, found, _ = name.partition("://")
    return bool(found) and scheme.lower() in _SCHEMES


def without_password(url: str) -> str:
    """An address as messages may show it."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def is_video_name(name: str) -> bool:
    """Whether a name has the suffix of a video that can be read."""
    return os.path.splitext(name)[1].lower() in INPUT_SUFFIXES  # noqa: PTH122 - of each file of a folder
