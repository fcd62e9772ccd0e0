"""Image sequences: numbered files (`frames/%05d.png`) or all images of a folder, read and written as videos are."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastsr import images
from fastsr.engines.protocol import Pixels
from fastsr.errors import ImageError, VideoError
from fastsr.images.resample import to_dtype, to_float
from fastsr.video.colors import OF_RGB
from fastsr.video.frames import Chooser, Cut, Frame, Mark
from fastsr.video.segments import Encoded, Store
from fastsr.video.source import Track

RATE = Fraction(25)  # pictures a second where none is given
SEGMENT = 24  # pictures after which a place to go on from is noted
_LONGEST = 2  # digits of a number of digits
_NUMBER = re.compile(r"%(0?)(\d*)d")


def checked_pattern(text: str) -> str:
    """The pattern as it came. Raises VideoError for one whose numbers are too long for the name of a file."""
    found = _NUMBER.search(Path(text).name)
    if found is not None and len(found[2]) > _LONGEST:
        raise VideoError(f"{text}: {found[0]} asks for too many digits; write %05d or so")
    return text


def is_pattern(text: str) -> bool:
    """Whether a name stands for numbered files."""
    return _NUMBER.search(Path(text).name) is not None


class SequenceSource:
    """Pictures of equal size, one after the other, at a constant rate."""

    def __init__(self, text: str, cut: Cut | None = None, rate: Fraction = RATE) -> None:
        """`text`: a pattern such as frames/%05d.png, or a folder. Raises VideoError when nothing is there."""
        self.name = checked_pattern(text)
        self.damaged = self.squeezed = 0
        self._cut = cut or Cut()
        self._paths = _numbered(text) if is_pattern(text) else _images(Path(text))
        first = _pixels(self._paths[0])
        height, width = first.shape[:2]
        self.track = Track(
            width=width,
            height=height,
            pix_fmt="rgb24" if first.dtype == np.uint8 else "rgb48le",
            colors=OF_RGB,
            time_base=1 / rate,
            rate=rate,
            frames=self._cut.expected(len(self._paths) / rate, rate),
        )

    def identity(self) -> list[Any] | None:
        """Equal for a sequence of which no file has changed."""
        digest = hashlib.sha256()
        for path in self._paths:
            there = path.stat()
            digest.update(f"{path.name} {there.st_size} {there.st_mtime_ns}\n".encode())
        return [str(self._paths[0].parent.resolve()), len(self._paths), digest.hexdigest()]

    def frames(self, mark: Mark | None = None) -> Iterator[Frame]:
        """The wanted pictures, from `mark` on where one is given. Raises VideoError for another size or depth."""
        chooser, index = Chooser(self._cut), 0
        for place, path in enumerate(self._paths):
            if not chooser.wants(place * self.track.time_base):
                continue
            if mark is None or index >= mark.index:
                pixels = _pixels(path)
                expected = (self.track.height, self.track.width, 3)
                if pixels.shape != expected or (pixels.dtype == np.uint8) != (self.track.pix_fmt == "rgb24"):
                    raise VideoError(f"{path}: differs from {self._paths[0]} in size or depth; convert one of them")
                yield Frame(index, place, 1, True, zlib.crc32(pixels.data), pixels)
            index += 1

    def check_unchanged(self) -> None:
        """Nothing of it is read a second time."""

    def stop(self) -> None:
        """Nothing to wake up."""

    def close(self) -> None:
        """Nothing to let go of."""


class SequenceWriter:
    """The last stage for sequences: every picture a file of its own, numbered from 1."""

    def __init__(self, pattern: str, store: Store) -> None:
        """`store` notes how far the work is; its packets are empty."""
        self._pattern, self._store = checked_pattern(pattern), store
        images.output_format(pattern)

    def __call__(self, frames: Iterable[Frame]) -> None:
        """Write all. Raises ImageError, naming the file."""
        writer = None
        try:
            for frame in frames:
                if writer is not None and writer.packets >= SEGMENT:
                    self._store.add(writer, Mark(frame.index, frame.pts, frame.digest))
                    writer = None
                if writer is None:
                    writer = self._store.writer()
                picture = images.read(frame.pixels)
                images.write(picture, picture.frames, numbered(self._pattern, frame.index + 1))
                writer.write(Encoded(frame.pts, frame.duration, True, b""))
            if writer is not None:
                self._store.add(writer, None)
                writer = None
        finally:
            if writer is not None:
                writer.discard()


def numbered(pattern: str, number: int) -> Path:
    """The file of one number."""
    path = Path(pattern)
    return path.with_name(_NUMBER.sub(lambda found: f"{number:{found[1]}{found[2]}d}", path.name, count=1))


def _numbered(pattern: str) -> list[Path]:
    """Existing files of a pattern, by number. Raises VideoError for none, and for a gap."""
    path = Path(pattern)
    before, after = (re.escape(part) for part in (_split(path.name)))
    matching = re.compile(f"{before}(\\d+){after}")
    try:
        names = [found for there in path.parent.iterdir() if (found := matching.fullmatch(there.name))]
    except OSError as error:
        raise VideoError(f"{path.parent}: cannot be read ({error.strerror}); check the name") from None
    there = {int(found[1]): path.with_name(found[0]) for found in names}
    if not there:
        raise VideoError(f"{pattern}: no file matches it; check the name")
    for number in range(min(there), max(there)):
        if number not in there:
            raise VideoError(f"{numbered(pattern, number)}: is missing in the sequence; number the files without a gap")
    return [there[number] for number in sorted(there)]


def _split(name: str) -> tuple[str, str]:
    found = _NUMBER.search(name)
    assert found is not None
    return name[: found.start()], name[found.end() :]


def _images(folder: Path) -> list[Path]:
    """Images of a folder, by name, numbers in it by their value."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in images.SUFFIXES and path.name[0] != "."]
    except OSError as error:
        raise VideoError(f"{folder}: cannot be read ({error.strerror}); check the name") from None
    if not found:
        raise VideoError(f"{folder}: no images in this folder; give one with the pictures of a video")
    return sorted(found, key=lambda path: [(int(n or 0), text) for text, n in re.findall(r"(\D*)(\d*)", path.name)])


def _pixels(path: Path) -> Pixels:
    """RGB pixels of an image of one frame without transparency."""
    picture = images.read(path)
    if len(picture.frames) > 1:
        raise ImageError(f"{path}: has {len(picture.frames)} frames; a sequence needs one in each file")
    frame = picture.frames[0]
    if frame.black is not None or (frame.alpha is not None and not (to_float(frame.alpha) == 1).all()):
        raise ImageError(f"{path}: has transparency or CMYK, which a video has not; enlarge the folder into a folder")
    color = frame.color
    if color.dtype not in (np.uint8, np.uint16):
        color = to_dtype(color, np.dtype(np.uint16))
    return np.ascontiguousarray(np.repeat(color, 3, axis=2) if color.shape[2] == 1 else color)
