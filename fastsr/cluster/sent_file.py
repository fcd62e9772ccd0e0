"""A large file sent to workers that do not see it: in blocks, put into Ray's object store when one first asks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
