"""Interlaced frames: refused, or made whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import av
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fastsr.errors import VideoError


def checked_progressive(decoded: Iterator[VideoFrame], name: str) -> Iterator[VideoFrame]:
    """The frames as they came. Raises VideoError at an interlaced one."""
    for frame in decoded:
        if frame.interlaced_frame:
            raise VideoError(f"{name} is interlaced, which would be enlarged as combs; add --deinterlace")
        yield frame


def deinterlaced(decoded: Iterator[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    """One frame for each, interlaced ones made whole from their two fields and the neighbours' (bwdif)."""
    graph = Graph()
    buffer = graph.add_buffer(template=stream, time_base=stream.time_base)
    graph.link_nodes(buffer, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    for frame in itertools.chain(decoded, [None]):
        graph.vpush(frame)
        while True:
            try:
                made = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            if made.pts is not None and made.time_base is not None and stream.time_base is not None:
                made.pts = round(made.pts * made.time_base / stream.time_base)
                made.time_base = stream.time_base
            yield made
