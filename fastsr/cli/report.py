"""What a run of `fastsr upscale` tells: each result as a line of JSON if asked for, faults, notes and the counts."""

from __future__ import annotations

import collections
import json
import sys
from typing import Any, TextIO

from fastsr.cli.console import say
from fastsr.cli.inputs import told

Size = tuple[int, int]


class Report:
    """Collects what came of each input; `close` prints it, standard output carrying nothing else than it may."""

    def __init__(
        self, *, quiet: bool, as_json: bool, dry_run: bool, data_on_stdout: bool, names_results: bool = False
    ) -> None:
        """`names_results`: whether a single result is named behind the counts, because the user gave it no name."""
        self.faults: list[str] = []
        self.skipped: collections.Counter[str] = collections.Counter()
        self.quiet = quiet
        self._as_json, self._dry_run = as_json, dry_run
        # standard output may carry the pixels
        self._stream: TextIO = sys.stderr if data_on_stdout or as_json else sys.stdout
        self._json_stream = sys.stderr if data_on_stdout else sys.stdout
        self._names_results = names_results and not as_json and not dry_run
        self._last = ""  # result that was made
        self._how = ""  # what was said of how it was made
        self._done = self._there = 0
        self._notes: list[str] = []

    @property
    def shows_progress(self) -> bool:
        """Whether bars may be shown."""
        return not self.quiet

    def made(self, source: str, target: str, **facts: Any) -> None:
        """A result was made, or would be in a dry run.

        `facts` are for JSON, sizes as (width, height), but for "how", which is text for the last line.
        """
        self._done += 1
        status = "planned" if self._dry_run else "made"
        self._last = f"{target}{_details(facts)}"
        self._how = facts.pop("how", "")
        if self._as_json:
            self._line(status=status, source=source, target=target, **facts)
        elif self._dry_run and not self.quiet:
            say(f"{source} -> {self._last}", self._stream)

    def there(self, source: str, target: str) -> None:
        """A result is there already."""
        self._there += 1
        if self._as_json:
            self._line(status="there", source=source, target=target)

    def failed(self, fault: str, source: str | None = None, target: str | None = None) -> None:
        """Something failed."""
        self.faults.append(fault)
        if self._as_json:
            given = {"source": source, "target": target}
            self._line(status="failed", **{key: value for key, value in given.items() if value}, error=fault)

    def note(self, text: str) -> None:
        """Something worth knowing, told at the end."""
        if text not in self._notes:
            self._notes.append(text)

    def say(self, text: str) -> None:
        """Something worth knowing, told at once."""
        if not self.quiet:
            say(f"fastsr: {text}", sys.stderr)

    def close(self) -> None:
        """Print notes and faults."""
        for text in [*([] if self.quiet else self._notes), *self.faults]:
            say(f"fastsr: {text}", sys.stderr)

    def count(self) -> None:
        """Print the counts."""
        if self.quiet:
            return
        parts = [f"{self._done} to make" if self._dry_run else f"{self._done} made"]
        if self._names_results and self._done == 1:
            parts[0] += f": {self._last}"
        if self._how and self._done == 1:
            parts[0] += f": {self._how}"
        if self._there:
            parts.append(f"{self._there} already there (--force makes them again)")
        if self.skipped:
            parts.append(f"{self.skipped.total()} skipped ({told(self.skipped)})")
        if self.faults:
            parts.append(f"{len(self.faults)} failed")
        say(", ".join(parts), self._stream)

    def _line(self, **fields: Any) -> None:
        # names of files that are no UTF-8 become what Python reads them back from
        say(json.dumps(fields), self._json_stream)


def _details(facts: dict[str, Any]) -> str:
    """The size of a result and the model, as far as they are known."""
    size = facts.get("size")
    return f" ({size[0]}x{size[1]}, {facts['model']})" if size else ""
