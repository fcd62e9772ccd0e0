"""Which format a file has, by its first bytes; its name counts only where there is no mark of a format in them."""

from __future__ import annotations

import os
import re

from fastsr.images.formats import Format, by_name

HEAD_BYTES = 64
"""So many bytes from a file's beginning tell its format."""

TAIL_BYTES = 26
"""So many from its end tell a TGA file that has none of TGA's suffixes."""

_TGA_FOOTER = b"TRUEVISION-XFILE.\0"
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # their bytes
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_NETPBM = re.compile(rb"P([1-6f])[ \t\n\r\x0b\x0c]+(?:#|\d)")
_NETPBM_NAMES = {b"1": "PBM", b"4": "PBM", b"f": "PFM"}

_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    *((mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0")),
    (b"\xff\x4f\xff\x51", "J2K"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"DDS \x7c\0\0\0", "DDS"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
)
_OTHER_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"v/1\x01", "EXR"),
    (b"#?RADIANCE", "HDR"),
    (b"gimp xcf", "XCF"),
    (b"qoif", "QOI"),
    (b"icns", "ICNS"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"IIRO", "camera raw"),
)
# These are TIFF by their marks, but hold the image itself in ways of their own, and a small one for viewers.
_RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
    )
)


def format_of(head: bytes, name: str = "", tail: bytes = b"") -> Format | None:
    """The format of a file, by its first HEAD_BYTES; `name` and the last TAIL_BYTES for TGA, which has no mark."""
    for mark, found in _MARKS:
        if head.startswith(mark):
            return by_name(found)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return by_name("WebP")
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return by_name("BMP")
    if netpbm := _NETPBM.match(head):
        return by_name(_NETPBM_NAMES.get(netpbm[1], "PPM"))
    if _is_icon(head):
        return by_name("ICO")
    tga = by_name("TGA")
    told = _suffix(name) in tga.suffixes or tail.endswith(_TGA_FOOTER)
    return tga if told and _has_tga_header(head) else None


def other_kind(head: bytes, name: str = "") -> str | None:
    """What kind of picture a file is that is not read, such as "PSD"; None = none that is known."""
    if is_camera_raw(name):
        return "camera raw"
    if head[:1] == b"<" and (b"<svg" in head or _suffix(name) == ".svg"):
        return "SVG"
    if head.startswith(b"\0\0\2\0") and head[4:6] > b"\0\0":  # else it is the beginning of a TGA
        return "CUR"
    return next((kind for mark, kind in _OTHER_MARKS if head.startswith(mark)), None)


def is_camera_raw(name: str) -> bool:
    """Whether a name is that of a camera's raw file, which may look like a TIFF."""
    return _suffix(name) in _RAW_SUFFIXES


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - of each file of a folder


def _of_brands(head: bytes) -> Format | None:
    """AVIF or HEIC by the brands of an ISO media file; other kinds are videos."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, compatible = head[8:12], [head[at : at + 4] for at in range(16, size - 3, 4)]
    if major in (b"avif", b"avis"):
        return by_name("AVIF")
    if major in _HEIC_BRANDS:
        return by_name("HEIC")
    if major not in (b"mif1", b"msf1"):
        return None
    return by_name("AVIF" if any(brand in (b"avif", b"avis") for brand in compatible) else "HEIC")


def _is_icon(head: bytes) -> bool:
    count = int.from_bytes(head[4:6], "little")
    # the ninth byte of the first entry is kept for later use
    return head.startswith(b"\0\0\1\0") and 0 < count <= 256 and len(head) >= 22 and head[9] in (0, 255)


def _has_tga_header(head: bytes) -> bool:
    if len(head) < 18:
        return False
    color_map, kind, depth = head[1], head[2], head[16]
    sides = int.from_bytes(head[12:14], "little"), int.from_bytes(head[14:16], "little")
    mapped = kind in (1, 9)
    known = kind in (1, 2, 3, 9, 10, 11) and depth in (1, 8, 15, 16, 24, 32)
    return color_map in (0, 1) and known and (color_map == 1 or not mapped) and min(sides) > 0
