"""The last stage for files: enlarged frames encoded into segments, each by a new encoder.

An encoder that starts anew begins with a key frame and knows nothing of what came before, so a run that was killed and
goes on gives the same packets as one that was not.
"""

from __future__ import annotations

from collections.abc import Iterable

from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from fastsr.engines.protocol import Pixels
from fastsr.errors import VideoError
from fastsr.video.colors import Writer as Colorer
from fastsr.video.encoders import Encoding
from fastsr.video.frames import Frame, Mark
from fastsr.video.segments import Encoded, Store, Writer

SEGMENT = 240  # frames after which a segment ends at the next key frame of the source, or after as many again


class _Part:
    """One segment on its way through one encoder."""

    def __init__(self, encoder: VideoCodecContext, writer: Writer) -> None:
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
                raise VideoError(f"the encoder gave a picture for {packet.pts}, where none was shown; report it")
            data = bytes(packet)
            self.writer.write(Encoded(packet.pts, self._durations.pop(packet.pts), packet.is_keyframe, data))


class SegmentedEncoder:
    """Encodes frames into a store, from where that stands."""

    def __init__(self, encoding: Encoding, store: Store, segment: int = SEGMENT) -> None:
        """`segment`: see SEGMENT."""
        self._encoding, self._store, self._segment = encoding, store, segment
        self._colorer = Colorer(encoding.colors, encoding.pix_fmt, *encoding.size)
        self._part: _Part | None = None
        self._pixels: Pixels | None = None
        self._frame: VideoFrame | None = None

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Encode all. Raises VideoError unless as many pictures come out of the encoder as went in."""
        try:
            for frame in frames:
                if self._part is not None and self._ends(self._part, frame):
                    self._finish(Mark(frame.index, frame.pts, frame.digest))
                if self._part is None:
                    self._part = _Part(self._encoding.open(), self._store.writer())
                self._part.add(self._picture(frame), frame.duration)
            self._finish(None)
        finally:
            if self._part is not None:
                self._part.writer.discard()

    def _ends(self, part: _Part, following: Frame) -> bool:
        return part.frames >= self._segment and (following.key or part.frames >= 2 * self._segment)

    def _picture(self, frame: Frame) -> VideoFrame:
        if frame.pixels is not self._pixels or self._frame is None:  # a repeated frame has the same array
            self._frame, self._pixels = self._colorer.frame(frame.pixels), frame.pixels
        self._frame.pts, self._frame.time_base = frame.pts, self._encoding.time_base
        return self._frame

    def _finish(self, following: Mark | None) -> None:
        part = self._part
        if part is None:
            return
        part.add(None)
        if part.writer.packets != part.frames:
            raise VideoError(f"{part.writer.packets} pictures came out of the encoder for {part.frames}; report it")
        self._store.add(part.writer, following)
        self._part = None
