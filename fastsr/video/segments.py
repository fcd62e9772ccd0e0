"""Finished work on disk: encoded packets in segments that a killed run leaves for the next one.

A segment is a file of records (pts, duration, key, size, data), a footer in JSON (how many packets, where the next
segment begins) and a checksum over all of it. It gets its name when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastsr.errors import VideoError
from fastsr.video.frames import Mark

_RECORD = struct.Struct("<qqBI")  # pts, duration, key, size
_TAIL = struct.Struct("<III")  # packets, size of the footer, CRC-32 of what comes before
_BLOCK = 1 << 20


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

        Raises VideoError when another process holds the folder, OSError when it cannot be made.
        """
        self.folder = target.parent / f".{target.name}.fastsr-work"
        self.folder.mkdir(exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise VideoError(f"{target}: another process is making it; wait for it, or stop it") from None
        text = json.dumps(description, indent=1, sort_keys=True)
        job = self.folder / "job.json"
        if _text(job) != text:
            self._clear()
            job.write_text(text)
        self.segments: list[Path] = []
        self.packets = 0  #: in all whole segments
        self.mark: Mark | None = None  #: the first frame that is still to be made; None = the first of all
        self.complete = False  #: whether nothing is left to be made
        self._take()

    def writer(self) -> Writer:
        """The next segment."""
        return Writer(self.folder / f"{len(self.segments):06d}.segment")

    def add(self, writer: Writer, following: Mark | None) -> None:
        """Finish a segment; `following` is where the next begins, None after the last."""
        writer.finish(following)
        self.segments.append(writer.path)
        self.packets += writer.packets
        self.mark, self.complete = following, following is None

    def encoded(self) -> Iterator[Encoded]:
        """All packets, in order of decoding."""
        for path in self.segments:
            with path.open("rb") as file:
                packets, end = _shape(file)
                for pts, duration, key, size in _records(file, packets, end):
                    yield Encoded(pts, duration, bool(key), file.read(size))

    def times(self) -> tuple[list[int], int]:
        """Presentation times of all packets in order of decoding; the duration of the picture shown last."""
        times: list[int] = []
        longest = (-(1 << 63), 0)
        for path in self.segments:
            with path.open("rb") as file:
                for pts, duration, _, size in _records(file, *_shape(file)):
                    times.append(pts)
                    longest = max(longest, (pts, duration))
                    file.seek(size, 1)
        return times, longest[1]

    def close(self) -> None:
        """Let go of the folder; what is in it stays."""
        self._lock.close()

    def remove(self) -> None:
        """Delete the folder."""
        self._clear()
        for name in ("job.json", "lock"):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something that is not ours lies there
            self.folder.rmdir()
        self.close()

    def _clear(self) -> None:
        for path in (*self.folder.glob("*.segment"), *self.folder.glob("*.part")):
            path.unlink()

    def _take(self) -> None:
        """Count whole segments from the first on; those behind a damaged one are made again."""
        while True:
            path = self.folder / f"{len(self.segments):06d}.segment"
            footer = None if self.complete else _footer(path)
            if footer is None:
                break
            self.segments.append(path)
            self.packets += footer["packets"]
            self.mark = Mark(*footer["next"]) if footer["next"] else None
            self.complete = self.mark is None
        for path in self.folder.glob("*.segment"):
            if path not in self.segments:
                path.unlink()


class Writer:
    """A segment that is being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.packets = 0
        self._part = path.with_suffix(".part")
        self._file = self._part.open("wb")
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
        self._part.replace(self.path)

    def discard(self) -> None:
        """Give up what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._crc = zlib.crc32(data, self._crc)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


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


def _footer(path: Path) -> dict[str, Any] | None:
    """The footer of a segment, None unless it is there and whole."""
    try:
        with path.open("rb") as file:
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
