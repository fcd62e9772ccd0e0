"""Sizes on the command line, WIDTHxHEIGHT in pixels or one of the two, and regions, WIDTHxHEIGHT+LEFT+TOP."""

from __future__ import annotations

import argparse
import re

from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import FastsrError
from fastsr.output_size import MAX_SIDE, Box, Region, region_text, size_text


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


def wanted_size(option: str, text: str, fit: bool) -> tuple[int, int]:
    """The size of a result: exact, or a box where `fit` or only one side is given. Raises WrongCallError."""
    found = re.fullmatch(r"(\d{0,9})x(\d{0,9})", text.lower())
    if found is None or not (found[1] or found[2]):
        ways = "1920x1080" if fit else "1920x1080, 1920x or x1080"
        raise WrongCallError(f"{option} {text!r} is not a size in pixels; write it as {ways}")
    sides = tuple(int(side) if side else MAX_SIDE for side in found.groups())
    if min(sides) < 1:
        raise WrongCallError(f"{option} {text!r} is not a width and a height of at least 1 pixel")
    if max(sides) > MAX_SIDE:
        raise WrongCallError(f"{option} {text!r} is too large; a side may have up to {MAX_SIDE} pixels")
    return Box(*sides) if fit or not (found[1] and found[2]) else (sides[0], sides[1])


def wanted_region(text: str) -> Region:
    """Left, top, right and bottom of a part of a result, written as its size and what is left of it and above.

    Raises WrongCallError.
    """
    found = re.fullmatch(r"(\d{1,9})x(\d{1,9})\+(\d{1,9})\+(\d{1,9})", text.lower())
    if found is None:
        raise WrongCallError(
            f"--region {text!r} is not a part of a result; write it as 800x600+1200+400: width x height, then how many "
            "pixels are left of it and above"
        )
    width, height, left, top = map(int, found.groups())
    if min(width, height) < 1:
        raise WrongCallError(f"--region {text!r} holds no pixels; give a width and a height of at least 1")
    return left, top, left + width, top + height


def region_size(region: Region, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a region of a result of this size. Raises FastsrError where it reaches beyond it."""
    left, top, right, bottom = region
    made = right - left, bottom - top
    for begin, side, most in zip((left, top), made, size, strict=True):
        if begin + side > most:
            raise FastsrError(
                f"--region {region_text(region)} reaches beyond the result, which is {size_text(size)} pixels: "
                f"{side} + {begin} is more than {most}; make it smaller, or move it"
            )
    return made
