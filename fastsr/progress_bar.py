"""Progress on a terminal, from callbacks that say how much of how much is done."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


class _NoBar:
    """Stands in for a bar that nobody would see."""

    total: float | None = None
    initial: float = 0
    n: float = 0

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, steps: float = 1) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        pass

    def close(self) -> None:
        pass


def terminal_bar(disable: bool | None = None, **options: Any) -> Any:
    """A bar of tqdm's, with its options; where none is shown, a stand-in, because importing tqdm takes a while.

    `disable` is tqdm's: None shows the bar where standard error is a terminal.
    """
    if disable or (disable is None and not sys.stderr.isatty()):
        return _NoBar()
    from tqdm import tqdm

    return tqdm(disable=disable, **options)


@contextlib.contextmanager
def progress_bar(description: str, unit: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar where standard error is a terminal; gives what moves it, called with (done, in all)."""
    with terminal_bar(None if shown else True, desc=description, unit=unit, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
