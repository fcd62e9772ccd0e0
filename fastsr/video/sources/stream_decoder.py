"""The packets of an input's main video stream, decoded from its begin or from any later frame."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from fastsr.errors import VideoError
from fastsr.video.memory_shortage import SHORTAGE, can_allocate
from fastsr.video.sources.input_spec import InputSpec, main_video_stream
from fastsr.video.sources.timestamps import ContinuousTimestamps, may_be_discontinuous

_LEAST_MEMORY = 64 << 20  # bytes, without which many decoders cannot begin
_WILD = Fraction(10)  # seconds between decoding and showing that need an explanation
_REORDERED = 32  # frames, more than any codec reorders


class StreamDecoder:
    """Decodes the main video stream of an input; to be closed after use."""

    def __init__(self, spec: InputSpec) -> None:
        """Open the input and decode its first frame. Raises VideoError when none can be."""
        self.damaged = 0  #: packets that could not be decoded
        self._spec = spec
        self.container = spec.open()
        try:
            self.stream = main_video_stream(self.container, spec.name)
            decoded = self._decode()
            first = next(decoded, None)
            if first is None:
                if not can_allocate(_LEAST_MEMORY):  # decoders do not say why they gave up
                    raise VideoError(f"{spec.name}: {SHORTAGE}")
                raise VideoError(f"{spec.name}: none of its frames can be decoded; check the file")
        except BaseException:
            self.close()
            spec.raise_interruption()
            raise
        self.first = first
        self._unread: Iterator[VideoFrame] | None = itertools.chain([first], decoded)

    def close(self) -> None:
        """Release the file."""
        self.container.close()

    def frames_from(self, pts: int | None) -> Iterator[VideoFrame]:
        """Decoded frames from one at or before `pts`, or from the first."""
        unread, self._unread = self._unread, None
        if unread is not None and (pts is None or self._spec.path is None):
            return unread
        self.close()
        self.container = self._spec.open()
        self.stream = main_video_stream(self.container, self._spec.name)
        self.damaged = 0
        if pts is None:
            return self._decode()
        with contextlib.suppress(av.FFmpegError):
            seekable = not may_be_discontinuous(self.container)
            if seekable:
                self.container.seek(pts, stream=self.stream)
            decoded = self._decode(None if seekable else pts)
            first = next(decoded, None)
            begin = None if first is None else timestamp_of(first)
            if first is not None and begin is not None and begin <= pts:
                return itertools.chain([first], decoded)
        return self.frames_from(None)

    def timestamps(self) -> list[tuple[int, bool]] | None:
        """When each frame is shown and whether it is a key frame, by time, as the packets say; None where one does not.

        Reads the whole file; what had been decoded is forgotten.
        """
        self._unread = None
        self.frames_from(None)
        found = []
        for packet in self._packets():
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None and packet.size:
                return None
            if at is not None and packet.size:
                found.append((at, bool(packet.is_keyframe)))
        return sorted(found)

    def _decode(self, pts: int | None = None) -> Iterator[VideoFrame]:
        """All frames from where the container stands; packets that cannot be decoded are counted and left out.

        With `pts`, from the last key frame on that is not shown later.
        """
        # several frames at once would hold each back until the next ones have come
        self.stream.codec_context.thread_type = "SLICE" if self._spec.live else "AUTO"
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
        """The stream's packets from where the container stands, with timestamps that neither restart nor jump."""
        discontinuous = may_be_discontinuous(self.container)
        for stream in self.container.streams:
            if stream is not self.stream and not discontinuous:
                stream.discard = Discard.all
        timestamps = ContinuousTimestamps()
        streams = [] if discontinuous else [self.stream]  # none = all
        packets: Iterator[Any] = self.container.demux(*streams)
        while True:
            try:
                packet: Packet[Any] | None = next(packets, None)
            except (av.error.InvalidDataError, av.error.EOFError, av.error.BlockingIOError):  # what damage may end in
                self.damaged += 1
                return
            except av.error.ExitError:  # of sources that have a timeout alone
                raise VideoError(f"{self._spec.name}: sends nothing any more; check it") from None
            if packet is None:
                return
            if discontinuous:
                timestamps.adjust(packet)
            if packet.stream_index == self.stream.index:
                if _is_wild(packet, self.stream):
                    packet.pts = None
                yield packet


def timestamp_of(frame: VideoFrame) -> int | None:
    """When a frame is shown; formats without presentation timestamps have those of decoding."""
    return frame.pts if frame.pts is not None else frame.dts


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


def _is_wild(packet: Packet[Any], stream: VideoStream) -> bool:
    """Whether a frame would be shown so long before or after it is decoded that its timestamp must be damaged."""
    if packet.pts is None or packet.dts is None or not packet.time_base:
        return False
    return abs(packet.pts - packet.dts) * packet.time_base > max(_WILD, _REORDERED / (stream.average_rate or _WILD))
