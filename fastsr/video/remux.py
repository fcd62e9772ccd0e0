"""The finished file: the encoded pictures, and all other streams of the source packet for packet."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer, OutputContainer
from av.container.core import Flags
from av.packet import Packet
from av.stream import Discard, Stream

from fastsr.errors import VideoError
from fastsr.video import rotation
from fastsr.video.codecs import CONTAINERS
from fastsr.video.encoders import Encoding
from fastsr.video.opening import Opening, picture_stream, reason
from fastsr.video.pictures import Pictures
from fastsr.video.timeline import Rising, Timeline, may_restart

# what a container says of itself, not of its content
_OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")
# what was measured on the picture track that is replaced
_OF_THE_PICTURES = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "encoder", "vendor_id")
# what MP4's own list of tags has; with any other key, QuickTime's list, which takes all, is written instead
_MP4_TAGS = {
    *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright", "grouping"),
    *("lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "season_number"),
    *("episode_sort", "hd_video", "gapless_playback", "media_type", "compilation", "track", "disc", "tmpo"),
    *("sort_name", "sort_artist", "sort_album_artist", "sort_album", "sort_composer", "sort_show", "creation_time"),
}


@dataclasses.dataclass(frozen=True)
class Span:
    """Which part of the other streams is kept, in seconds of the source's clock, and what becomes its zero."""

    start: Fraction | None = None
    end: Fraction | None = None
    shift: Fraction = Fraction(0)

    def has(self, time: Fraction) -> bool:
        """Whether what begins at `time` is kept."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


def write(given: Opening | None, pictures: Pictures, path: Path, target: Path, span: Span) -> int:
    """Write the file under the name `path`; `target` is what it will be called.

    Returns how many packets of other streams were too damaged to be kept. Raises VideoError, naming the stream and the
    remedy, when the container cannot hold a stream.
    """
    kind, _ = CONTAINERS[target.suffix.lower()]
    with contextlib.ExitStack() as stack:
        source = None if given is None else stack.enter_context(given.open())
        options = _options(kind, source)
        made = stack.enter_context(av.open(f"file:{path}", "w", format=kind, container_options=options))
        made.flags |= Flags.bitexact.value  # type: ignore[operator]  # no random numbers, no date of today
        damaged = _Copy(source, made, pictures, target, span, stack).run()
    kept = _count(path)
    if kept != len(pictures.times):
        raise VideoError(
            f"{target}: only {kept} of {len(pictures.times)} pictures can be read back from it, so it was not kept; "
            "the times in the input are damaged, or too far apart for this container: name another one"
        )
    return damaged


def _count(path: Path) -> int:
    """How many pictures a finished file holds."""
    with av.open(f"file:{path}", "r") as made:
        track = picture_stream(made, str(path))
        if track.frames:
            return track.frames
        for stream in made.streams:
            if stream is not track:
                stream.discard = Discard.all
        return sum(1 for packet in made.demux(track) if packet.size)


def check(given: Opening | None, encoding: Encoding, target: Path) -> None:
    """Raise VideoError, as `write` would, when the container cannot hold a stream; nothing is written."""
    kind, _ = CONTAINERS[target.suffix.lower()]
    _check_aspect(kind, encoding, target)
    nothing = Pictures(encoding, None, [], 0, tuple)
    with contextlib.ExitStack() as stack:
        source = None if given is None else stack.enter_context(given.open())
        made = av.open(io.BytesIO(), "w", format=kind, container_options=_options(kind, source))
        copy = _Copy(source, made, nothing, target, Span(), stack)
        copy.begin()
        with contextlib.suppress(av.FFmpegError):  # a file without packets, which nobody needs
            made.close()


def _check_aspect(kind: str, encoding: Encoding, target: Path) -> None:
    """Matroska has a field for the shape of samples that PyAV cannot fill; some codecs have one of their own."""
    if encoding.aspect not in (None, 1) and kind in ("matroska", "webm") and encoding.codec not in ("h264", "hevc"):
        raise VideoError(
            f"{target}: the sample aspect ratio {encoding.aspect} would be lost with {encoding.codec} here; "
            "name the output .mp4 or .mov, choose --codec h264 or hevc, or ask for a --size with square samples"
        )


def _options(kind: str, source: InputContainer | None) -> dict[str, str]:
    if kind not in ("mp4", "mov"):
        return {}
    flags = "+faststart"
    if any(key not in _MP4_TAGS for key in _metadata(source)):
        flags += "+use_metadata_tags"
    # begins of tracks are kept exactly where one clock serves them all
    clocks = [stream.time_base.denominator for stream in source.streams if stream.time_base] if source else []
    clock = math.lcm(*clocks) if clocks else 1
    exact = {"movie_timescale": str(clock)} if 1000 <= clock < 1 << 31 else {}
    return {"movflags": flags, **exact}


def _metadata(source: InputContainer | None) -> dict[str, str]:
    if source is None:
        return {}
    return {key: value for key, value in source.metadata.items() if key not in _OF_THE_FILE}


class _Copy:
    """One source on its way into one file."""

    def __init__(
        self,
        source: InputContainer | None,
        made: OutputContainer,
        pictures: Pictures,
        target: Path,
        span: Span,
        stack: contextlib.ExitStack,
    ) -> None:
        self._source, self._made, self._pictures, self._span = source, made, pictures, span
        self._target, self._stack = target, stack
        self._damaged = 0
        self._timeline, self._rising = Timeline(), Rising()
        self._streams: dict[int, Stream] = {}
        if source is None:
            self._picture = self._add_pictures()
            return
        replaced = picture_stream(source, source.name)
        for stream in source.streams:
            # a discarded one is how FFmpeg shows QuickTime's chapters, which the muxer writes from the chapters
            if stream is replaced:
                self._picture = self._add_pictures()
                self._picture.disposition = stream.disposition
                kept = {key: value for key, value in stream.metadata.items() if not key.startswith(_OF_THE_PICTURES)}
                self._picture.metadata.update(kept)
            elif stream.discard != Discard.all:
                self._streams[stream.index] = self._add(stream)

    def begin(self) -> None:
        """Write what comes before the first packet."""
        self._made.metadata.update(_metadata(self._source))
        self._made.set_chapters(list(self._chapters()))
        try:
            self._made.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._target}: {self._target.suffix} cannot hold these streams ({reason(error)}); {self._remedy()}"
            ) from error

    def run(self) -> int:
        """Write all; returns the number of packets that could not be kept."""
        self.begin()
        ticks = self._pictures.encoding.time_base
        counts_decoding = self._made.format.name in ("mp4", "mov")
        pictures = self._pictures.packets(round(self._span.shift / ticks), counts_decoding=counts_decoding)
        waiting = next(pictures, None)
        for packet, time in self._others():
            while waiting is not None and (waiting.dts or 0) * ticks <= time - self._span.shift:
                self._mux(waiting, self._picture)
                waiting = next(pictures, None)
            self._keep(packet)
        while waiting is not None:
            self._mux(waiting, self._picture)
            waiting = next(pictures, None)
        try:
            self._made.close()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self._target}: cannot be written ({reason(error)}); free space there") from error
        return self._damaged

    def _add_pictures(self) -> Stream:
        encoding, matrix = self._pictures.encoding, self._pictures.rotation
        stream: Stream
        try:
            if matrix is None:
                stream = self._made.add_stream(encoding.encoder, rate=encoding.rate)  # type: ignore[call-overload]
                encoding.configure(stream.codec_context)  # type: ignore[arg-type]
            else:
                turned = self._stack.enter_context(rotation.template(encoding, self._pictures.first(), matrix))
                stream = self._made.add_stream_from_template(turned.streams.video[0], opaque=True)
                # the muxer must see the form that the packets are in
                stream.codec_context.extradata = encoding.open().extradata
        except ValueError as error:
            raise VideoError(f"{self._target}: {error}; name the output .mkv") from None
        stream.codec_context.flags |= CodecFlags.global_header
        if encoding.codec == "hevc" and self._made.format.name in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"  # the one that Apple's players take
        stream.time_base = encoding.time_base
        return stream

    def _add(self, stream: Stream) -> Stream:
        try:
            made = _add_copy(self._made, stream)
        except ValueError:
            raise VideoError(
                f"{self._target}: {self._target.suffix} cannot hold stream {stream.index} of the input "
                f"({_what(stream)}); {self._remedy()}"
            ) from None
        made.metadata.update(stream.metadata)
        made.disposition = stream.disposition
        return made

    def _remedy(self) -> str:
        """The containers that could hold all, in words."""
        able = [s for s in CONTAINERS if _holds(s, self._source, self._pictures.encoding)]
        return f"name the output {' or '.join(able)}" if able else "remove that stream from the input"

    def _chapters(self) -> Iterator[Any]:
        """Chapters inside the span, as the span shifts them."""
        for chapter in self._source.chapters() if self._source else ():
            ticks = chapter["time_base"]
            assert ticks is not None
            begin, end, shift = chapter["start"], chapter["end"], round(self._span.shift / ticks)
            if self._span.end is not None:
                end = min(end, round(self._span.end / ticks))
            if self._span.start is not None:
                begin = max(begin, round(self._span.start / ticks))
            if begin < end or (begin == end == chapter["end"]):
                yield {**chapter, "start": begin - shift, "end": end - shift}

    def _others(self) -> Iterator[tuple[Packet[Any], Fraction]]:
        """Packets of the other streams inside the span, each with its time in seconds."""
        streams = self._source.streams if self._source else ()
        kept = [stream for stream in streams if stream.index in self._streams and stream.type != "attachment"]
        if self._source is None or not kept:
            return
        replaced = picture_stream(self._source, self._source.name)
        restarts = may_restart(self._source)
        if not restarts:
            replaced.discard = Discard.all
        packets = self._source.demux() if restarts else self._source.demux(kept)
        last: dict[int, Fraction] = {}
        while True:
            try:
                packet = next(packets, None)
            except (av.error.InvalidDataError, av.error.EOFError):
                self._damaged += 1
                return
            if packet is None:
                return
            if restarts:
                self._timeline.place(packet)
                if packet.stream_index not in self._streams:
                    continue
            if packet.size == 0 and packet.dts is None:
                continue  # how PyAV marks the end
            ticks = packet.time_base or Fraction(1)
            at = packet.dts if packet.dts is not None else packet.pts
            time = last.get(packet.stream_index, Fraction(0)) if at is None else at * ticks
            last[packet.stream_index] = time
            if self._span.has(time if packet.pts is None else packet.pts * ticks):
                yield packet, time

    def _keep(self, packet: Packet[Any]) -> None:
        """Copy a packet; one whose times no container takes is counted and left out."""
        shift = round(self._span.shift / (packet.time_base or 1))
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        if self._timeline.breaks:
            self._rising.place(packet)
        try:
            self._mux(packet, self._streams[packet.stream_index])
        except (av.error.ArgumentError, av.error.InvalidDataError, av.error.PatchWelcomeError):
            self._damaged += 1

    def _mux(self, packet: Packet[Any], stream: Stream) -> None:
        packet.stream = stream
        self._made.mux(packet)


def _add_copy(made: OutputContainer, stream: Stream) -> Stream:
    """A stream like another one. Raises ValueError when the container has no place for it."""
    if stream.type == "attachment" and made.format.name != "matroska":
        raise ValueError
    return made.add_stream_from_template(stream, opaque=True)


def _holds(suffix: str, source: InputContainer | None, encoding: Encoding) -> bool:
    """Whether a container has a place for every stream."""
    made = av.open(io.BytesIO(), "w", format=CONTAINERS[suffix][0])
    try:
        made.add_stream(encoding.encoder)  # type: ignore[call-overload]
        replaced = source and picture_stream(source, source.name)
        for stream in source.streams if source else ():
            if stream is not replaced and stream.discard != Discard.all:
                _add_copy(made, stream)
    except ValueError:
        return False
    return True


def _what(stream: Stream) -> str:
    # without a decoder PyAV does not know the codec's name
    name = stream.codec_context.name if stream.codec_context is not None else "unknown codec"
    return f"{stream.type}, {name}"
