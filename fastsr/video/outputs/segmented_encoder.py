"""The last stage for files: upscaled frames encoded into segments, each by a new encoder.

An encoder that starts anew begins with a key frame and knows nothing of what came before, so a run that was killed and
resumed gives the same packets as one that was not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Protocol

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from fastsr.engines.protocol import Pixels
from fastsr.errors import VideoError
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.outputs.held_interrupt import interrupt_held
from fastsr.video.outputs.segment_file import EncodedFrame, SegmentWriter

SEGMENT = 96  # frames after which a segment ends at the next key frame of the source, or after as many again


class SegmentSink(Protocol):
    """Takes segments one after the other, as a `SegmentStore` does."""

    @property
    def full(self) -> bool:
        """Whether no other one is wanted."""
        ...

    def writer(self) -> SegmentWriter:
        """The next segment."""
        ...

    def add(self, writer: SegmentWriter, following: ResumePoint | None) -> None:
        """Finish a segment; `following` is where the next begins, None after the last."""
        ...

    def keep_tail(self, writer: SegmentWriter) -> None:
        """Finish a segment that ends where a run was stopped."""
        ...


def segment_ends(frames: int, key: bool, length: int) -> bool:
    """Whether a segment of so many frames ends before the next frame, which may be a key frame of the source."""
    return frames >= length and (key or frames >= 2 * length)


class _Segment:
    """One segment on its way through one encoder."""

    def __init__(self, encoder: VideoCodecContext, writer: SegmentWriter) -> None:
        self.frames = 0
        self.writer = writer
        self._encoder = encoder
        self._durations: dict[int, int] = {}

    def add(self, frame: VideoFrame | None, duration: int = 0) -> None:
        """Encode a frame, or None after the last."""
        if frame is not None:
            self.frames += 1
            assert frame.pts is not None
            self._durations[frame.pts] = duration
        for packet in self._encoder.encode(frame):
            if packet.pts not in self._durations:
                raise VideoError(f"the encoder gave a frame for {packet.pts}, where none was shown; report it")
            data = bytes(packet)
            self.writer.write(EncodedFrame(packet.pts, self._durations.pop(packet.pts), packet.is_keyframe, data))


class SegmentedEncoder:
    """Encodes frames into a store, from where that stands, until it is full."""

    def __init__(
        self, config: EncoderConfig, store: SegmentSink, segment_length: int = SEGMENT, *, keep_tail: bool = False
    ) -> None:
        """`segment_length`: see SEGMENT. `keep_tail`: where Ctrl-C stops it, keep the frames of the segment at hand."""
        self._config, self._store, self._segment_length = config, store, segment_length
        self._keeps_tail = keep_tail
        self._to_yuv = config.converter()
        self._segment: _Segment | None = None
        self._pixels: Pixels | None = None
        self._converted: VideoFrame | None = None

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Encode all. Raises VideoError unless as many frames come out of the encoder as went in."""
        try:
            for frame in frames:
                with interrupt_held():  # a frame is encoded and its packets are written, or not
                    self._add(frame)
                if self._store.full:
                    return
            with interrupt_held():
                self._finish(None)
        except KeyboardInterrupt:
            if self._keeps_tail:
                self._keep_tail()
            raise
        finally:
            if self._segment is not None:
                self._segment.writer.discard()

    def _add(self, frame: Frame) -> None:
        if self._segment is not None and self._ends(self._segment, frame):
            self._finish(ResumePoint(frame.index, frame.pts, frame.digest))
            if self._store.full:
                return
        if self._segment is None:
            self._segment = _Segment(self._config.open(), self._store.writer())
        self._segment.add(self._convert(frame), frame.duration)

    def _keep_tail(self) -> None:
        """Complete the segment at hand, for a file of what is done; nothing is lost where that fails."""
        segment = self._segment
        if segment is None or not segment.frames:
            return
        with contextlib.suppress(OSError, av.FFmpegError, VideoError):
            segment.add(None)
            if segment.writer.packets == segment.frames:
                self._store.keep_tail(segment.writer)
                self._segment = None

    def _ends(self, segment: _Segment, following: Frame) -> bool:
        return segment_ends(segment.frames, following.key, self._segment_length)

    def _convert(self, frame: Frame) -> VideoFrame:
        if frame.pixels is not self._pixels or self._converted is None:  # a repeated frame has the same array
            self._converted, self._pixels = self._to_yuv(frame.pixels), frame.pixels
        self._converted.pts, self._converted.time_base = frame.pts, self._config.time_base
        return self._converted

    def _finish(self, following: ResumePoint | None) -> None:
        segment = self._segment
        if segment is None:
            return
        segment.add(None)
        if segment.writer.packets != segment.frames:
            raise VideoError(f"{segment.writer.packets} frames came out of the encoder for {segment.frames}; report it")
        self._store.add(segment.writer, following)
        self._segment = None
