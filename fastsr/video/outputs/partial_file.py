"""The playable file of what is done of a video that was stopped: what it is called, and that it is ours.

Its name could be that of a file of the user's. So the store of the unfinished work notes which file was made: that one
alone is replaced by the next, and removed when the video is finished, and only if nobody has changed it since.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from fastsr.video.outputs.segment_store import PartialNote, SegmentStore

_MARK = ".part"


def place(target: Path, store: SegmentStore) -> Path:
    """Where the file may lie: beside the target, as out.part.mp4, with a number where that is somebody else's."""
    ours = _ours(target, store)
    for number in itertools.count(1):
        mark = _MARK if number == 1 else f"{_MARK}-{number}"
        path = target.with_name(f"{target.stem}{mark}{target.suffix}")
        if path == ours or not os.path.lexists(path):
            return path
    raise AssertionError


def remember(path: Path, store: SegmentStore, frames: int) -> None:
    """Note that a file was made."""
    status = path.stat()
    store.note_partial(PartialNote(path.name, status.st_size, status.st_mtime_ns, frames))


def holds(target: Path, store: SegmentStore) -> int:
    """How many frames the file has that was made before; 0 for none."""
    note = store.noted_partial()
    return 0 if note is None or _ours(target, store) is None else note.frames


def remove(target: Path, store: SegmentStore) -> None:
    """Remove the file that was made of a target, if there is one and it is as it was."""
    ours = _ours(target, store)
    if ours is not None:
        ours.unlink(missing_ok=True)


def _ours(target: Path, store: SegmentStore) -> Path | None:
    """The file that was made, as long as it is as it was."""
    note = store.noted_partial()
    if note is None:
        return None
    path = target.with_name(Path(note.name).name)
    try:
        status = path.lstat()
    except OSError:
        return None
    return path if (status.st_size, status.st_mtime_ns) == (note.size, note.changed) else None
