"""Unfinished work of one output: its whole segments and what they were made from, kept for a run that resumes it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fastsr.errors import VideoError
from fastsr.video.frame import ResumePoint
from fastsr.video.outputs.segment_file import (
    PART_SUFFIX,
    SEGMENT_SUFFIX,
    EncodedFrame,
    SegmentWriter,
    encoded_frames,
    footer_in,
    frame_times,
    frames_in,
    read_footer,
    segment_name,
)
from fastsr.video.outputs.work_folder import WorkFolder

_JOB, _LOCK, _PARTIAL = "job.json", "lock", "partial.json"
_AHEAD_SUFFIX = ".ahead"  # of segments that were made before those in front of them
_TAIL = f"tail{SEGMENT_SUFFIX}"

VERSION = 4
"""Of the folder's format: raised when what lies in it is stored, described or made in another way than before."""


@dataclasses.dataclass(frozen=True)
class PartialNote:
    """A file that was made of unfinished work, in the folder of the output.

    Attributes:
        name: of the file.
        size: bytes.
        changed: when it was written, nanoseconds.
        frames: that it holds.

    """

    name: str
    size: int
    changed: int
    frames: int


class SegmentStore:
    """The segments of one output, in a hidden folder beside it, held by one process at a time."""

    def __init__(self, target: Path, identity: dict[str, Any]) -> None:
        """Take what an earlier run left, if that had the same `identity` (all that the packets depend on, for JSON).

        Raises VideoError when another process, user or version holds the folder, OSError when it cannot be made.
        """
        self.segments: list[str] = []  #: names of the whole ones
        self.packets = 0  #: in all whole segments
        self.resume: ResumePoint | None = None  #: the first frame that is still to be made; None = the first of all
        self.complete = False  #: whether nothing is left to be made
        self._tail: list[str] = []  # the segment of a run that was stopped, which ends too early to be resumed from
        self._folder = WorkFolder(target.parent / f".{target.name}.fastsr-work")
        self._lock: BinaryIO | None = None
        try:
            self._hold(target)
            self._check_version(target)
            job = json.dumps({"version": VERSION, **identity}, indent=1, sort_keys=True).encode()
            if self._content(_JOB) != job:
                self._clear()
                self._forget_partial_length()
                with self._folder.create(_JOB) as file:
                    file.write(job)
            self._take()
        except BaseException:
            self.close()
            raise

    @property
    def empty(self) -> bool:
        """Whether nothing in it is worth keeping."""
        return not self.packets and not self.segments and not self.ahead_times() and self.noted_partial() is None

    @property
    def full(self) -> bool:
        """Whether no other segment is wanted: never, the frames end it."""
        return False

    def writer(self) -> SegmentWriter:
        """The next segment."""
        return SegmentWriter(self._folder, segment_name(len(self.segments)))

    def add(self, writer: SegmentWriter, following: ResumePoint | None) -> None:
        """Finish a segment; `following` is where the next begins, None after the last."""
        writer.finish(following)
        self.segments.append(writer.name)
        self.packets += writer.packets
        self.resume, self.complete = following, following is None

    def keep_ahead(self, first: ResumePoint, segment: bytes) -> None:
        """Keep a whole segment's file, which begins with the frame `first`, until those before it are there."""
        part = f"{first.pts}{PART_SUFFIX}"
        with self._folder.create(part) as file:
            file.write(segment)
        self._folder.rename(part, _ahead_name(first.pts, first.digest))

    def ahead_times(self) -> set[int]:
        """Presentation timestamps of the frames that kept segments begin with."""
        names = (name for name in self._folder.names() if name.endswith(_AHEAD_SUFFIX))
        return {int(name.rpartition("-")[0]) for name in names}

    def add_ahead(self) -> int:
        """Add kept segments that begin where what is there ends; returns how many frames they have."""
        frames = 0
        while not self.complete and self.resume is not None:
            added = self._add_kept(_ahead_name(self.resume.pts, self.resume.digest), self.resume.index)
            if not added:
                break
            frames += added
        return frames

    def add_whole(self, segment: bytes, index: int) -> int:
        """Add a whole segment's file, whose first frame has this index; returns how many frames it has."""
        file = io.BytesIO(segment)
        footer = footer_in(file)
        if footer is None:
            raise VideoError(f"{self._folder.path}: a segment was damaged on its way; start again")
        writer = self.writer()
        try:
            for frame in frames_in(file):
                writer.write(frame)
        except BaseException:
            writer.discard()
            raise
        following = footer.following
        if following is not None:  # who made it may have counted from elsewhere
            following = dataclasses.replace(following, index=index + footer.packets)
        self.add(writer, following)
        return footer.packets

    def _add_kept(self, name: str, index: int) -> int:
        try:
            with self._folder.read(name) as file:
                segment = file.read()
            added = self.add_whole(segment, index)
        except (OSError, ValueError):  # there is none, or a damaged one
            return 0
        self._folder.remove(name)
        return added

    def keep_tail(self, writer: SegmentWriter) -> None:
        """Finish a segment that ends where a run was stopped: to be read once, and made again by whoever resumes."""
        writer.name = _TAIL
        writer.finish(None)
        self._tail = [_TAIL]

    def drop_tail(self) -> None:
        """Remove what `keep_tail` kept."""
        for name in self._tail:
            self._folder.remove(name)
        self._tail = []

    def encoded_frames(self, *, tail: bool = False) -> Iterator[EncodedFrame]:
        """All encoded frames, in order of decoding; with those of the `tail` where they are wanted too."""
        for name in [*self.segments, *(self._tail if tail else [])]:
            yield from encoded_frames(self._folder, name)

    def times(self, *, tail: bool = False) -> tuple[list[int], int]:
        """Presentation timestamps of all frames in order of decoding; the duration of the frame shown last."""
        times: list[int] = []
        last = (-(1 << 63), 0)
        for name in [*self.segments, *(self._tail if tail else [])]:
            for pts, duration in frame_times(self._folder, name):
                times.append(pts)
                last = max(last, (pts, duration))
        return times, last[1]

    def note_partial(self, note: PartialNote) -> None:
        """Remember which file was made of unfinished work."""
        with self._folder.create(_PARTIAL) as file:
            file.write(json.dumps(dataclasses.asdict(note)).encode())

    def noted_partial(self) -> PartialNote | None:
        """The file that was made of unfinished work."""
        try:
            note = PartialNote(**json.loads(self._content(_PARTIAL) or b""))
        except (ValueError, TypeError):
            return None
        sound = isinstance(note.name, str) and all(isinstance(n, int) for n in (note.size, note.changed, note.frames))
        return note if sound else None

    def _forget_partial_length(self) -> None:
        """What was made of other work is as good as nothing, but still ours."""
        note = self.noted_partial()
        if note is not None:
            self.note_partial(dataclasses.replace(note, frames=0))

    def close(self) -> None:
        """Release the folder; what is in it stays."""
        if self._lock is not None:
            self._lock.close()
        self._folder.close()

    def remove(self) -> None:
        """Delete the folder."""
        self._clear()
        for name in (_JOB, _LOCK, _PARTIAL):
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

    def _check_version(self, target: Path) -> None:
        """Raise VideoError, changing nothing, for work that another version began: it alone can finish it."""
        try:
            job = json.loads(self._content(_JOB) or b"")
        except ValueError:  # none, or a damaged one, which is no work of anybody
            return
        if isinstance(job, dict) and job.get("version") != VERSION:
            raise VideoError(
                f"{target}: unfinished work in {self._folder.path} was begun by another version of fastsr; finish it "
                "with that version, or delete that folder to start anew"
            )

    def _clear(self) -> None:
        for name in self._folder.names():
            if name.endswith((SEGMENT_SUFFIX, PART_SUFFIX, _AHEAD_SUFFIX)):
                self._folder.remove(name)

    def _content(self, name: str) -> bytes | None:
        try:
            with self._folder.read(name) as file:
                return file.read()
        except OSError:
            return None

    def _take(self) -> None:
        """Count whole segments from the first on; those behind a damaged one are made again."""
        while not self.complete:
            name = segment_name(len(self.segments))
            footer = read_footer(self._folder, name)
            if footer is None:
                break
            self.segments.append(name)
            self.packets += footer.packets
            self.resume, self.complete = footer.following, footer.following is None
        for name in self._folder.names():
            if name.endswith(SEGMENT_SUFFIX) and name not in self.segments:
                self._folder.remove(name)


def _ahead_name(pts: int, digest: int) -> str:
    return f"{pts}-{digest:08x}{_AHEAD_SUFFIX}"
