"""The frames of a video file or pipe: decoded, timed, selected, converted to RGB and turned upright."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

from av.video.frame import VideoFrame

from fastsr.errors import VideoError
from fastsr.video.codecs.color_conversion import YuvToRgb
from fastsr.video.codecs.pixel_formats import is_deep
from fastsr.video.frame import Frame, PlannedFrame, ResumePoint
from fastsr.video.sources.deinterlacing import checked_progressive, deinterlaced
from fastsr.video.sources.input_spec import InputSpec
from fastsr.video.sources.orientation import Orientation, orientation_of, rotation_degrees
from fastsr.video.sources.pipe_input import PipeReader
from fastsr.video.sources.stream_decoder import StreamDecoder, timestamp_of
from fastsr.video.sources.stream_info import describe_stream
from fastsr.video.sources.time_range import FrameSelector, TimeRange


class VideoSource:
    """The main video stream of an input as frames; to be closed after use."""

    def __init__(
        self, spec: InputSpec, time_range: TimeRange | None = None, *, deinterlace: bool = False, upright: bool = False
    ) -> None:
        """Open it and decode its first frame; with `upright`, pixels are turned as the stream's display matrix says.

        Raises VideoError for what is no video, holds no frame that can be decoded, has colours that cannot be
        converted, or is interlaced while `deinterlace` is False.
        """
        self.name = spec.name
        self.retimed = 0  #: frames that follow at once, for their own timestamps went back
        self._spec, self._range, self._deinterlace = spec, time_range or TimeRange(), deinterlace
        self._as_opened = spec.identity()
        self._decoder = StreamDecoder(spec)
        try:
            container, stream, first = self._decoder.container, self._decoder.stream, self._decoder.first
            self.info = describe_stream(container, stream, first, timestamp_of(first) or 0, self._range)
            colors = self.info.colors
            if not colors.convertible:
                raise VideoError(
                    f"{self.name}: its colours are in matrix {colors.matrix} of ITU-T H.273, which is not supported; "
                    "convert it to BT.709 or BT.2020 (non-constant luminance) first"
                )
            self._to_rgb = YuvToRgb(colors, self.info.width, self.info.height)
            self._stored_size = self.info.width, self.info.height
            self._orientation: Orientation | None = None
            if upright and self.info.rotation is not None:
                self._set_upright(self.info.rotation)
        except BaseException:
            self._decoder.close()
            raise

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded."""
        return self._decoder.damaged

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, so that frames are lost where they are not taken: a camera, a broadcast."""
        return self._spec.live and self._decoder.container.duration is None

    def close(self) -> None:
        """Release the file."""
        self._decoder.close()

    def frames(self, resume: ResumePoint | None = None) -> Iterator[Frame]:
        """The frames that are wanted, from `resume` on where it is given, numbered as in the whole.

        Raises VideoError for a frame that is interlaced or of another size than the first, and when the frame to resume
        from is not there any more.
        """
        if resume is None:
            yield from self._converted(self._selected(self._start()), 0)
            return
        frames = self._converted(self._selected(resume.pts, known=resume.pts), resume.index)
        first = next(frames, None)
        if first is None or (first.pts, first.digest) != (resume.pts, resume.digest):
            # where seeking is not exact, all is decoded once more
            frames = self._converted(self._selected(None), 0)
            first = next(itertools.islice(frames, resume.index, None), None)
        if first is None or first.digest != resume.digest:
            raise VideoError(
                f"{self.name}: frame {resume.index} is another one than before; to start anew, delete the hidden "
                "folder .*.fastsr-work beside the output"
            )
        yield first
        yield from frames

    def planned(self) -> list[PlannedFrame] | None:
        """The frames that are wanted, as the packets say, without decoding them; None where they do not.

        Damage, and times that go back, are found only as they are decoded, so there may be others.
        """
        if self._spec.path is None:
            return None
        with contextlib.closing(StreamDecoder(self._spec)) as decoder:
            times = decoder.timestamps()
        if times is None:
            return None
        selector, wanted = FrameSelector(self._range), []
        key: int | None = None
        for pts, is_key in times:
            before, key = key, pts if is_key else key
            seconds = (pts - self.info.begin) * self.info.time_base
            if selector.is_past(seconds):
                break
            if selector.wants(seconds):
                # what is made of fields needs the frame before too
                wanted.append(PlannedFrame(pts, is_key, before if self._deinterlace else pts))
        return wanted

    def frames_at(self, planned: PlannedFrame, index: int) -> Iterator[Frame]:
        """Frames from a planned one on, numbered from `index`; none where another one is found there."""
        frames = self._converted(self._selected(planned.decode_from, known=planned.pts), index)
        first = next(frames, None)
        if first is not None and first.pts == planned.pts:
            yield first
            yield from frames

    def identity(self) -> list[Any] | None:
        """Equal for a file that is the same as before; None for a pipe."""
        path = self._spec.path
        if path is None:
            return None
        status = path.stat()
        return [os.path.realpath(path), status.st_size, status.st_mtime_ns]

    def check_unchanged(self) -> None:
        """Raise VideoError when another file lies where this one was opened, or it was written to."""
        if self._spec.identity() != self._as_opened:
            raise VideoError(f"{self.name}: was replaced or changed while it was read; start again when it is finished")

    def stop(self) -> None:
        """End a wait for frames that another thread is in."""
        if isinstance(self._spec.file, PipeReader):
            self._spec.file.stop()

    def _start(self) -> int | None:
        if self._range.start is None:
            return None
        return self.info.begin + int(self._range.start / self.info.time_base)

    def _set_upright(self, matrix: bytes) -> None:
        orientation, info = orientation_of(matrix), self.info
        if orientation is None:
            text = f"its rotation by {rotation_degrees(matrix):.0f} degrees is lost; only quarter turns can be made"
            warnings.warn(f"{self.name}: {text}", RuntimeWarning, stacklevel=4)
            return
        self._orientation = orientation
        width, height = orientation.size(info.width, info.height)
        aspect = orientation.aspect(info.aspect)
        self.info = dataclasses.replace(info, width=width, height=height, aspect=aspect, rotation=None)

    def _selected(self, start: int | None, known: int | None = None) -> Iterator[tuple[VideoFrame, int, int]]:
        """Frames inside the range, each with its timestamp and duration in ticks, decoded from `start` on.

        With `known`, the first is the one at that time, which is known to be inside.
        """
        selector = FrameSelector(self._range)
        for frame, pts, duration in self._timed(start):
            seconds = (pts - self.info.begin) * self.info.time_base
            if selector.is_past(seconds):
                return
            if (known is None or pts >= known) and selector.wants(seconds):
                yield frame, pts, duration

    def _timed(self, start: int | None) -> Iterator[tuple[VideoFrame, int, int]]:
        """Frames with timestamps that increase, made up where the file has none."""
        decoded = self._decoder.frames_from(start)
        self.retimed = 0
        step = max(1, round(1 / (self.info.rate * self.info.time_base)))
        last: int | None = None
        for frame in self._progressive(decoded):
            pts = timestamp_of(frame)
            if pts is None:
                pts = self.info.begin if last is None else last + step
            if last is not None and pts <= last:
                pts = last + 1
                self.retimed += 1
            last = pts
            yield frame, pts, max(0, frame.duration or 0)

    def _progressive(self, decoded: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        if self._deinterlace:
            return deinterlaced(decoded, self._decoder.stream)
        return checked_progressive(decoded, self.name)

    def _converted(self, frames: Iterator[tuple[VideoFrame, int, int]], index: int) -> Iterator[Frame]:
        for number, (frame, pts, duration) in enumerate(frames, index):
            if (frame.width, frame.height) != self._stored_size:
                width, height = self._stored_size
                raise VideoError(
                    f"is {frame.width}x{frame.height}, but the first frame is {width}x{height}; "
                    "cut the file where its size changes"
                )
            pixels = self._to_rgb(frame)
            if (pixels.itemsize > 1) != is_deep(self.info.pix_fmt):
                raise VideoError(
                    f"is {frame.format.name}, but the first frame is {self.info.pix_fmt}; cut the file there"
                )
            if self._orientation is not None:
                pixels = self._orientation(pixels)
            yield Frame(number, pts, duration, bool(frame.key_frame), zlib.crc32(pixels.data), pixels)
