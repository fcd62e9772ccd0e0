"""Timestamps of the packets that are muxed: when frames are decoded and how long they are shown."""

from __future__ import annotations

import itertools
from typing import Any

from av.packet import Packet


def decode_times(times: list[int]) -> list[int]:
    """When to decode frames shown at `times` (distinct, in order of decoding): increasing, and never after being shown.

    The i-th frame is decoded when the one is shown that lies as many places before it as frames are reordered.
    """
    order = sorted(times)
    rank = {time: place for place, time in enumerate(order)}
    delay = max((place - rank[time] for place, time in enumerate(times)), default=0)
    step = order[1] - order[0] if len(order) > 1 else 1
    return [order[i - delay] if i >= delay else order[0] - (delay - i) * step for i in range(len(order))]


def durations(times: list[int], last: int) -> dict[int, int]:
    """How long each frame is shown: until the next; the last as long as it says, else as the one before."""
    order = sorted(times)
    shown = {time: following - time for time, following in itertools.pairwise(order)}
    if order:
        shown[order[-1]] = last or (shown[order[-2]] if len(order) > 1 else 1)
    return shown


class IncreasingTimestamps:
    """Decoding times of copied streams that go back a little where two parts meet, moved on by a tick each."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def adjust(self, packet: Packet[Any]) -> None:
        """Move a packet behind the one before it in its stream."""
        if packet.dts is None:
            return
        least = self._last.get(packet.stream_index)
        if least is not None and packet.dts <= least:
            packet.dts = least + 1
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        self._last[packet.stream_index] = packet.dts
