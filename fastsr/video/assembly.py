"""A file put together from the segments of a store: the finished one, or a playable one of what is done so far."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av

from fastsr import files
from fastsr.errors import FastsrError, VideoError
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.outputs import partial_file, remux
from fastsr.video.outputs.copied_streams import CopiedSpan
from fastsr.video.outputs.encoded_video import EncodedVideo
from fastsr.video.outputs.segment_file import EncodedFrame
from fastsr.video.outputs.segment_store import SegmentStore
from fastsr.video.sources.frame_source import FrameSource
from fastsr.video.sources.input_spec import InputSpec
from fastsr.video.sources.time_range import TimeRange

InterruptedCallback = Callable[[Path, float], None]
"""Called with the name of the file of what is done, before it is made, and the seconds of video that it will hold."""


@dataclasses.dataclass(frozen=True)
class Assembly:
    """What a file is put together of, beside the segments.

    Attributes:
        source: the frames came from there.
        config: of the encoder.
        spec: how to open the source for all that is copied; None = nothing is.
        target: the file.
        time_range: the part of the source that is wanted.

    """

    source: FrameSource
    config: EncoderConfig
    spec: InputSpec | None
    target: Path
    time_range: TimeRange

    def finish(self, store: SegmentStore) -> int:
        """Write the target of a complete store; returns how many packets of the source were too damaged.

        Raises VideoError.
        """
        self.source.check_unchanged()
        times, last_duration = store.times()
        if len(times) != store.packets or len(set(times)) != len(times):
            raise VideoError(f"{self.target}: {len(set(times))} frames were kept of {store.packets}; report it")
        video = self._video(times, last_duration, store.encoded_frames)
        end = None
        if self.time_range.end is not None:
            end = self.source.info.begin * self.source.info.time_base + self.time_range.end
        damaged = self._write(video, self.target, end)
        partial_file.remove(self.target, store)
        return damaged

    def leave_part(self, store: SegmentStore, told: InterruptedCallback) -> None:
        """Write a playable file of what an incomplete store has, beside the target; warns where that cannot be."""
        times, last_duration = store.times(tail=True)
        if store.complete or len(times) <= partial_file.holds(self.target, store):
            store.drop_tail()
            return
        ticks = self.source.info.time_base
        shown = last_duration or max(1, round(1 / (self.config.rate * ticks)))
        end = (max(times) + shown) * ticks
        part = partial_file.place(self.target, store)
        told(part, float(end - min(times) * ticks))
        video = self._video(times, last_duration, lambda: store.encoded_frames(tail=True))
        try:
            self.source.check_unchanged()
            self._write(video, part, end)
            partial_file.remember(part, store, len(times))
        except (FastsrError, OSError) as error:
            warnings.warn(f"what is done was not put together: {error}", RuntimeWarning, stacklevel=2)
        finally:
            store.drop_tail()

    def _video(
        self, times: list[int], last_duration: int, encoded_frames: Callable[[], Iterable[EncodedFrame]]
    ) -> EncodedVideo:
        return EncodedVideo(self.config, self.source.info.rotation, times, last_duration, encoded_frames)

    def _write(self, video: EncodedVideo, target: Path, end: Fraction | None) -> int:
        """Write a file whose other streams end at `end`, by the source's clock; returns how many were damaged."""
        first = min(video.times) * self.source.info.time_base
        cut = self.time_range.start is not None
        span = CopiedSpan(start=first if cut else None, end=end, shift=first if cut else Fraction(0))
        try:
            with files.replacing(target) as path:
                damaged = remux.write(self.spec, video, path, target, span)
                self.source.check_unchanged()
                return damaged
        except av.FFmpegError as error:
            raise VideoError(f"{target}: cannot be written ({error}); the work so far is kept") from error
        except OSError as error:
            raise VideoError(files.write_failure(target, error)) from error
