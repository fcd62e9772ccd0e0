"""A decoded image: its frames of pixels, its metadata, and how to give frames back as what was handed in."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Protocol

import numpy as np

from fastsr.errors import ImageError
from fastsr.images.alpha import spread
from fastsr.images.sample_values import settled

Array = np.ndarray[Any, np.dtype[Any]]

NO_MEMORY = "not enough memory; free some, or allow this process more (ulimit -v)"
"""What to say, after a name, where memory ran out."""


@dataclass(frozen=True)
class Frame:
    """Pixels of one image.

    Attributes:
        color: H x W x C, C = 1 (gray) or 3 (RGB), uint8, uint16 or float32 in 0..1, C-contiguous.
        alpha: H x W x 1, dtype of `color`, straight (not premultiplied); None = opaque.
        black: H x W x 1, the K plane of CMYK as 255 - K (`color` is then 255 - C, M, Y: white paper is white);
            None = not CMYK.

    """

    color: Array
    alpha: Array | None = None
    black: Array | None = None

    @functools.cached_property
    def transparent(self) -> bool:
        """Whether any pixel is not opaque."""
        if self.alpha is None:
            return False
        opaque = 1 if self.alpha.dtype.kind == "f" else np.iinfo(self.alpha.dtype).max
        return not bool((self.alpha >= opaque).all())

    @functools.cached_property
    def spread(self) -> Array:
        """`color` with what is visible spread into what is transparent; kept, for it is made from all of the frame."""
        if self.alpha is None:
            return self.color
        return spread(settled(self.color, "image"), settled(self.alpha, "image"))


@dataclass(frozen=True)
class Rows:
    """Samples of one image in bands of rows from above, which may be made as they are taken, once.

    Attributes:
        shape: height, width, and how many channels: colours (1 gray, 3 RGB, 4 CMYK), and one more for alpha.
        dtype: uint8, uint16 or float32 in 0..1.
        bands: H' x W x C, of `dtype`.

    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    bands: Iterator[Array]


@dataclass(frozen=True)
class Metadata:
    """What a file says of its image beside the pixels; `png_color` holds PNG's chunks on colours by their names."""

    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    comment: bytes | None = None
    text: dict[str, str] = field(default_factory=dict)
    png_color: dict[bytes, bytes] = field(default_factory=dict)

    def icc_for(self, space: bytes) -> bytes | None:
        """The ICC profile if it describes pixels of this colour space (b"RGB ", b"GRAY" or b"CMYK")."""
        known = (b"RGB ", b"GRAY", b"CMYK", b"Lab ")
        # a profile too odd to tell is kept
        return self.icc if self.icc and (self.icc[16:20] == space or self.icc[16:20] not in known) else None

    def info(self) -> dict[str, Any]:
        """As Pillow keeps it in `Image.info`."""
        known = {"icc_profile": self.icc, "exif": self.exif, "dpi": self.dpi, "xmp": self.xmp, "comment": self.comment}
        return {**self.text, **{key: value for key, value in known.items() if value is not None}}


@dataclass(frozen=True)
class Animation:
    """Timing and background of an animation.

    Attributes:
        durations: of each frame, in milliseconds.
        plays: how often it plays; 0 = forever.
        loop: the count as Pillow read it: its meaning differs from format to format.
        background: RGBA.

    """

    durations: tuple[float, ...]
    plays: int
    loop: int | None
    background: tuple[int, int, int, int] | None

    def info(self, index: int) -> dict[str, Any]:
        """Of one frame, as Pillow keeps it in `Image.info`."""
        duration = self.durations[index]
        info: dict[str, Any] = {"duration": int(duration) if duration == int(duration) else duration}
        if self.loop is not None:
            info["loop"] = self.loop
        if self.background is not None:
            info["background"] = self.background
        return info

    def durations_in(self, unit: int) -> list[int]:
        """Durations in whole units of so many milliseconds; every frame's end is the nearest to its true time."""
        ends = [round(end / unit) for end in accumulate(self.durations, initial=0.0)]
        return [end - start for start, end in pairwise(ends)]


class Layout(Protocol):
    """How to give frames back as the kind of thing that was handed in."""

    def restore(self, frames: Sequence[Frame], image: DecodedImage) -> Any:
        """Frames as the kind of thing that `image` was read from."""
        ...


@dataclass(frozen=True)
class DecodedImage:
    """An image as `read` gives it.

    Attributes:
        frames: one; or all of an animation, of a TIFF with several pages, or of an N x C x H x W tensor.
        name: the path, or "image", for messages.
        layout: how `restore` gives frames back.
        metadata: one for each frame.
        animation: None = the frames are no animation.

    """

    frames: list[Frame]
    name: str
    layout: Layout = field(repr=False)
    metadata: tuple[Metadata, ...] = field(repr=False)
    animation: Animation | None = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame, pixels."""
        height, width = self.frames[0].color.shape[:2]
        return width, height

    def restore(self, frames: list[Frame]) -> Any:
        """Give frames (as many as were read, of any size) back as what was handed to `read`.

        Returns:
            For an array or tensor one of the same layout, dtype and device. For a Pillow image, a path or a file
            a Pillow image of the mode it had, its `info` with ICC profile, EXIF, dpi, text, XMP and comment; for
            several frames (animation, pages) a `list` of them, for animations each with `info["duration"]` in
            milliseconds. Mode "1" comes back as "L", palettes as "RGB" or "RGBA", a colour key as "LA" or "RGBA".
            Pillow has no mode for 16-bit colour: it comes back in 8 bits here, while `write` keeps 16.

        Raises:
            ImageError: the number of frames differs from what was read, or memory runs out.

        """
        self.check_count(frames)
        try:
            return self.layout.restore(frames, self)
        except MemoryError as error:
            raise ImageError(f"{self.name}: {NO_MEMORY}") from error

    def check_count(self, frames: Sequence[Frame]) -> None:
        """ImageError unless there are as many frames as were read."""
        if len(frames) != len(self.frames):
            raise ImageError(f"{self.name}: {len(frames)} frames given for {len(self.frames)} read; give as many")
