"""Image sequences as videos: numbered files (`frames/%05d.png`) or all images of a folder, at a constant rate."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastsr import images
from fastsr.engines.protocol import Pixels
from fastsr.errors import ImageError, VideoError
from fastsr.images.resample import to_dtype, to_float
from fastsr.video.codecs.color_conversion import RGB_SOURCE_COLORS
from fastsr.video.frame import Frame, ResumePoint
from fastsr.video.sources.numbered_files import checked_pattern, existing_files
from fastsr.video.sources.stream_info import StreamInfo
from fastsr.video.sources.time_range import FrameSelector, TimeRange
from fastsr.video_formats import is_image_sequence

DEFAULT_RATE = Fraction(25)  # frames a second where none is given


class ImageSequenceSource:
    """Images of equal size, one after the other, as frames."""

    live = False
    damaged = retimed = 0  # an image that cannot be read is an error, and timestamps are made here

    def __init__(self, text: str, time_range: TimeRange | None = None, rate: Fraction = DEFAULT_RATE) -> None:
        """`text`: a pattern such as frames/%05d.png, or a folder. Raises VideoError when nothing is there."""
        self.name = checked_pattern(text)
        self._range = time_range or TimeRange()
        self._paths = existing_files(text) if is_image_sequence(text) else _images_of(Path(text))
        first = _pixels(self._paths[0])
        height, width = first.shape[:2]
        self.info = StreamInfo(
            width=width,
            height=height,
            pix_fmt="rgb24" if first.dtype == np.uint8 else "rgb48le",
            colors=RGB_SOURCE_COLORS,
            time_base=1 / rate,
            rate=rate,
            frames=self._range.expected_frames(len(self._paths) / rate, rate),
        )

    def identity(self) -> list[Any] | None:
        """Equal for a sequence of which no file has changed."""
        digest = hashlib.sha256()
        for path in self._paths:
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return [str(self._paths[0].parent.resolve()), len(self._paths), digest.hexdigest()]

    def frames(self, resume: ResumePoint | None = None) -> Iterator[Frame]:
        """The wanted frames, from `resume` on where it is given. Raises VideoError for another size or depth."""
        selector, index = FrameSelector(self._range), 0
        for place, path in enumerate(self._paths):
            if not selector.wants(place * self.info.time_base):
                continue
            if resume is None or index >= resume.index:
                pixels = _pixels(path)
                expected = (self.info.height, self.info.width, 3)
                if pixels.shape != expected or (pixels.dtype == np.uint8) != (self.info.pix_fmt == "rgb24"):
                    raise VideoError(f"{path}: differs from {self._paths[0]} in size or depth; convert one of them")
                yield Frame(index, place, 1, True, zlib.crc32(pixels.data), pixels)
            index += 1

    def check_unchanged(self) -> None:
        """Nothing of it is read a second time."""

    def stop(self) -> None:
        """Nothing to wake up."""

    def close(self) -> None:
        """Nothing to release."""


def _images_of(folder: Path) -> list[Path]:
    """Images of a folder, by name, numbers in it by their value."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in images.SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise VideoError(f"{folder}: cannot be read ({error.strerror}); check the name") from None
    if not found:
        raise VideoError(f"{folder}: no images in this folder; give one with the frames of a video")
    return sorted(found, key=lambda path: [(int(n or 0), text) for text, n in re.findall(r"(\D*)(\d*)", path.name)])


def _pixels(path: Path) -> Pixels:
    """RGB pixels of an image of one frame without transparency."""
    image = images.read(path)
    if len(image.frames) > 1:
        raise ImageError(f"{path}: has {len(image.frames)} frames; a sequence needs one in each file")
    frame = image.frames[0]
    if frame.black is not None or (frame.alpha is not None and not (to_float(frame.alpha) == 1).all()):
        raise ImageError(f"{path}: has transparency or CMYK, which a video has not; enlarge the folder into a folder")
    color = frame.color
    if color.dtype not in (np.uint8, np.uint16):
        color = to_dtype(color, np.dtype(np.uint16))
    return np.ascontiguousarray(np.repeat(color, 3, axis=2) if color.shape[2] == 1 else color)
