"""What lies in a folder: its images by their first bytes, its videos by their suffixes, and what is neither."""

from __future__ import annotations

import collections
import dataclasses
import os
import stat

from fastsr import images
from fastsr.images.detection import HEAD_BYTES, format_of, is_camera_raw, other_kind
from fastsr.video_formats import PIPE, is_video_name

NO_IMAGE = "not images"
_SYNC = 0x47  # of MPEG transport streams, whose suffixes are those of TypeScript too
_SYNCHRONIZED = (".ts", ".mts")


@dataclasses.dataclass
class Contents:
    """What was found below a folder.

    Attributes:
        images: (path, path below the folder), sorted.
        videos: the same of videos.
        skipped: how many files of which kind are neither.
        faults: a message for each folder that could not be searched.

    """

    images: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    videos: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: list[str] = dataclasses.field(default_factory=list)


class FolderSearch:
    """Searches folders through, each once, without hidden files and folders and without the folder of the results.

    Links to folders, which may loop, are not followed. A file that is named as an image is one, so that its damage is
    told.
    """

    def __init__(self, output: str | None) -> None:
        self.output = None if output is None or output == PIPE else os.path.realpath(output)
        """The real path of the output, which is left out; None = there is none that could lie in a folder."""
        self._searched: dict[str, Contents] = {}

    def contents(self, root: str) -> Contents:
        """What lies below a folder."""
        if root not in self._searched:
            self._searched[root] = Contents()
            _search(root, "", self.output, self._searched[root])
        return self._searched[root]


def _search(folder: str, below: str, without: str | None, found: Contents) -> None:
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name, entry) for entry in entries if entry.name[0] != ".")
    except OSError as error:
        found.faults.append(f"{folder}: cannot be searched ({error.strerror}); change its mode or move it")
        return
    for name, entry in names:
        path, relative = os.path.join(folder, name), f"{below}/{name}" if below else name  # noqa: PTH118 - 100 000 times
        if _is_folder(entry):
            if not entry.is_symlink() and (without is None or os.path.realpath(path) != without):
                _search(path, relative, without, found)
            continue
        kind = kind_of(path, name)
        if kind == "image":
            found.images.append((path, relative))
        elif kind == "video":
            found.videos.append((path, relative))
        elif kind is not None:
            found.skipped[kind] += 1


def kind_of(path: str, name: str) -> str | None:
    """What a file is: "image", "video" or another kind; None = no plain file (a pipe would wait forever)."""
    try:
        # else opening a pipe would wait for who writes to it
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        # a link to nothing, or a file that may not be read, is an input that fails
        return "video" if is_video_name(name) else "image" if _named_as_image(name) else NO_IMAGE
    try:
        head = os.read(descriptor, HEAD_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        head = b""
    finally:
        os.close(descriptor)
    if head is None:
        return None
    if is_camera_raw(name):
        return "camera raw"
    if format_of(head, name) is not None:
        return "image"
    if is_video_name(name) and (not name.lower().endswith(_SYNCHRONIZED) or _SYNC in (head[:1] + head[4:5])):
        return "video"
    return "image" if _named_as_image(name) else other_kind(head, name) or NO_IMAGE


def _named_as_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in images.SUFFIXES  # noqa: PTH122


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
