"""Which pairs of files the viewer may show, under keys that nobody guesses."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from fastsr.web.store import Store

MAX_VIEWS = 2000  # that are known at once; the one that was opened first goes


class Views:
    """The viewer's store: pairs of an original and its result, in folders of `Store`."""

    def __init__(self, store: Store) -> None:
        """One without views."""
        self._store = store
        self._known: OrderedDict[str, tuple[Path, Path]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, original: Path, result: Path) -> str:
        """Have a pair shown; returns its key, the same for the same pair."""
        key = self._store.keyed(f"view {original} {result}")
        with self._lock:
            self._known[key] = (original, result)
            self._known.move_to_end(key)
            while len(self._known) > MAX_VIEWS:
                self._known.popitem(last=False)
        return key

    def get(self, key: str) -> tuple[Path, Path] | None:
        """The pair of a key, if both are still there; looking at it is use."""
        with self._lock:
            pair = self._known.get(key)
        if pair is None or not all(path.is_file() for path in pair):
            return None
        self._store.use(pair[1])
        return pair
