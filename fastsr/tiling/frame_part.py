"""A part of a frame: some of its rows and columns."""

from __future__ import annotations

from typing import NamedTuple


class FramePart(NamedTuple):
    """Rows `top` to `bottom` - 1 and columns `left` to `right` - 1, pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """How many rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """How many columns."""
        return self.right - self.left

    def slices(self, top: int = 0, left: int = 0, scale: int = 1) -> tuple[slice, slice]:
        """Its rows and columns in what begins with this row and column of the frame, `scale` times enlarged."""
        return (
            slice((self.top - top) * scale, (self.bottom - top) * scale),
            slice((self.left - left) * scale, (self.right - left) * scale),
        )

    def divided(self, scale: int) -> FramePart:
        """The least part of a frame whose enlargement holds this part of its enlargement."""
        blocks = self.around(scale)
        return FramePart(*(side // scale for side in blocks))

    def around(self, block: int) -> FramePart:
        """The least part of whole blocks that holds this one."""
        return FramePart(
            self.top // block * block,
            self.bottom + -self.bottom % block,
            self.left // block * block,
            self.right + -self.right % block,
        )

    @property
    def rows(self) -> range:
        """Its rows."""
        return range(self.top, self.bottom)

    @property
    def columns(self) -> range:
        """Its columns."""
        return range(self.left, self.right)

    def within(self, other: FramePart) -> FramePart:
        """What both have in common; empty where they lie apart."""
        return FramePart(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )


def whole(height: int, width: int) -> FramePart:
    """All of a frame."""
    return FramePart(0, height, 0, width)
