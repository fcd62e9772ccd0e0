"""The codecs on offer: each one's encoder in FFmpeg, its presets and qualities, and how it takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from fastsr.video.codecs.hdr_metadata import HdrMetadata
from fastsr.video_formats import CODECS

# as x264 and x265 name them
_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
# pixels, of libx265's largest block; where one is as wide as the frame, every run makes other bytes
_LARGEST_CTU = 64

FFmpegOptions = dict[str, str]


@dataclasses.dataclass(frozen=True)
class Codec:
    """A codec: its encoder in FFmpeg and how that takes what a user can ask for.

    Attributes:
        encoder: FFmpeg's name.
        presets: those that it knows.
        default_preset: where none is asked for.
        default_crf: where none is asked for.
        highest_crf: of the worst quality.
        speed_options: for a preset.
        quality_options: for a crf.
        lossless_options: for exact samples.
        parameters_option: the option that takes the encoder's own parameters; None = it has none.
        fixed_parameters: such parameters that are always set.
        default_parameters: such parameters where no preset is asked for.
        lossless_parameters: such parameters for exact samples.
        hdr_parameters: such parameters for HDR10's metadata; None = its bitstream cannot hold it.
        chroma_left: whether readers take the chroma samples of 4:2:0 to lie on even columns; else between two.

    """

    encoder: str
    presets: tuple[str, ...]
    default_preset: str
    default_crf: float
    highest_crf: float
    speed_options: Callable[[str], FFmpegOptions]
    quality_options: Callable[[float], FFmpegOptions]
    lossless_options: Mapping[str, str]
    parameters_option: str | None
    fixed_parameters: Mapping[str, str]
    lossless_parameters: Mapping[str, str]
    hdr_parameters: Callable[[HdrMetadata], FFmpegOptions] | None
    default_parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chroma_left: bool = False


def _x264_hdr(hdr: HdrMetadata) -> FFmpegOptions:
    mastering = hdr.mastering and hdr.mastering.in_units()
    return _set({"mastering-display": mastering, "cll": hdr.light})


def _x265_hdr(hdr: HdrMetadata) -> FFmpegOptions:
    mastering = hdr.mastering and hdr.mastering.in_units()
    return {"hdr10": "1", **_set({"master-display": mastering, "max-cll": hdr.light})}


def _svt_hdr(hdr: HdrMetadata) -> FFmpegOptions:
    mastering = hdr.mastering and hdr.mastering.in_decimals()
    return _set({"mastering-display": mastering, "content-light": hdr.light})


def _set(given: Mapping[str, object]) -> FFmpegOptions:
    return {key: str(value) for key, value in given.items() if value}


def _crf(value: float) -> FFmpegOptions:
    return {"crf": f"{value:g}"}


def _preset(preset: str) -> FFmpegOptions:
    return {"preset": preset}


def _vp9_speed(preset: str) -> FFmpegOptions:
    return {"deadline": "realtime" if int(preset) > 5 else "good", "cpu-used": preset, "row-mt": "1"}


_TABLE = {
    "h264": Codec(
        encoder="libx264",
        presets=_X26X_PRESETS,
        # makes files of veryfast's size, which searches longer for what the macroblock tree would need
        default_preset="superfast",
        default_crf=21,
        highest_crf=51,
        speed_options=_preset,
        quality_options=_crf,
        lossless_options={"qp": "0"},
        parameters_option="x264-params",
        # its macroblock tree computes with approximate reciprocals, which differ between processors, and with AVX-512
        # from memory that it did not write
        fixed_parameters={"mbtree": "0"},
        lossless_parameters={},
        hdr_parameters=_x264_hdr,
        default_parameters={"subme": "2"},
        chroma_left=True,
    ),
    "hevc": Codec(
        encoder="libx265",
        presets=_X26X_PRESETS,
        default_preset="veryfast",
        default_crf=20,
        highest_crf=51,
        speed_options=_preset,
        quality_options=_crf,
        lossless_options={},
        parameters_option="x265-params",
        # the information would name the processor and its cores
        fixed_parameters={"log-level": "error", "info": "0"},
        lossless_parameters={"lossless": "1"},
        hdr_parameters=_x265_hdr,
        chroma_left=True,
    ),
    "av1": Codec(
        encoder="libsvtav1",
        presets=tuple(str(number) for number in range(14)),
        # half as long again as 10, for files up to a fourth smaller; 7 gains little more and takes twice as long
        default_preset="8",
        default_crf=25,
        highest_crf=63,
        speed_options=_preset,
        quality_options=_crf,
        lossless_options={},
        parameters_option="svtav1-params",
        fixed_parameters={},
        lossless_parameters={"lossless": "1"},
        hdr_parameters=_svt_hdr,
    ),
    "vp9": Codec(
        encoder="libvpx-vp9",
        presets=tuple(str(number) for number in range(9)),
        default_preset="6",
        default_crf=24,
        highest_crf=63,
        speed_options=_vp9_speed,
        quality_options=lambda value: {"crf": f"{value:g}", "b": "0"},
        lossless_options={"lossless": "1"},
        parameters_option=None,
        fixed_parameters={},
        lossless_parameters={},
        hdr_parameters=None,
    ),
    # without presets and qualities; its profile follows from the pixel format
    "prores": Codec(
        encoder="prores_ks",
        presets=(),
        default_preset="",
        default_crf=0,
        highest_crf=0,
        speed_options=lambda preset: {},
        quality_options=lambda value: {},
        lossless_options={},
        parameters_option=None,
        fixed_parameters={},
        lossless_parameters={},
        hdr_parameters=None,
    ),
}
CODEC_TABLE = {name: _TABLE[name] for name in CODECS}


def keeps_hdr(codec: str) -> bool:
    """Whether a codec's bitstream can hold HDR10's static metadata."""
    return CODEC_TABLE[codec].hdr_parameters is not None


def options_for_width(codec: str, options: FFmpegOptions, width: int) -> FFmpegOptions:
    """The options that an encoder is given for frames of a width."""
    if codec != "hevc" or width > _LARGEST_CTU:
        return options
    return {**options, "x265-params": f"{options['x265-params']}:ctu={_LARGEST_CTU // 2}"}
