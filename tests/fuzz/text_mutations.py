"""Changes to text made of tokens and lines, as `.param` files, JSON and TOML are."""

import random
import re
from collections.abc import Sequence

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[A-Za-z_][\w.-]*|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|[^\s\w]')
VALUES = (
    *(b"0", b"1", b"-1", b"2", b"3", b"7", b"64", b"255", b"4096", b"2147483647", b"2147483648", b"-2147483648"),
    *(b"9223372036854775807", b"9223372036854775808", b"9" * 40, b"9" * 5000, b"0.5", b"-0.0", b"1e30", b"1e400"),
    *(b"nan", b"inf", b"-inf", b'""', b'"x"', b'"' + b"a" * 5000 + b'"', b'"..\\u0000"', b'"../../x"', b"true"),
    *(b"false", b"null", b"[]", b"{}", b"[[]]", b"[1, 2, 3]", b"{a = 1}", b'{"a": 1}', b"1979-05-27", b"=", b"-233"),
    *(b"", b" ", b"\n", b"\0", b"\xff\xfe", "é".encode(), b"[" * 20_000, b"\r", b"#", b":", b","),
)


def mutated(draw: random.Random, content: bytes, others: Sequence[bytes] = (b"",)) -> bytes:
    """One to three changes of tokens or whole lines; `others` lend theirs."""
    for _ in range(draw.choice((1, 1, 1, 1, 2, 3))):
        content = draw.choice(_CHANGES)(draw, content, others)
    return content


def _replaced(draw, content, others):
    tokens = list(TOKEN.finditer(content))
    if not tokens:
        return content
    found = draw.choice(tokens)
    return content[: found.start()] + draw.choice(VALUES) + content[found.end() :]


def _exchanged(draw, content, others):
    """A token in the place of another."""
    tokens, lent = list(TOKEN.finditer(content)), TOKEN.findall(draw.choice((content, *others)))
    if not tokens or not lent:
        return content
    found = draw.choice(tokens)
    return content[: found.start()] + draw.choice(lent) + content[found.end() :]


def _counted(draw, content, others):
    """A number changed by one or by a factor."""
    tokens = [m for m in TOKEN.finditer(content) if re.fullmatch(rb"-?\d{1,18}", m[0])]
    if not tokens:
        return content
    found, value = draw.choice(tokens), 0
    value = draw.choice((int(found[0]) + 1, int(found[0]) - 1, int(found[0]) * 2, -int(found[0]), int(found[0]) * 256))
    return content[: found.start()] + str(value).encode() + content[found.end() :]


def _lines(draw, content, others):
    lines = content.split(b"\n")
    at, kind = draw.randrange(len(lines)), draw.randrange(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(draw.randrange(len(lines) + 1), lines[at])
    elif kind == 2:
        other = draw.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines.insert(at, draw.choice(draw.choice((content, *others)).split(b"\n")))
    return b"\n".join(lines)


def _byte(draw, content, others):
    if not content:
        return content
    at = draw.randrange(len(content))
    return content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]


def _end(draw, content, others):
    return content[: draw.randrange(len(content) + 1)]


_CHANGES = (*[_replaced] * 4, *[_exchanged] * 3, *[_counted] * 3, *[_lines] * 3, _byte, _end)
