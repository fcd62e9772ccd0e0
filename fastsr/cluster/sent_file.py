"""A large file sent to workers that do not see it: in blocks, put into Ray's object store when one first asks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastsr.cluster.shared_storage import UNSEEN
from fastsr.cluster.worker import Done

_BLOCK = 16 << 20  # bytes


class SentFile:
    """A file of the driver's, as references that workers get its content by."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: list[Any] | None = None

    @property
    def blocks(self) -> list[Any]:
        """Ray's references to its blocks, in order. Raises OSError where it cannot be read."""
        from fastsr.cluster.ray_import import ray

        if self._blocks is None:
            found = []
            with self._path.open("rb") as file:
                while block := file.read(_BLOCK):
                    found.append(ray.put(block))
            self._blocks = found
        return self._blocks


class SentFileTask:
    """A task of which many share one large source, and whose result is there once a worker has sent it."""

    size = 1 << 30  # never handed out together with others

    def __init__(self, sent: SentFile, unseen: set[str]) -> None:
        """`sent`: the source; `unseen`: nodes that do not see it; found out, and shared by all its tasks."""
        self.deaths = 0
        self._sent, self._unseen = sent, unseen

    def blocks(self, node: str) -> list[Any] | None:
        """The source as a node needs it: None where it sees the file."""
        return self._sent.blocks if node in self._unseen else None

    def settled(self, done: Done, node: str) -> Done | None:
        """What was made. A source that a node does not see is sent along the next time."""
        if isinstance(done.value, str) and done.value == UNSEEN:
            self._unseen.add(node)
            return None
        return done

    def after_death(self) -> Done | None:
        """Nothing."""
        return None


class ReceivedFile:
    """A copy on a worker, which is gone when the worker is."""

    def __init__(self, blocks: Sequence[Any], name: str) -> None:
        """Fetch it; `name`: what it is called, of which the suffix counts."""
        from fastsr.cluster.ray_import import ray

        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it has no name, so that nothing is left of it
        for block in blocks:
            self._file.write(ray.get(block))
        self._file.flush()
        self._folder = tempfile.TemporaryDirectory(prefix="fastsr-")
        self.path = Path(self._folder.name) / name
        self.path.symlink_to(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")
