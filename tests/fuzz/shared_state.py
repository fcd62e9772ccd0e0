"""Where a worker is, in a mapped file: what is written there outlives the process."""

import mmap
import struct
from pathlib import Path

_LAYOUT = struct.Struct("<qqqdq?q")
ROOM = 16 << 20  # bytes of a case


class SharedState:
    """Counts and the case at hand.

    Attributes:
        seed: of the case at hand; -1 before the first.
        accepted: cases so far.
        refused: cases so far.
        seconds: of processor time that a case may take.
        started: cases so far, so that one can tell whether anything goes on.
        done: whether all cases were run.
        size: bytes of the case at hand.

    """

    def __init__(self, folder: Path) -> None:
        """Maps the file in a folder; makes it where there is none."""
        path = folder / "state"
        if not path.exists():
            path.touch()
            with path.open("r+b") as file:
                file.truncate(_LAYOUT.size + ROOM)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.load()
        if not self.started:
            self.seed = -1

    def load(self) -> None:
        """What the file has now."""
        values = _LAYOUT.unpack_from(self._map)
        self.seed, self.accepted, self.refused, self.seconds, self.started, self.done, self.size = values

    def save(self) -> None:
        """Into the file."""
        values = (self.seed, self.accepted, self.refused, self.seconds, self.started, self.done, self.size)
        _LAYOUT.pack_into(self._map, 0, *values)

    def begin(self, seed: int, content: bytes) -> None:
        """Another case is at hand."""
        self._map[_LAYOUT.size : _LAYOUT.size + len(content)] = content
        self.seed, self.size = seed, len(content)
        self.started += 1
        self.save()

    @property
    def content(self) -> bytes:
        """The case at hand."""
        return self._map[_LAYOUT.size : _LAYOUT.size + self.size]
