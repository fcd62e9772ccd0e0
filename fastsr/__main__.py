"""The command line: `fastsr`, or `python -m fastsr`."""

from __future__ import annotations

import gc
import sys

COLLECT_AFTER = 20_000  # objects made. Python's usual 700 has it look through what imports make dozens of times


def main() -> int:
    """Run the command line in a process of its own; returns the exit code."""
    gc.set_threshold(COLLECT_AFTER)
    from fastsr.cli import command

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
