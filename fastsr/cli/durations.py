"""Lengths of time as people write them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Minutes and seconds, 2:05, with hours where there are any, 1:02:05; below ten seconds with a tenth, 3.4 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
