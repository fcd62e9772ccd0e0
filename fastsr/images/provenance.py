"""What a result says of how it was made: a text in PNG, a property in the XMP of JPEG, WebP, AVIF and TIFF.

Both are of our own name, so that nothing a user had is written over.
"""

from __future__ import annotations

import dataclasses
import html
import os
import re
import struct
from typing import BinaryIO

from fastsr.images.decoded_image import DecodedImage, Metadata
from fastsr.images.detection import HEAD_BYTES, format_of

KINDS = ("PNG", "JPEG", "WebP", "AVIF", "TIFF")
"""The formats that have a place for it."""

_KEY = "fastsr:made"  # of PNG's text
_OPENING = b'<rdf:Description rdf:about="" xmlns:fastsr="urn:fastsr:result#" fastsr:made="'
_PROPERTY = re.compile(re.escape(_OPENING) + rb'([^"]*)"/>\n?')
_END = b"</rdf:RDF>"
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    + _END
    + b'\n</x:xmpmeta>\n<?xpacket end="w"?>'
)
_MOST_XMP = 65000  # bytes that surely fit a JPEG
_SEARCHED = (1 << 14, 1 << 18)  # bytes from the beginning of files whose parts are not walked
_MOST_PARTS = 10_000  # of a file that are looked at


def marked(image: DecodedImage, text: str, kind: str) -> DecodedImage:
    """The image with a text (ASCII, one line) that says how it was made, in place of that of an earlier making.

    As it came where the format has no place for one, or where its XMP is too odd or too long to take it.
    """
    if kind not in KINDS:
        return image
    first, *others = image.metadata
    return dataclasses.replace(image, metadata=(_with(first, text, kind), *others))


def mark_of(path: str | os.PathLike[str]) -> str | None:
    """What a file says of how it was made; None where it says nothing or cannot be read."""
    try:
        with open(path, "rb", buffering=4096) as file:
            known = format_of(file.read(HEAD_BYTES))
            if known is None or known.name not in KINDS:
                return None
            file.seek(0)
            if known.name == "PNG":
                return _in_png(file)
            found = {"JPEG": _in_jpeg, "WebP": _in_webp}.get(known.name, _in_beginning)(file)
    except OSError:
        return None
    return None if found is None else html.unescape(found.decode("ascii", "replace"))


def _with(metadata: Metadata, text: str, kind: str) -> Metadata:
    xmp = None if metadata.xmp is None else _PROPERTY.sub(b"", metadata.xmp)
    if kind == "PNG":
        return dataclasses.replace(metadata, xmp=xmp, text={**metadata.text, _KEY: text})
    made = _OPENING + html.escape(text).encode("ascii", "xmlcharrefreplace") + b'"/>\n'
    before, end, after = (xmp or _PACKET).rpartition(_END)
    joined = before + made + end + after
    return dataclasses.replace(metadata, xmp=joined if end and len(joined) <= _MOST_XMP else xmp)


def _in_png(file: BinaryIO) -> str | None:
    file.seek(8)
    for _ in range(_MOST_PARTS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return None
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"tEXt" and length <= _MOST_XMP:
            key, _, value = file.read(length).partition(b"\0")
            if key == _KEY.encode():
                return value.decode("latin-1")
            length = 0
        file.seek(length + 4, os.SEEK_CUR)
    return None


def _in_jpeg(file: BinaryIO) -> bytes | None:
    file.seek(2)
    for _ in range(_MOST_PARTS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:
            return None
        length = max(0, int.from_bytes(head[2:], "big") - 2)
        if head[1] == 0xE1:
            found = _PROPERTY.search(file.read(length))
            if found:
                return found[1]
        else:
            file.seek(length, os.SEEK_CUR)
    return None


def _in_webp(file: BinaryIO) -> bytes | None:
    file.seek(12)
    for _ in range(_MOST_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return None
        (length,) = struct.unpack("<I", head[4:])
        if head[:4] == b"XMP ":
            found = _PROPERTY.search(file.read(min(length, 1 << 20)))
            return found[1] if found else None
        file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _in_beginning(file: BinaryIO) -> bytes | None:
    read = b""
    for most in _SEARCHED:
        read += file.read(most - len(read))
        found = _PROPERTY.search(read)
        if found:
            return found[1]
    return None
