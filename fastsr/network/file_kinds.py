"""Which kind of model a file holds, told by its first bytes."""

from __future__ import annotations

from pathlib import Path

ENGINE_MAGIC = b"fastsr engine 1\n"  # what `fastsr export --tensorrt` begins its files with


def is_engine(content: bytes) -> bool:
    """Whether a file's content (its beginning is enough) is a TensorRT engine of ours."""
    return content.startswith(ENGINE_MAGIC)


def is_engine_file(path: Path) -> bool:
    """As `is_engine`, of a file; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_engine(file.read(len(ENGINE_MAGIC)))
    except (OSError, ValueError):
        return False
