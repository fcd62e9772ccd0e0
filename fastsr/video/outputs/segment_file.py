"""A segment on disk: encoded frames as records, a footer that says where the next segment begins, a checksum.

A record is pts, duration, key, size and data. The footer is JSON (how many packets, where to resume), and the checksum
covers all of it. A segment gets its name when it is whole.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from fastsr.video.frame import ResumePoint
from fastsr.video.outputs.work_folder import WorkFolder

SEGMENT_SUFFIX, PART_SUFFIX = ".segment", ".part"

_RECORD = struct.Struct("<qqBI")  # pts, duration, key, size
_TAIL = struct.Struct("<III")  # packets, size of the footer, CRC-32 of what comes before
_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class EncodedFrame:
    """One encoded frame; times in ticks of its stream."""

    pts: int
    duration: int
    key: bool
    data: bytes


@dataclasses.dataclass(frozen=True)
class Footer:
    """What a whole segment says of itself; `following` is where the next one begins, None behind the last."""

    packets: int
    following: ResumePoint | None


class SegmentWriter:
    """A segment that is being written."""

    def __init__(self, folder: WorkFolder, name: str) -> None:
        self.name = name
        self.packets = 0
        self._folder, self._part = folder, name.removesuffix(SEGMENT_SUFFIX) + PART_SUFFIX
        self._file = folder.create(self._part)
        self._crc = 0

    def write(self, frame: EncodedFrame) -> None:
        """Append a packet."""
        self._put(_RECORD.pack(frame.pts, frame.duration, frame.key, len(frame.data)))
        self._put(frame.data)
        self.packets += 1

    def finish(self, following: ResumePoint | None) -> None:
        """Complete the segment and give it its name."""
        resume = None if following is None else [following.index, following.pts, following.digest]
        footer = json.dumps({"packets": self.packets, "next": resume}).encode()
        self._put(footer)
        self._file.write(_TAIL.pack(self.packets, len(footer), self._crc))
        self._file.close()
        self._folder.rename(self._part, self.name)

    def discard(self) -> None:
        """Give up what was written."""
        self._file.close()
        self._folder.remove(self._part)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._crc = zlib.crc32(data, self._crc)


def segment_name(number: int) -> str:
    """The file of the segment of a number, from 0."""
    return f"{number:06d}{SEGMENT_SUFFIX}"


def encoded_frames(folder: WorkFolder, name: str) -> Iterator[EncodedFrame]:
    """The frames of a whole segment, in order of decoding."""
    with folder.read(name) as file:
        yield from frames_in(file)


def frames_in(file: BinaryIO) -> Iterator[EncodedFrame]:
    """The frames of a whole segment's file, in order of decoding."""
    for pts, duration, key, size in _records(file):
        yield EncodedFrame(pts, duration, bool(key), file.read(size))


def frame_times(folder: WorkFolder, name: str) -> Iterator[tuple[int, int]]:
    """(pts, duration) of the frames of a whole segment, in order of decoding, without reading their data."""
    with folder.read(name) as file:
        for pts, duration, _, size in _records(file):
            yield pts, duration
            file.seek(size, 1)


def read_footer(folder: WorkFolder, name: str) -> Footer | None:
    """The footer of a segment, None unless it is there and whole."""
    try:
        with folder.read(name) as file:
            return footer_in(file)
    except (OSError, ValueError):
        return None


def footer_in(file: BinaryIO) -> Footer | None:
    """The footer of a segment's file, None unless that is whole. Raises OSError and ValueError for what is none."""
    left = file.seek(-_TAIL.size, 2)
    _, size, expected = _TAIL.unpack(file.read(_TAIL.size))
    file.seek(0)
    crc = 0
    while left:
        block = file.read(min(left, _BLOCK))
        crc, left = zlib.crc32(block, crc), left - len(block)
    if crc != expected:
        return None
    file.seek(-_TAIL.size - size, 2)
    content = json.loads(file.read(size))
    return Footer(content["packets"], ResumePoint(*content["next"]) if content["next"] else None)


def _records(file: BinaryIO) -> Iterator[tuple[int, int, int, int]]:
    """Heads of records; whoever takes one reads or skips its data."""
    end = file.seek(-_TAIL.size, 2)
    packets, footer, _ = _TAIL.unpack(file.read(_TAIL.size))
    file.seek(0)
    for _ in range(packets):
        yield _RECORD.unpack(file.read(_RECORD.size))
    assert file.tell() == end - footer
