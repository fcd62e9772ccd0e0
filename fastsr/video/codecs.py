"""Codecs and containers that a video can be written in, and what an encoder is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from av.codec import Codec
from av.video.format import VideoFormat

from fastsr.errors import VideoError
from fastsr.video.colors import is_rgb
from fastsr.video.hdr import Hdr

# FFmpeg's names of the containers by suffix, and the codec that each gets unless another is asked for
CONTAINERS = {
    ".mp4": ("mp4", "h264"),
    ".m4v": ("mp4", "h264"),
    ".mov": ("mov", "h264"),
    ".mkv": ("matroska", "h264"),
    ".webm": ("webm", "vp9"),
}
# as x264 and x265 name them
_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_SUBSAMPLINGS = {(8, 8): "420", (8, 16): "422", (16, 16): "444", (16, 8): "444", (4, 16): "422", (4, 4): "420"}

THREADS = 8  # of every encoder, whatever the machine: x264 and libvpx give other bytes with another number
# pixels, of libx265's largest block; where one is as wide as the picture, every run makes other bytes
_CTU = 64

Options = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Wish:
    """What a user asked of the encoder; None = the default.

    Attributes:
        codec: one of CODECS.
        crf: constant quality, smaller is better: 0 to 51 (h264, hevc) or 63 (av1, vp9).
        preset: speed against size: ultrafast to placebo (h264, hevc), 0 to 13 (av1), 0 to 8 (vp9).
        pix_fmt: FFmpeg's name, such as yuv420p10le; the default keeps subsampling and depth of the source.
        lossless: exact samples in that format.

    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    lossless: bool = False


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A codec: its encoder in FFmpeg and how that takes what a user can ask for."""

    encoder: str
    presets: tuple[str, ...]
    preset: str
    crf: float
    highest_crf: float
    speed: Callable[[str], Options]
    quality: Callable[[float], Options]
    exact: Options | None
    parameters: str | None  # the option that takes the encoder's own parameters
    own: Mapping[str, str]  # such parameters that are always set
    hdr: Callable[[Hdr], Options]


def _x264_hdr(hdr: Hdr) -> Options:
    given = {"mastering-display": hdr.mastering and hdr.mastering.in_units(), "cll": hdr.light and str(hdr.light)}
    return {key: value for key, value in given.items() if value}


def _x265_hdr(hdr: Hdr) -> Options:
    given = {"master-display": hdr.mastering and hdr.mastering.in_units(), "max-cll": hdr.light and str(hdr.light)}
    return {"hdr10": "1", **{key: value for key, value in given.items() if value}}


def _svt_hdr(hdr: Hdr) -> Options:
    mastering = hdr.mastering and hdr.mastering.in_decimals()
    given = {"mastering-display": mastering, "content-light": hdr.light and str(hdr.light)}
    return {key: value for key, value in given.items() if value}


def _crf(value: float) -> Options:
    return {"crf": f"{value:g}"}


def _vp9_speed(preset: str) -> Options:
    return {"deadline": "realtime" if int(preset) > 5 else "good", "cpu-used": preset, "row-mt": "1"}


_KINDS = {
    "h264": _Kind(
        encoder="libx264",
        presets=_X26X_PRESETS,
        preset="veryfast",
        crf=21,
        highest_crf=51,
        speed=lambda preset: {"preset": preset},
        quality=_crf,
        exact={"qp": "0"},
        parameters="x264-params",
        # its macroblock tree computes with approximate reciprocals, which differ between processors, and with AVX-512
        # from memory that it did not write
        own={"mbtree": "0"},
        hdr=_x264_hdr,
    ),
    "hevc": _Kind(
        encoder="libx265",
        presets=_X26X_PRESETS,
        preset="veryfast",
        crf=20,
        highest_crf=51,
        speed=lambda preset: {"preset": preset},
        quality=_crf,
        exact={},
        parameters="x265-params",
        own={"log-level": "error", "info": "0"},  # the information would name the processor and its cores
        hdr=_x265_hdr,
    ),
    "av1": _Kind(
        encoder="libsvtav1",
        presets=tuple(str(number) for number in range(14)),
        preset="10",
        crf=25,
        highest_crf=63,
        speed=lambda preset: {"preset": preset},
        quality=_crf,
        exact={},
        parameters="svtav1-params",
        own={},
        hdr=_svt_hdr,
    ),
    "vp9": _Kind(
        encoder="libvpx-vp9",
        presets=tuple(str(number) for number in range(9)),
        preset="6",
        crf=24,
        highest_crf=63,
        speed=_vp9_speed,
        quality=lambda value: {"crf": f"{value:g}", "b": "0"},
        exact={"lossless": "1"},
        parameters=None,
        own={},
        hdr=lambda hdr: {},
    ),
    "prores": _Kind(
        encoder="prores_ks",
        presets=(),
        preset="",
        crf=0,
        highest_crf=0,
        speed=lambda preset: {},
        quality=lambda value: {},
        exact=None,
        parameters=None,
        own={},
        hdr=lambda hdr: {},
    ),
}
CODECS = tuple(_KINDS)


def container_of(path: Path) -> tuple[str, str]:
    """FFmpeg's name of the container and its default codec, by the suffix. Raises VideoError for an unknown one."""
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        known = " ".join(CONTAINERS)
        raise VideoError(f"{path}: unknown suffix {path.suffix!r} of a video; use one of {known}") from None


