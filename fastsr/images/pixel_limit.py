"""Pillow's limit of pixels: held strictly or lifted while this thread reads, and left as it is for all other code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

REMEDY = "if you trust it, use allow_huge=True (--allow-huge) or raise PIL.Image.MAX_IMAGE_PIXELS"
_WHY = "which guards against files made to fill the memory"

_reading = threading.local()


@contextmanager
def strict() -> Iterator[None]:
    """Sizes over the limit raise DecompressionBombError in this thread, where Pillow alone warns up to twice of it."""
    with _ruled("strict"):
        yield


@contextmanager
def lifted() -> Iterator[None]:
    """No size is refused in this thread."""
    with _ruled("lifted"):
        yield


def check(width: int, height: int, frames: int = 1) -> None:
    """DecompressionBombError, with the remedy, for more pixels in all frames together than the limit."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and frames * width * height > limit:
        what = f"{width} x {height} pixels are" if frames == 1 else f"{frames} frames of {width} x {height} pixels are"
        raise Image.DecompressionBombError(f"{what} over the limit of {limit}, {_WHY}; {REMEDY}")


def check_sum(pixels: int) -> None:
    """As `check`, for frames of different sizes."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise Image.DecompressionBombError(
            f"its frames together are over the limit of {limit} pixels, {_WHY}; {REMEDY}"
        )


@contextmanager
def _ruled(rule: str) -> Iterator[None]:
    before = getattr(_reading, "rule", None)
    _reading.rule = rule
    try:
        yield
    finally:
        _reading.rule = before


def _follow_the_thread() -> None:
    """Let the check that Pillow's plugins call, before they allocate, ask for the rule of the calling thread."""
    # a Pillow without it keeps its own limit: stricter than what was asked, never laxer
    plain: Any = getattr(Image, "_decompression_bomb_check", None)
    if plain is None:
        return

    def check_of_thread(size: tuple[int, int], **options: Any) -> None:
        rule = getattr(_reading, "rule", None)
        if rule == "strict":
            check(*size)
        elif rule is None:
            plain(size, **options)

    Image._decompression_bomb_check = check_of_thread  # type: ignore[assignment]


_follow_the_thread()
