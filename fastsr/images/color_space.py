"""Colours that are not sRGB and lie in a file that cannot say so: converted to sRGB, with a warning."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from fastsr.images.decoded_image import Array, DecodedImage, Frame, Metadata
from fastsr.images.png_color import chromaticity_of, gamma_of
from fastsr.images.samples import to_depth

_BAND = 256  # rows converted at a time, which bounds the memory
_WITHOUT_PROFILES = ("GIF", "BMP", "JPEG2000", "PPM", "TGA", "ICO")
_REFERENCE_WHITE = 203  # cd/m2 of what is white on paper, in HDR (ITU-R BT.2408)
_HLG_PEAK = 1000  # cd/m2 of the display that HLG's system gamma of 1.2 is for (ITU-R BT.2100)

Chromaticity = tuple[float, ...]
_D65 = (0.3127, 0.3290)
_BT709 = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
# White, red, green, blue by the numbers of ITU-T H.273.
_PRIMARIES: dict[int, Chromaticity] = {
    1: _BT709,
    4: (0.310, 0.316, 0.670, 0.330, 0.210, 0.710, 0.140, 0.080),
    5: (*_D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class _Coding:
    """What samples mean: light, 1 being white, by the function `light`; None = not known."""

    name: str
    light: Callable[[Array], Array] | None
    primaries: Chromaticity = _BT709
    is_hlg: bool = False


def fit(image: DecodedImage, frames: Sequence[Frame], kind: str, target: Path) -> tuple[DecodedImage, list[Frame]]:
    """The frames, and the image with the metadata for them, in colours that a file of this kind can say it has.

    `kind` is any but PNG, which holds what another PNG said. JPEG, WebP, TIFF and AVIF hold ICC profiles; the others
    are sRGB. Warns (RuntimeWarning) of what is converted because of PNG's chunks, and of what is lost.
    """
    made, metadata, notes = [], [], []
    for frame, beside in zip(frames, image.metadata, strict=True):
        if frame.color.dtype.kind == "f" and kind not in ("TIFF", "PPM"):
            notes.append(f"{kind} holds 8 bits a sample, which its floats are rounded to; PNG holds 16")
        coding = _coding(beside)
        if coding is not None:
            frame, note = _converted(frame, coding, kind)
            if coding.light is not None:
                beside = replace(beside, icc=None)
            notes.append(note)
        elif beside.icc and frame.black is None and kind in _WITHOUT_PROFILES:
            frame, failure = _through_profile(frame, beside.icc)
            notes += [f"{kind} holds no ICC profile, and this one cannot be used ({failure})"] if failure else []
        made.append(frame)
        metadata.append(replace(beside, png_color={}))
    for note in dict.fromkeys(notes):
        warnings.warn(f"{target}: {note}", RuntimeWarning, stacklevel=4)
    return replace(image, metadata=tuple(metadata)), made


# ---------------------------------------------------------------- what the samples mean


def _coding(metadata: Metadata) -> _Coding | None:
    """What PNG's chunks say; None: sRGB, or what an ICC profile says."""
    chunks = metadata.png_color
    # the order in which the PNG specification lets one outrank the other
    if b"cICP" in chunks:
        return _cicp(*chunks[b"cICP"])
    if metadata.icc or b"sRGB" in chunks:
        return None
    gamma = gamma_of(chunks) if b"gAMA" in chunks else 0
    primaries = chromaticity_of(chunks) if b"cHRM" in chunks else _BT709
    if not _spans_colors(primaries) or np.allclose(primaries, _BT709, atol=2e-3):
        primaries = _BT709
    if primaries == _BT709 and (gamma == 0 or abs(gamma * 2.2 - 1) < 0.05):
        return None
    if gamma == 0:
        return _Coding("primaries of its own", _srgb_light, primaries)
    return _Coding(f"gamma {1 / gamma:.4g}", lambda samples: samples ** (1 / gamma), primaries)


def _cicp(primaries: int, transfer: int, matrix: int, full_range: int) -> _Coding | None:
    name = f"cICP {primaries}, {transfer}, {matrix}, {full_range}"
    if (primaries, transfer, matrix, full_range) == (1, 13, 0, 1):
        return None
    functions: dict[int, Callable[[Array], Array]] = {
        4: lambda samples: samples**2.2,
        5: lambda samples: samples**2.8,
        8: lambda samples: samples,
        13: _srgb_light,
        16: _pq_light,
        18: _hlg_light,
        **dict.fromkeys((1, 6, 14, 15), _bt709_light),
    }
    if transfer not in functions or primaries not in _PRIMARIES or matrix != 0 or full_range != 1:
        return _Coding(name, None)
    words = {16: "HDR (PQ)", 18: "HDR (HLG)"}.get(transfer, name)
    return _Coding(words, functions[transfer], _PRIMARIES[primaries], transfer == 18)


