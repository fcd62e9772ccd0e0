"""The size of a JPEG XL image, read before it is decoded (ISO/IEC 18181-1, A.2 and D.2)."""

from __future__ import annotations

_CODESTREAM = b"\xff\x0a"
_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height, pixels. Raises ValueError where there is no header."""
    bits = _Bits(_codestream(data))
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.take(_SIDE_BITS[bits.take(2)]) + 1
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height
    width = 8 * (bits.take(5) + 1) if small else bits.take(_SIDE_BITS[bits.take(2)]) + 1
    return width, height


class _Bits:
    """The bits of a header, the lowest of a byte first."""

    def __init__(self, header: bytes) -> None:
        self._value, self._left = int.from_bytes(header, "little"), 8 * len(header)

    def take(self, count: int) -> int:
        """The next bits as a number. Raises ValueError at the end."""
        if count > self._left:
            raise ValueError("the header is not whole")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value


def _codestream(data: bytes) -> bytes:
    """The beginning of the codestream, behind its mark: of the file itself or of the first box that holds it."""
    if data.startswith(_CODESTREAM):
        return data[2:16]
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            if data[start : start + 2] == _CODESTREAM:
                return data[start + 2 : start + 16]
        if size < head:  # 0: to the end of the file
            break
        at += size
    raise ValueError("there is no codestream")
