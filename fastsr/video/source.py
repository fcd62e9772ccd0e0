"""The picture track of a file or a pipe: what it is, and its frames, decoded."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph
from av.packet import Packet
from av.sidedata.sidedata import Type
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fastsr.errors import VideoError
from fastsr.video.colors import Colors, Reader, colors_of, is_deep
from fastsr.video.frames import Chooser, Cut, Frame, Mark
from fastsr.video.hdr import Hdr, hdr_of
from fastsr.video.memory import SHORTAGE, has_room
from fastsr.video.opening import Opening, picture_stream
from fastsr.video.side_data import side_data
from fastsr.video.timeline import Timeline, may_restart
from fastsr.video.upright import Turn, degrees, turn_of

_IDENTITY = struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_WILD = Fraction(10)  # seconds between decoding and showing that need an explanation
_ROOM = 64 << 20  # bytes, without which many decoders cannot begin
_REORDERED = 32  # pictures, more than any codec reorders
_FALLBACK_RATE = Fraction(25)  # of tracks that do not say theirs; the times of pictures do not depend on it


@dataclasses.dataclass(frozen=True)
class Track:
    """What is known of a picture track.

    Attributes:
        width: in pixels, before `rotation`.
        height: in pixels, before `rotation`.
        pix_fmt: FFmpeg's name of how samples are stored.
        colors: what the stream says of its colours.
        time_base: seconds a tick.
        rate: frames a second, on average.
        aspect: of one sample, width to height; None = unknown.
        begin: when the first picture of the whole track is shown, in ticks.
        rotation: the display matrix, nine 32-bit numbers; None = shown as stored.
        hdr: HDR10's static metadata.
        transparent: whether the first picture shows what lies behind it.
        frames: how many pictures are wanted, as far as the file says; None = unknown.

    """

    width: int
    height: int
    pix_fmt: str
    colors: Colors
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None = None
    begin: int = 0
    rotation: bytes | None = None
    hdr: Hdr | None = None
    transparent: bool = False
    frames: int | None = None


class VideoSource:
    """One picture track that frames are decoded from; to be closed after use."""

    def __init__(
        self, given: Opening, cut: Cut | None = None, *, deinterlace: bool = False, upright: bool = False
    ) -> None:
        """Open it and decode its first frame; with `upright`, pixels are turned as the track's display matrix says.

        Raises VideoError for what is no video, holds no frame that can be decoded, has colours that cannot be
        converted, or is interlaced while `deinterlace` is False.
        """
        self.name = given.name
        self.damaged = 0  #: packets that could not be decoded
        self.squeezed = 0  #: pictures that follow at once, for their own times went back
        self._opening, self._cut, self._deinterlace = given, cut or Cut(), deinterlace
        self._as_opened = given.identity()
        self._container = given.open()
        try:
            self._stream = picture_stream(self._container, self.name)
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                if not has_room(_ROOM):  # decoders do not say why they gave up
                    raise VideoError(f"{self.name}: {SHORTAGE}")
                raise VideoError(f"{self.name}: none of its frames can be decoded; check the file")
            self._begin = _time(first) or 0
            self._untouched: Iterator[VideoFrame] | None = itertools.chain([first], self._decoded)
            self.track = self._describe(first)
            _check(self.name, first, self.track.colors)
            self._reader = Reader(self.track.colors, self.track.width, self.track.height)
            self._stored = self.track.width, self.track.height
            self._turn: Turn | None = None
            if upright and self.track.rotation is not None:
                self._set_upright(self.track.rotation)
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def frames(self, mark: Mark | None = None) -> Iterator[Frame]:
        """The frames that are wanted, from `mark` on where one is given, numbered as in the whole.

        Raises VideoError for a frame that is interlaced or of another size than the first, and when a mark is given but
        what was there is there no more.
        """
        if mark is None:
            yield from self._converted(self._wanted(self._from(self._start())), 0)
            return
        frames = self._converted(self._wanted(self._from(mark.pts), mark.pts), mark.index)
        first = next(frames, None)
        if first is None or (first.pts, first.digest) != (mark.pts, mark.digest):
            # where seeking is not exact, all is decoded once more
            frames = self._converted(self._wanted(self._from(None)), 0)
            first = next(itertools.islice(frames, mark.index, None), None)
        if first is None or first.digest != mark.digest:
            raise VideoError(f"{self.name}: frame {mark.index} is another one than before; use --force to start anew")
        yield first
        yield from frames

    def identity(self) -> list[Any] | None:
        """Equal for a file that is the same as before; None for a pipe."""
        path = self._opening.path
        if path is None:
            return None
        there = path.stat()
        return [os.path.realpath(path), there.st_size, there.st_mtime_ns]

    def check_unchanged(self) -> None:
        """Raise VideoError when another file lies where this one was opened, or it was written to."""
        if self._opening.identity() != self._as_opened:
            raise VideoError(f"{self.name}: was replaced or changed while it was read; start again when it is finished")

    def stop(self) -> None:
        """End a wait for frames that another thread is in."""
        if self._opening.path is None:
            self._opening.file.stop()

    def _start(self) -> int | None:
        if self._cut.start is None:
            return None
        return self._begin + int(self._cut.start / self.track.time_base)

    def _describe(self, first: VideoFrame) -> Track:
        stream, context = self._stream, self._stream.codec_context
        rate = stream.average_rate or stream.guessed_rate or context.framerate or _FALLBACK_RATE
        time_base = stream.time_base or 1 / rate
        carried = side_data(first)
        rotation = carried.get(Type.DISPLAYMATRIX)
        return Track(
            width=first.width,
            height=first.height,
            pix_fmt=first.format.name,
            colors=colors_of(first),
            time_base=time_base,
            rate=rate,
            aspect=stream.sample_aspect_ratio or None,
            begin=self._begin,
            rotation=None if rotation == _IDENTITY else rotation,
            hdr=hdr_of(carried),
            transparent=_is_transparent(first),
            frames=self._expected(rate, time_base),
        )

    def _set_upright(self, matrix: bytes) -> None:
        turn, track = turn_of(matrix), self.track
        if turn is None:
            text = f"{self.name}: its rotation by {degrees(matrix):.0f} degrees is lost; only quarter turns can be made"
            warnings.warn(text, RuntimeWarning, stacklevel=4)
            return
        self._turn = turn
        width, height = turn.size(track.width, track.height)
        aspect = turn.aspect(track.aspect)
        self.track = dataclasses.replace(track, width=width, height=height, aspect=aspect, rotation=None)

    def _expected(self, rate: Fraction, time_base: Fraction) -> int | None:
        cut, stream = self._cut, self._stream
        seconds = None if not stream.duration else stream.duration * time_base
        if seconds is None and self._container.duration:
            seconds = Fraction(self._container.duration, 1_000_000)
        if cut.whole and cut.fps_limit is None and stream.frames:
            return stream.frames
        if seconds is None:
            return None if cut.end is None else cut.expected(cut.end, rate)
        return cut.expected(seconds, rate)

    def _decode(self, pts: int | None = None) -> Iterator[VideoFrame]:
        """All frames from where the container stands; packets that cannot be decoded are counted and left out.

        With `pts`, from the last key frame on that is not shown later.
        """
        self._stream.codec_context.thread_type = "AUTO"
        packets = self._packets()
        for packet in packets if pts is None else _from_key_frame(packets, pts):
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except av.FFmpegError:
                self.damaged += 1
                continue
            yield from frames

    def _packets(self) -> Iterator[Packet[Any]]:
        """The track's packets from where the container stands, on a timeline that neither restarts nor jumps."""
        restarts = may_restart(self._container)
        for stream in self._container.streams:
            if stream is not self._stream and not restarts:
                stream.discard = Discard.all
        timeline = Timeline()
        streams = [] if restarts else [self._stream]  # none = all
        packets: Iterator[Any] = self._container.demux(*streams)
        while True:
            try:
                packet: Packet[Any] | None = next(packets, None)
            except (av.error.InvalidDataError, av.error.EOFError):
                self.damaged += 1
                return
            if packet is None:
                return
            if restarts:
                timeline.place(packet)
            if packet.stream_index == self._stream.index:
                if _is_wild(packet, self._stream):
                    packet.pts = None
                yield packet

    def _from(self, pts: int | None) -> Iterator[VideoFrame]:
        """Decoded frames from one at or before `pts`, or from the first."""
        untouched, self._untouched = self._untouched, None
        if untouched is not None and (pts is None or self._opening.path is None):
            return untouched
        self._container.close()
        self._container = self._opening.open()
        self._stream = picture_stream(self._container, self.name)
        self.damaged = self.squeezed = 0
        if pts is not None:
            with contextlib.suppress(av.FFmpegError):
                by_time = not may_restart(self._container)
                if by_time:
                    self._container.seek(pts, stream=self._stream)
                decoded = self._decode(None if by_time else pts)
                first = next(decoded, None)
                time = None if first is None else _time(first)
                if first is not None and time is not None and time <= pts:
                    return itertools.chain([first], decoded)
            return self._from(None)
        return self._decode()

    def _wanted(self, decoded: Iterator[VideoFrame], known: int | None = None) -> Iterator[tuple[VideoFrame, int, int]]:
        """Frames inside the cut, each with its time and duration in ticks; `known`, one that is, is the first."""
        chooser = Chooser(self._cut)
        for frame, pts, duration in self._timed(decoded):
            seconds = (pts - self._begin) * self.track.time_base
            if chooser.is_past(seconds):
                return
            if (known is None or pts >= known) and chooser.wants(seconds):
                yield frame, pts, duration

    def _timed(self, decoded: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, int, int]]:
        """Frames with times that rise, made up where the file has none."""
        step = max(1, round(1 / (self.track.rate * self.track.time_base)))
        last: int | None = None
        for frame in self._progressive(decoded):
            pts = _time(frame)
            if pts is None:
                pts = self._begin if last is None else last + step
            if last is not None and pts <= last:
                pts = last + 1
                self.squeezed += 1
            last = pts
            yield frame, pts, max(0, frame.duration or 0)

    def _progressive(self, decoded: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        if self._deinterlace:
            return _deinterlaced(decoded, self._stream)
        return (_checked_progressive(frame, self.name) for frame in decoded)

    def _converted(self, frames: Iterator[tuple[VideoFrame, int, int]], index: int) -> Iterator[Frame]:
        track = self.track
        for number, (frame, pts, duration) in enumerate(frames, index):
            if (frame.width, frame.height) != self._stored:
                raise VideoError(
                    f"is {frame.width}x{frame.height}, but the first frame is {self._stored[0]}x{self._stored[1]}; "
                    "cut the file where its size changes"
                )
            pixels = self._reader.pixels(frame)
            if (pixels.itemsize > 1) != is_deep(track.pix_fmt):
                raise VideoError(f"is {frame.format.name}, but the first frame is {track.pix_fmt}; cut the file there")
            if self._turn is not None:
                pixels = self._turn(pixels)
            yield Frame(number, pts, duration, bool(frame.key_frame), zlib.crc32(pixels.data), pixels)


def _from_key_frame(packets: Iterator[Packet[Any]], pts: int) -> Iterator[Packet[Any]]:
    """Packets from the last key frame on that is shown at `pts` or before it, without seeking."""
    waiting: list[Packet[Any]] = []
    for packet in packets:
        if packet.is_keyframe and packet.pts is not None and packet.pts <= pts:
            waiting.clear()
        waiting.append(packet)
        if packet.size == 0 or (packet.dts is not None and packet.dts > pts):
            break
    yield from waiting
    yield from packets


def _is_transparent(frame: VideoFrame) -> bool:
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool((frame.to_ndarray(format="rgba")[..., 3] < 255).any())


def _is_wild(packet: Packet[Any], stream: VideoStream) -> bool:
    """Whether a picture would be shown so long before or after it is decoded that its time must be damaged."""
    if packet.pts is None or packet.dts is None or not packet.time_base:
        return False
    return abs(packet.pts - packet.dts) * packet.time_base > max(_WILD, _REORDERED / (stream.average_rate or _WILD))


def _time(frame: VideoFrame) -> int | None:
    """When a frame is shown; formats without such times have those of decoding."""
    return frame.pts if frame.pts is not None else frame.dts


def _check(name: str, first: VideoFrame, colors: Colors) -> None:
    if not colors.convertible:
        raise VideoError(
            f"{name}: its colours are in matrix {colors.matrix} of ITU-T H.273, which is not supported; "
            "convert it to BT.709 or BT.2020 (non-constant luminance) first"
        )


def _checked_progressive(frame: VideoFrame, name: str) -> VideoFrame:
    if frame.interlaced_frame:
        raise VideoError(f"{name} is interlaced, which would be enlarged as combs; add --deinterlace")
    return frame


def _deinterlaced(decoded: Iterator[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
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
