"""An engine file: a serialized engine, what it was built for, and a checksum over both.

| bytes | |
|---|---|
| 16 | magic |
| 32 | SHA-256 of all that follows |
| 4 | length of the description, little-endian |
| | the description: a JSON object |
| | the engine |
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from fastsr import files
from fastsr.errors import EngineError
from fastsr.network.file_kinds import ENGINE_MAGIC as MAGIC

_BEGIN = len(MAGIC) + hashlib.sha256().digest_size
_LENGTH = struct.Struct("<I")

Description = dict[str, Any]  # of JSON's types


def canonical(description: Description) -> bytes:
    """The same bytes for equal descriptions."""
    return json.dumps(description, sort_keys=True, separators=(",", ":")).encode()


def pack(description: Description, engine: bytes) -> bytes:
    """The content of an engine file."""
    text = canonical(description)
    body = _LENGTH.pack(len(text)) + text + engine
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> tuple[Description, bytes]:
    """What `pack` was given. Raises EngineError for anything else, however small the change."""
    if not data.startswith(MAGIC):
        raise EngineError("is not an engine file of this version of fastsr; build it anew")
    body = data[_BEGIN:]
    if len(data) < _BEGIN + _LENGTH.size or hashlib.sha256(body).digest() != data[len(MAGIC) : _BEGIN]:
        raise EngineError("is damaged or cut short; build it anew")
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    try:
        description = json.loads(body[_LENGTH.size : end])
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict) or end > len(body):
        raise EngineError("holds no description of its engine; build it anew")
    return description, body[end:]


def read(path: Path) -> tuple[Description, bytes]:
    """The description and the engine of a file. Raises EngineError, naming it, when it is missing or not whole."""
    try:
        return unpack(path.read_bytes())
    except MemoryError:
        raise EngineError(f"{path}: memory ran out while it was read; free some") from None
    except OSError as error:
        raise EngineError(f"{path}: cannot be read ({error.strerror})") from None
    except EngineError as error:
        raise EngineError(f"{path}: {error}") from None


def write(path: Path, description: Description, engine: bytes, temporary: Path | None = None) -> None:
    """Write a file, whole or not at all; `temporary` as for `files.replace`. Raises OSError."""
    files.replace(path, pack(description, engine), temporary)
