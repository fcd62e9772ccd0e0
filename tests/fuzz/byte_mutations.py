"""Changes to bytes that know nothing of a format."""

import random
from collections.abc import Sequence

MAGIC = (
    *(b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\0\1", b"\1\0"),
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1", b"\1\0\0\0"),
    *(b"\x80\0\0\0", b"\0\1\0\0", bytes(8), b"\xff" * 8, b"\x7f" + b"\xff" * 7),
)
"""Numbers at the borders of their types, in both byte orders."""
ENDS = 400  # bytes at the beginning and at the end of a file, where headers and directories are


def mutated(draw: random.Random, content: bytes, others: Sequence[bytes] = (b"",)) -> bytes:
    """One to five changes: bits, bytes and numbers replaced, parts cut, repeated or spliced in from `others`."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        if changed:
            draw.choice(_CHANGES)(draw, changed, others)
    return bytes(changed)


def _place(draw: random.Random, content: bytes) -> int:
    size, where = len(content), draw.random()
    if where < 0.4:
        return draw.randrange(min(size, ENDS))
    return size - 1 - draw.randrange(min(size, ENDS)) if where < 0.6 else draw.randrange(size)


def _length(draw: random.Random, content: bytes) -> int:
    return draw.randint(1, draw.choice((4, 16, max(1, len(content) // 4))))


def _bit(draw, content, others):
    content[_place(draw, content)] ^= 1 << draw.randrange(8)


def _byte(draw, content, others):
    content[_place(draw, content)] = draw.randrange(256)


def _number(draw, content, others):
    at, value = _place(draw, content), draw.choice(MAGIC)
    content[at : at + len(value)] = value


def _cut(draw, content, others):
    at = _place(draw, content)
    del content[at : at + _length(draw, content)]


def _end(draw, content, others):
    del content[draw.randrange(len(content)) :]


def _repeat(draw, content, others):
    at = _place(draw, content)
    content[at:at] = content[at : at + _length(draw, content)]


def _inserted(draw, content, others):
    at = _place(draw, content)
    content[at:at] = draw.randbytes(draw.randint(1, 16))


def _splice(draw, content, others):
    other = draw.choice(others)
    if other:
        start, at = draw.randrange(len(other)), _place(draw, content)
        part = other[start : start + _length(draw, other)]
        content[at : at + draw.choice((0, len(part)))] = part


_CHANGES = (*[_bit] * 2, *[_byte] * 2, *[_number] * 3, _cut, _end, _repeat, _inserted, _splice)
