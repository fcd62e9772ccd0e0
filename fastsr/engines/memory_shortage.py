"""What engines say when memory runs out."""

from __future__ import annotations

from pathlib import Path

from fastsr.engines.protocol import Pixels


def out_of_memory(path: Path, pixels: Pixels, remedy: str) -> str:
    """What to say when memory runs out on H x W x C pixels."""
    return f"{path}: memory ran out on {pixels.shape[1]}x{pixels.shape[0]} pixels; {remedy}"
