"""Sizes on the command line: WIDTHxHEIGHT in pixels."""

from __future__ import annotations

import argparse
import re

from fastsr.errors import FastsrError


def size_argument(text: str) -> tuple[int, int]:
    """Width and height, as a type of argparse. Raises ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in pixels; write it as 1920x1080")
    return int(found[1]), int(found[2])


def size_of_option(option: str, text: str) -> tuple[int, int]:
    """Width and height, where the command reads them itself. Raises FastsrError, which names the option."""
    try:
        return size_argument(text)
    except argparse.ArgumentTypeError as error:
        raise FastsrError(f"{option} {error}") from None