def for_width(codec: str, options: Options, width: int) -> Options:
    """The options that an encoder is given for pictures of a width."""
    parameters = _KINDS[codec].parameters
    if codec != "hevc" or parameters is None or width > _CTU:
        return options
    return {**options, parameters: f"{options[parameters]}:ctu={_CTU // 2}"}


def choose(wish: Wish, default: str, source: str, hdr: Hdr | None) -> tuple[str, str, str, Options]:
    """(codec, encoder, pixel format, options) for a wish, a default codec and the source's pixel format.

    Raises VideoError for values out of range, naming what there is.
    """
    codec = wish.codec or default
    if codec not in _KINDS:
        raise VideoError(f"unknown codec {codec!r}; use one of {', '.join(CODECS)}")
    kind = _KINDS[codec]
    pix_fmt = wish.pix_fmt or _like(source, codec)
    _check_format(codec, kind, pix_fmt, wish.pix_fmt is not None)
    parameters = dict(kind.own)
    if codec == "prores":
        if wish.crf is not None or wish.preset is not None or wish.lossless:
            raise VideoError("prores takes no crf, preset or lossless; its quality follows from --pix-fmt")
        return codec, kind.encoder, pix_fmt, {"profile": "4444" if "444" in pix_fmt else "hq", "vendor": "apl0"}
    options = kind.speed(_preset(kind, codec, wish.preset))
    if wish.lossless:
        if wish.crf is not None:
            raise VideoError("lossless and crf were both given; give one of them")
        options |= kind.exact or {}
        if codec in ("hevc", "av1"):
            parameters["lossless"] = "1"
    else:
        crf = kind.crf if wish.crf is None else wish.crf
        if not 0 <= crf <= kind.highest_crf:
            raise VideoError(f"crf {crf:g} is not between 0 and {kind.highest_crf:g}, as {codec} has it")
        options |= kind.quality(crf)
    if hdr is not None:
        parameters |= kind.hdr(hdr)
    if kind.parameters is not None and parameters:
        options[kind.parameters] = ":".join(f"{key}={value}" for key, value in parameters.items())
    return codec, kind.encoder, pix_fmt, options


def keeps_hdr(codec: str) -> bool:
    """Whether a codec's bitstream can hold HDR10's static metadata."""
    return codec in ("h264", "hevc", "av1")


def grid(pix_fmt: str) -> tuple[int, int]:
    """What width and height must be multiples of."""
    made = VideoFormat(pix_fmt, 16, 16)
    return 16 // made.chroma_width(16), 16 // made.chroma_height(16)


def _preset(kind: _Kind, codec: str, wanted: str | None) -> str:
    preset = kind.preset if wanted is None else wanted
    if preset not in kind.presets:
        raise VideoError(f"preset {preset!r} is unknown to {codec}; use one of {' '.join(kind.presets)}")
    return preset


def _like(source: str, codec: str) -> str:
    """The pixel format that keeps subsampling and depth of the source's; colours of RGB sources are halved as usual."""
    made = VideoFormat(source, 16, 16)
    bits = max(component.bits for component in made.components)
    if is_rgb(source) or source.startswith("gray"):
        sampling, bits = "420", min(bits, 10)
    else:
        sampling = _SUBSAMPLINGS.get((made.chroma_width(16), made.chroma_height(16)), "444")
    if codec == "prores":
        return "yuv444p10le" if sampling == "444" else "yuv422p10le"
    return f"yuv{sampling}p" + ("" if bits <= 8 else f"{bits}le")


def _check_format(codec: str, kind: _Kind, pix_fmt: str, asked: bool) -> None:
    offered = [made.name for made in Codec(kind.encoder, "w").video_formats or ()]
    offered = [name for name in offered if name.startswith("yuv") and name[3] not in "aj"]
    if pix_fmt in offered:
        return
    text = f"{codec} holds no {pix_fmt}" if asked else f"{codec} cannot hold the source's {pix_fmt}"
    raise VideoError(f"{text}; choose another --codec or a --pix-fmt of {' '.join(offered)}")
