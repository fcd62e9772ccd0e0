"""What is copied from the source beside the upscaled video: other streams packet for packet, and chapters."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.outputs.packet_timestamps import IncreasingTimestamps
from fastsr.video.sources.input_spec import main_video_stream
from fastsr.video.sources.timestamps import ContinuousTimestamps, may_be_discontinuous
from fastsr.video_formats import CONTAINERS


@dataclasses.dataclass(frozen=True)
class CopiedSpan:
    """Which part of the other streams is kept, in seconds of the source's clock, and what becomes its zero."""

    start: Fraction | None = None
    end: Fraction | None = None
    shift: Fraction = Fraction(0)

    def has(self, time: Fraction) -> bool:
        """Whether what begins at `time` is kept."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


class CopiedStreams:
    """The streams of a source beside its main video stream, and its chapters, as far as a span reaches."""

    def __init__(self, source: InputContainer, span: CopiedSpan) -> None:
        self.damaged = 0  #: places of the source that could not be read
        self.main = main_video_stream(source, source.name)
        self._source, self._span = source, span
        self._timestamps, self._increasing = ContinuousTimestamps(), IncreasingTimestamps()

    def __iter__(self) -> Iterator[Stream]:
        """The streams that are copied."""
        return (stream for stream in self._source.streams if stream is not self.main and is_copied(stream))

    def chapters(self) -> Iterator[Any]:
        """Chapters inside the span, shifted as it says."""
        for chapter in self._source.chapters():
            ticks = chapter["time_base"]
            assert ticks is not None
            begin, end, shift = chapter["start"], chapter["end"], round(self._span.shift / ticks)
            if self._span.end is not None:
                end = min(end, round(self._span.end / ticks))
            if self._span.start is not None:
                begin = max(begin, round(self._span.start / ticks))
            if begin < end or (begin == end == chapter["end"]):
                yield {**chapter, "start": begin - shift, "end": end - shift}

    def packets(self, indices: Collection[int]) -> Iterator[tuple[Packet[Any], Fraction]]:
        """Packets of the streams of these indices inside the span, shifted, each with its time in seconds."""
        for packet, time in self._unshifted(indices):
            shift = round(self._span.shift / (packet.time_base or 1))
            if packet.pts is not None:
                packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
            if self._timestamps.breaks:
                self._increasing.adjust(packet)
            yield packet, time - self._span.shift

    def _unshifted(self, indices: Collection[int]) -> Iterator[tuple[Packet[Any], Fraction]]:
        copied = [s for s in self._source.streams if s.index in indices and s.type != "attachment"]
        if not copied:
            return
        discontinuous = may_be_discontinuous(self._source)
        if not discontinuous:
            self.main.discard = Discard.all
        packets = self._source.demux() if discontinuous else self._source.demux(copied)
        last: dict[int, Fraction] = {}
        while True:
            try:
                packet = next(packets, None)
            except (av.error.InvalidDataError, av.error.EOFError, av.error.BlockingIOError):
                self.damaged += 1
                return
            if packet is None:
                return
            if discontinuous:
                self._timestamps.adjust(packet)
                if packet.stream_index not in indices:
                    continue
            if packet.size == 0 and packet.dts is None:
                continue  # how PyAV marks the end
            ticks = packet.time_base or Fraction(1)
            at = packet.dts if packet.dts is not None else packet.pts
            time = last.get(packet.stream_index, Fraction(0)) if at is None else at * ticks
            last[packet.stream_index] = time
            if self._span.has(time if packet.pts is None else packet.pts * ticks):
                yield packet, time


def is_copied(stream: Stream) -> bool:
    """Whether a stream is one of its own; FFmpeg shows QuickTime's chapters as one too, and discards it.

    The muxer writes that one from the chapters.
    """
    return bool(stream.discard != Discard.all)


def add_copy(container: OutputContainer, stream: Stream) -> Stream:
    """A stream like another one. Raises ValueError when the container has no place for it."""
    if stream.type == "attachment" and container.format.name != "matroska":
        raise ValueError
    return container.add_stream_from_template(stream, opaque=True)


def able_containers(source: InputContainer | None, config: EncoderConfig) -> list[str]:
    """The suffixes of containers that have a place for every stream."""
    return [suffix for suffix in CONTAINERS if _holds(suffix, source, config)]


def describe(stream: Stream) -> str:
    """Kind and codec of a stream, for messages."""
    # without a decoder PyAV does not know the codec's name
    name = stream.codec_context.name if stream.codec_context is not None else "unknown codec"
    return f"{stream.type}, {name}"


def _holds(suffix: str, source: InputContainer | None, config: EncoderConfig) -> bool:
    container = av.open(io.BytesIO(), "w", format=CONTAINERS[suffix][0])
    try:
        container.add_stream(config.encoder)  # type: ignore[call-overload]
        for stream in CopiedStreams(source, CopiedSpan()) if source else ():
            add_copy(container, stream)
    except ValueError:
        return False
    return True
