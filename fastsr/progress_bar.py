"""Progress on a terminal, from callbacks that say how much of how much is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def progress_bar(description: str, unit: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a bar where standard error is a terminal; gives what moves it, called with (done, in all)."""
    with tqdm(desc=description, unit=unit, leave=False, disable=None if shown else True) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
