"""The encoded track as packets to be muxed: when each picture is decoded, and how long it is shown."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from av.packet import Packet

from fastsr.video.encoders import Encoding
from fastsr.video.segments import Encoded


@dataclasses.dataclass(frozen=True)
class Pictures:
    """The encoded track.

    Attributes:
        encoding: how it was made.
        rotation: its display matrix as in FFmpeg's side data; None = shown as stored.
        times: presentation times in order of decoding, in ticks.
        last_duration: of the picture shown last, in ticks; 0 = unknown.
        encoded: gives the packets, in order of decoding.

    """

    encoding: Encoding
    rotation: bytes | None
    times: list[int]
    last_duration: int
    encoded: Callable[[], Iterable[Encoded]]

    def packets(self, shift: int, *, counts_decoding: bool = False) -> Iterator[Packet[Any]]:
        """Packets ready to be muxed, `shift` ticks earlier.

        `counts_decoding`: into a container that takes the steps between decoding times for durations, as MP4 does; the
        packet decoded last then lasts until the track is as long as its pictures are shown.
        """
        dts = decode_times(self.times)
        shown = durations(self.times, self.last_duration)
        for decoded, encoded in zip(dts, self.encoded(), strict=True):
            packet: Packet[Any] = Packet(encoded.data)
            packet.pts, packet.dts = encoded.pts - shift, decoded - shift
            packet.duration, packet.time_base = shown[encoded.pts], self.encoding.time_base
            packet.is_keyframe = encoded.key
            if counts_decoding and decoded == dts[-1]:
                length = max(time + shown[time] for time in shown) - min(shown)
                packet.duration = max(1, length - (dts[-1] - dts[0]))
            yield packet

    def first(self) -> Packet[Any]:
        """The first packet."""
        return next(self.packets(0))


def decode_times(times: list[int]) -> list[int]:
    """When to decode pictures shown at `times` (distinct, in order of decoding): rising, and never after being shown.

    The i-th picture is decoded when the one is shown that lies as many places before it as pictures are reordered.
    """
    order = sorted(times)
    rank = {time: place for place, time in enumerate(order)}
    delay = max((place - rank[time] for place, time in enumerate(times)), default=0)
    step = order[1] - order[0] if len(order) > 1 else 1
    return [order[i - delay] if i >= delay else order[0] - (delay - i) * step for i in range(len(order))]


def durations(times: list[int], last: int) -> dict[int, int]:
    """How long each picture is shown: until the next; the last as long as it says, else as the one before."""
    order = sorted(times)
    shown = {time: following - time for time, following in itertools.pairwise(order)}
    if order:
        shown[order[-1]] = last or (shown[order[-2]] if len(order) > 1 else 1)
    return shown
