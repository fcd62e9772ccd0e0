"""HDR10's static metadata: the display that a video was mastered on, and its brightest pixel and frame."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from fractions import Fraction

from av.sidedata.sidedata import Type

_CHROMATICITY, _LUMINANCE = 50000, 10000  # units in a bitstream: 1/50000, and 1/10000 cd/m2


@dataclasses.dataclass(frozen=True)
class MasteringDisplay:
    """Red, green, blue and white point as (x, y) of CIE 1931; the darkest and brightest light in cd/m2."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    darkest: Fraction
    brightest: Fraction

    def in_units(self) -> str:
        """As x264 and x265 take it: integers in the units of the bitstream."""
        points = "".join(
            f"{name}({round(x * _CHROMATICITY)},{round(y * _CHROMATICITY)})" for name, (x, y) in self._points()
        )
        return f"{points}L({round(self.brightest * _LUMINANCE)},{round(self.darkest * _LUMINANCE)})"

    def in_decimals(self) -> str:
        """As SVT-AV1 takes it: decimal fractions."""
        points = "".join(f"{name}({float(x):.5f},{float(y):.5f})" for name, (x, y) in self._points())
        return f"{points}L({float(self.brightest):.4f},{float(self.darkest):.4f})"

    def _points(self) -> list[tuple[str, tuple[Fraction, Fraction]]]:
        return [("G", self.green), ("B", self.blue), ("R", self.red), ("WP", self.white)]


@dataclasses.dataclass(frozen=True)
class ContentLight:
    """MaxCLL and MaxFALL, in cd/m2."""

    brightest_pixel: int
    brightest_frame: int

    def __str__(self) -> str:
        return f"{self.brightest_pixel},{self.brightest_frame}"


@dataclasses.dataclass(frozen=True)
class HdrMetadata:
    """What a frame carries of it."""

    mastering: MasteringDisplay | None
    light: ContentLight | None


def hdr_of(carried: Mapping[Type, bytes]) -> HdrMetadata | None:
    """The static metadata in a frame's side data, None where there is none."""
    display, level = carried.get(Type.MASTERING_DISPLAY_METADATA), carried.get(Type.CONTENT_LIGHT_LEVEL)
    mastering = None if display is None else _mastering(display)
    light = None if level is None else ContentLight(*struct.unpack_from("=2I", level))
    return HdrMetadata(mastering, light) if mastering or light else None


def _mastering(data: bytes) -> MasteringDisplay | None:
    """Read FFmpeg's AVMasteringDisplayMetadata: ten rationals and two flags."""
    numbers = struct.unpack_from("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    values = [Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)]
    red, green, blue, white = ((values[i], values[i + 1]) for i in range(0, 8, 2))
    return MasteringDisplay(red, green, blue, white, values[8], values[9])
