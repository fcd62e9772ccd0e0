"""Finished work on disk: encoded packets in segments that a killed run leaves for the next one.

A segment is a file of records (pts, duration, key, size, data), a footer in JSON (how many packets, where the next
segment begins) and a checksum over all of it. It gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastsr.errors import VideoError
from fastsr.video.frames import Mark
from fastsr.video.work_folder import WorkFolder

_RECORD = struct.Struct("<qqBI")  # pts, duration, key, size
_TAIL = struct.Struct("<III")  # packets, size of the footer, CRC-32 of what comes before
_BLOCK = 1 << 20
_JOB, _LOCK, _WHOLE, _PART = "job.json", "lock", ".segment", ".part"

VERSION = 2
"""Of the folder: raised when what lies in it is stored, described or made in another way than before."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """One encoded picture; times in ticks of its track."""

    pts: int
    duration: int
    key: bool
    data: bytes


class Store:
    """The segments of one output, in a hidden folder beside it, held by one process at a time."""

    def __init__(self, target: Path, description: dict[str, Any]) -> None:
        """Take what an earlier run left, if that had the same `description` (all that the packets depend on).

        Raises VideoError when another process or user holds the folder, OSError when it cannot be made.
        """
        self.segments: list[str] = []  #: names of the whole ones
        self.packets = 0  #: in all whole segments
        self.mark: Mark | None = None  #: the first frame that is still to be made; None = the first of all
        self.complete = False  #: whether nothing is left to be made
        self._folder = WorkFolder(target.parent / f".{target.name}.fastsr-work")
        self._lock: BinaryIO | None = None
        try:
            self._hold(target)
            text = json.dumps({"version": VERSION, **description}, indent=1, sort_keys=True).encode()
            if self._content(_JOB) != text:
                self._clear()
                with self._folder.create(_JOB) as file:
                    file.write(text)
            self._take()
        except BaseException:
            self.close()
            raise

    def writer(self) -> Writer:
        """The next segment."""
        return Writer(self._folder, _name(len(self.segments)))

    def add(self, writer: Writer, following: Mark | None) -> None:
        """Finish a segment; `following` is where the next begins, None after the last."""
        writer.finish(following)
        self.segments.append(writer.name)
        self.packets += writer.packets
        self.mark, self.complete = following, following is None

    def encoded(self) -> Iterator[Encoded]:
        """All packets, in order of decoding."""
        for name in self.segments:
            with self._folder.read(name) as file:
                packets, end = _shape(file)
                for pts, duration, key, size in _records(file, packets, end):
                    yield Encoded(pts, duration, bool(key), file.read(size))

    def times(self) -> tuple[list[int], int]:
        """Presentation times of all packets in order of decoding; the duration of the picture shown last."""
        times: list[int] = []
        longest = (-(1 << 63), 0)
        for name in self.segments:
            with self._folder.read(name) as file:
                for pts, duration, _, size in _records(file, *_shape(file)):
                    times.append(pts)
                    longest = max(longest, (pts, duration))
                    file.seek(size, 1)
        return times, longest[1]

    def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        if self._lock is not None:
            self._lock.close()
        self._folder.close()

    def remove(self) -> None:
        """Delete the folder."""
        self._clear()
        for name in (_JOB, _LOCK):
            self._folder.remove(name)
        with contextlib.suppress(OSError):  # something that is not ours lies there
            self._folder.path.rmdir()
        self.close()

    def _hold(self, target: Path) -> None:
        """Keep other processes out."""
        try:
            self._lock = self._folder.lock_file(_LOCK)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise VideoError(f"{self._folder.path / _LOCK}: {error.strerror or error}; remove that folder") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise VideoError(f"{target}: another process is making it; wait for it, or stop it") from None

    def _clear(self) -> None:
        for name in self._folder.names():
            if name.endswith((_WHOLE, _PART)):
                self._folder.remove(name)

    def _content(self, name: str) -> bytes | None:
        try:
            with self._folder.read(name) as file:
                return file.read()
        except OSError:
            return None

    def _take(self) -> None:
        """Count whole segments from the first on; those behind a damaged one are made again."""
        while True:
            name = _name(len(self.segments))
            footer = None if self.complete else _footer(self._folder, name)
            if footer is None:
                break
            self.segments.append(name)
            self.packets += footer["packets"]
            self.mark = Mark(*footer["next"]) if footer["next"] else None
            self.complete = self.mark is None
        for name in self._folder.names():
            if name.endswith(_WHOLE) and name not in self.segments:
                self._folder.remove(name)


class Writer:
    """A segment that is being written."""

    def __init__(self, folder: WorkFolder, name: str) -> None:
        self.name = name
        self.packets = 0
        self._folder, self._part = folder, name.removesuffix(_WHOLE) + _PART
        self._file = folder.create(self._part)
        self._crc = 0

    def write(self, packet: Encoded) -> None:
        """Append a packet."""
        self._put(_RECORD.pack(packet.pts, packet.duration, packet.key, len(packet.data)))
        self._put(packet.data)
        self.packets += 1

    def finish(self, following: Mark | None) -> None:
        """Complete the segment and give it its name."""
        mark = None if following is None else dataclasses.astuple(following)
        footer = json.dumps({"packets": self.packets, "next": mark}).encode()
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


def _name(number: int) -> str:
    return f"{number:06d}{_WHOLE}"


def _shape(file: BinaryIO) -> tuple[int, int]:
    """Number of packets, and where they end; the file then stands at the first."""
    end = file.seek(-_TAIL.size, 2)
    packets, footer, _ = _TAIL.unpack(file.read(_TAIL.size))
    file.seek(0)
    return packets, end - footer


def _records(file: BinaryIO, packets: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Heads of records; whoever takes one reads or skips its data."""
    for _ in range(packets):
        yield _RECORD.unpack(file.read(_RECORD.size))
    assert file.tell() == end


def _footer(folder: WorkFolder, name: str) -> dict[str, Any] | None:
    """The footer of a segment, None unless it is there and whole."""
    try:
        with folder.read(name) as file:
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
            footer: dict[str, Any] = json.loads(file.read(size))
            return footer
    except (OSError, ValueError):
        return None
