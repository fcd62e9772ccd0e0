"""What PNG says of its colours in chunks that Pillow drops when it writes: cICP, mDCV, cLLI, sRGB, gAMA and cHRM."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image, ImageFile

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BYTES = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
_UNIT = 100_000  # of gAMA and cHRM


def color_chunks(image: Image.Image) -> dict[bytes, bytes]:
    """Chunks on colours by name: of an opened PNG that is not loaded yet as they are, else out of `image.info`."""
    file: Any = getattr(image, "fp", None)
    if isinstance(image, ImageFile.ImageFile) and image.format == "PNG" and file is not None:
        position = file.tell()
        file.seek(0)
        try:
            return _stored(file)
        finally:
            file.seek(position)
    return _of_info(image.info)


def as_info(chunks: Mapping[bytes, bytes]) -> dict[str, Any]:
    """As Pillow's reader keeps them in `Image.info`, and cICP, which it does not know, as "cicp": four numbers."""
    info: dict[str, Any] = {}
    if b"cICP" in chunks:
        info["cicp"] = tuple(chunks[b"cICP"])
    if b"sRGB" in chunks:
        info["srgb"] = chunks[b"sRGB"][0]
    if b"gAMA" in chunks:
        info["gamma"] = gamma_of(chunks)
    if b"cHRM" in chunks:
        info["chromaticity"] = chromaticity_of(chunks)
    return info


def gamma_of(chunks: Mapping[bytes, bytes]) -> float:
    """The exponent of gAMA, which light is raised to in the samples."""
    return int.from_bytes(chunks[b"gAMA"], "big") / _UNIT


def chromaticity_of(chunks: Mapping[bytes, bytes]) -> tuple[float, ...]:
    """The x and y of cHRM: white, red, green, blue."""
    return tuple(value / _UNIT for value in struct.unpack(">8I", chunks[b"cHRM"]))


def _stored(file: BinaryIO) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    if file.read(8) != _SIGNATURE:
        return found
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name in (b"IDAT", b"IEND"):
            break
        if length != _BYTES.get(name):
            file.seek(length + 4, 1)
            continue
        found.setdefault(name, file.read(length))
        file.seek(4, 1)  # the checksum
    return {name: data for name, data in found.items() if len(data) == _BYTES[name]}


def _of_info(info: Mapping[Any, Any]) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    try:
        if "cicp" in info:
            chunks[b"cICP"] = bytes(info["cicp"])
        if "srgb" in info:
            chunks[b"sRGB"] = bytes([info["srgb"]])
        if "gamma" in info:
            chunks[b"gAMA"] = round(info["gamma"] * _UNIT).to_bytes(4, "big")
        if "chromaticity" in info:
            chunks[b"cHRM"] = struct.pack(">8I", *(round(value * _UNIT) for value in info["chromaticity"]))
    except (TypeError, ValueError, OverflowError, struct.error):  # not what Pillow puts there
        return {}
    return {name: data for name, data in chunks.items() if len(data) == _BYTES[name]}