def _srgb_light(samples: Array) -> Array:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _bt709_light(samples: Array) -> Array:
    return np.where(samples < 0.081, samples / 4.5, ((samples + 0.099) / 1.099) ** (1 / 0.45))


def _pq_light(samples: Array) -> Array:
    """SMPTE ST 2084."""
    root = samples ** (32 / 2523)
    steep = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return steep ** (16384 / 2610) * (10_000 / _REFERENCE_WHITE)


def _hlg_light(samples: Array) -> Array:
    """ITU-R BT.2100: light of the scene in 0..1; `_to_srgb` makes that of the display of it."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(samples <= 0.5, samples**2 / 3, (np.exp((samples - c) / a) + b) / 12)


# ---------------------------------------------------------------- conversion


def _converted(frame: Frame, coding: _Coding, kind: str) -> tuple[Frame, str]:
    """The frame in sRGB, and what to tell of it."""
    if coding.light is None:
        return frame, f"{kind} cannot say that its colours are {coding.name}; they are left as they are; write PNG"
    note = f"{kind} cannot say that its colours are {coding.name}; they were converted to sRGB"
    if coding.name.startswith("HDR"):
        note += f", what is brighter than {_REFERENCE_WHITE} cd/m2 to white"
    return replace(frame, color=_to_srgb(frame.color, coding)), f"{note}; write PNG to keep them"


def _to_srgb(color: Array, coding: _Coding) -> Array:
    assert coding.light is not None
    light = coding.light
    if color.dtype.kind == "u":
        top = np.iinfo(color.dtype).max
        table = light(np.arange(top + 1) / top).astype(np.float32)
    to_xyz = _xyz_of(coding.primaries)
    matrix = (np.linalg.inv(_xyz_of(_BT709)) @ _adapted(coding.primaries) @ to_xyz).T.astype(np.float32)
    luma = to_xyz[1].astype(np.float32)
    made = np.empty_like(color)
    for top_row in range(0, len(color), _BAND):
        band = color[top_row : top_row + _BAND]
        linear: Array = table[band] if band.dtype.kind == "u" else light(band.astype(np.float64)).astype(np.float32)
        if coding.is_hlg:
            scene = linear @ luma[:, np.newaxis] if linear.shape[2] == 3 else linear
            linear = linear * scene**0.2 * (_HLG_PEAK / _REFERENCE_WHITE)
        if linear.shape[2] == 3:
            linear = linear @ matrix
        linear = np.clip(linear, 0, 1)
        coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        made[top_row : top_row + _BAND] = to_depth(coded.astype(np.float32), color.dtype)
    return made


def _white(primaries: Chromaticity) -> Array:
    x, y = primaries[:2]
    return np.array([x / y, 1, (1 - x - y) / y])


def _xyz_of(primaries: Chromaticity) -> Array:
    """The matrix from linear RGB to CIE XYZ."""
    columns = np.array([(x, y, 1 - x - y) for x, y in zip(primaries[2::2], primaries[3::2], strict=True)]).T
    return columns * np.linalg.solve(columns, _white(primaries))


def _adapted(primaries: Chromaticity) -> Array:
    """The matrix that makes white D65 of the white of the primaries (Bradford)."""
    gains = (_BRADFORD @ _white(_BT709)) / (_BRADFORD @ _white(primaries))
    matrix: Array = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return matrix


def _spans_colors(primaries: Chromaticity) -> bool:
    """Whether colours can be made of these; a file may say anything."""
    whole = all(value > 0 for value in primaries[1::2]) and all(0 <= value <= 1 for value in primaries)
    if not whole or abs(np.linalg.det(np.array([[*primaries[i : i + 2], 1] for i in (2, 4, 6)]))) < 1e-3:
        return False
    return bool((_BRADFORD @ _white(primaries) > 0).all() and (_xyz_of(primaries)[1] > 0).all())


def _through_profile(frame: Frame, icc: bytes) -> tuple[Frame, str]:
    """The frame in 8-bit sRGB by its ICC profile, or as it is and why."""
    color = to_depth(frame.color, np.uint8)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        gray = color.shape[2] == 1
        if gray and source.profile.xcolor_space == "GRAY":
            given = Image.fromarray(color[..., 0])
        else:
            given = Image.fromarray(np.broadcast_to(color, (*color.shape[:2], 3)))
        srgb = ImageCms.createProfile("sRGB")
        made: Any = ImageCms.profileToProfile(given, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        return frame, str(error)
    pixels = np.array(made)
    alpha = None if frame.alpha is None else to_depth(frame.alpha, np.uint8)
    return Frame(np.ascontiguousarray(pixels[..., 1:2]) if gray else pixels, alpha), ""
