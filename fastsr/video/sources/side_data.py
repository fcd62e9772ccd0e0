"""What a decoded frame carries beside its samples.

PyAV 18's `frame.side_data` frees the metadata of entries that have some (ICC profiles) twice, which ends the process,
and raises ValueError for kinds that it does not know (EXIF). So filters take away all but what is wanted before.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

WANTED = (Type.DISPLAYMATRIX, Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)
_KINDS = 128  # more than FFmpeg numbers


def side_data(frame: VideoFrame) -> dict[Type, bytes]:
    """The display matrix and HDR10's metadata, as FFmpeg lays them out in memory; nothing where it refuses to tell."""
    wanted: list[Any] = [kind.value for kind in WANTED]
    graph = Graph()
    width, height, ticks = frame.width, frame.height, Fraction(1, 1000)
    try:
        given = graph.add_buffer(width=width, height=height, format=frame.format, time_base=ticks)
        others = [graph.add("sidedata", f"mode=delete:type={kind}") for kind in range(_KINDS) if kind not in wanted]
        graph.link_nodes(given, *others, graph.add("buffersink")).configure()
        graph.vpush(frame)
        carried: Any = graph.vpull().side_data
    except (av.FFmpegError, ValueError):
        return {}
    return {kind: bytes(carried[kind]) for kind in WANTED if kind in carried}
