"""Timestamps that restart or jump, as in two recordings joined to one file, made continuous for all streams together.

Containers for broadcasting (MPEG-TS and others that FFmpeg marks so) may begin to count anew anywhere. From there on
all streams are shifted by one amount, so that what follows begins where all before it has ended and stays in sync.
Whoever reads the file from its begin, with all of its streams, finds the same amounts.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.packet import Packet

_DISCONTINUOUS = 512  # AVFMT_TS_DISCONT
# seconds, as FFmpeg's own program has them
_BACK = Fraction(1, 10)  # a stream's decoding times that go back further begin anew
_AHEAD = Fraction(10)  # times that are further ahead of all streams have jumped

_SETTLED = Fraction(1)  # seconds after which streams that had nothing to say at a break are past it too
_SLACK = Fraction(1, 2)  # seconds that a stream may lie before another at a break


def may_be_discontinuous(container: InputContainer) -> bool:
    """Whether timestamps of this container can restart or jump, so that seeking by time is not to be trusted."""
    return bool(int(container.format.flags) & _DISCONTINUOUS)


@dataclasses.dataclass
class _Part:
    """What lies between two breaks: the shift of its times, and the first and last of them in the file, in seconds."""

    shift: Fraction
    first: Fraction
    last: Fraction

    def has(self, time: Fraction) -> bool:
        return self.first - _AHEAD <= time <= self.last + _AHEAD


class ContinuousTimestamps:
    """Makes the timestamps of packets continuous; they are given in the order of the file."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._part_of: dict[int, int] = {}  # of each stream
        self._last: dict[int, Fraction] = {}  # decoding time of each stream's last packet, as in the file
        self._end = Fraction(0)  # when all audio and video so far has ended, shifted

    @property
    def breaks(self) -> int:
        """How often timestamps restarted or jumped so far."""
        return max(0, len(self._parts) - 1)

    def adjust(self, packet: Packet[Any]) -> None:
        """Shift a packet's timestamps."""
        at = packet.dts if packet.dts is not None else packet.pts
        if at is None or packet.time_base is None:
            return
        time, stream = at * packet.time_base, packet.stream_index
        part = self._parts[self._choose(stream, time)]
        part.last = max(part.last, time)
        step = time - self._last.get(stream, time)
        self._last[stream] = time
        if packet.stream.type in ("video", "audio"):
            shown = time if packet.pts is None else max(time, packet.pts * packet.time_base)
            length = packet.duration * packet.time_base if packet.duration else max(Fraction(0), min(step, _SETTLED))
            self._end = max(self._end, shown + length + part.shift)
        shift = round(part.shift / packet.time_base)
        if shift:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift

    def _choose(self, stream: int, time: Fraction) -> int:
        """The part that a stream's packet is in, which may be a new one."""
        if not self._parts:
            self._parts.append(_Part(Fraction(0), time, time))
        newest = len(self._parts) - 1
        own = self._part_of.setdefault(stream, newest)
        last = self._last.get(stream)
        if last is not None and self._jumps(own, last, time):
            own = self._after_jump(stream, own, time)
        elif own < newest and self._is_past(newest, time):
            own = newest
        self._part_of[stream] = own
        return own

    def _jumps(self, own: int, last: Fraction, time: Fraction) -> bool:
        return time < last - _BACK or time > self._parts[own].last + _AHEAD

    def _after_jump(self, stream: int, own: int, time: Fraction) -> int:
        shown = self._last[stream] + self._parts[own].shift
        for number in range(len(self._parts) - 1, -1, -1):
            part = self._parts[number]
            if number != own and part.has(time) and time + part.shift >= shown - _SLACK:
                return number
        self._parts.append(_Part(self._end - time, time, time))
        return len(self._parts) - 1

    def _is_past(self, number: int, time: Fraction) -> bool:
        part = self._parts[number]
        return part.last - part.first > _SETTLED and part.has(time)
