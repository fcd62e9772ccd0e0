"""The last stage for image sequences: every frame a file of its own, numbered from 1."""

from __future__ import annotations

from collections.abc import Iterable

from fastsr import images
from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.outputs.segment_file import EncodedFrame
from fastsr.video.outputs.segment_store import SegmentStore
from fastsr.video.sources.numbered_files import checked_pattern, numbered

_SEGMENT = 24  # frames after which a place to resume from is noted


class ImageSequenceWriter:
    """Writes frames as numbered images."""

    def __init__(self, pattern: str, store: SegmentStore) -> None:
        """`store` notes how far the work is; its packets are empty. Raises ImageError for an unknown suffix."""
        self._pattern, self._store = checked_pattern(pattern), store
        images.output_format(pattern)

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises ImageError, naming the file."""
        writer = None
        try:
            for frame in frames:
                if writer is not None and writer.packets >= _SEGMENT:
                    self._store.add(writer, ResumePoint(frame.index, frame.pts, frame.digest))
                    writer = None
                if writer is None:
                    writer = self._store.writer()
                image = images.read(frame.pixels)
                images.write(image, image.frames, numbered(self._pattern, frame.index + 1))
                writer.write(EncodedFrame(frame.pts, frame.duration, True, b""))
            if writer is not None:
                self._store.add(writer, None)
                writer = None
        finally:
            if writer is not None:
                writer.discard()
