"""What a user asks of the encoder, checked against the codec table and completed by its defaults."""

from __future__ import annotations

import dataclasses

import av.codec

from fastsr.errors import VideoError
from fastsr.video.codecs.codec_table import CODEC_TABLE, Codec, FFmpegOptions
from fastsr.video.codecs.hdr_metadata import HdrMetadata
from fastsr.video.codecs.pixel_formats import format_for


@dataclasses.dataclass(frozen=True)
class EncoderRequest:
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

    def resolve(
        self, default_codec: str, source_format: str, hdr: HdrMetadata | None
    ) -> tuple[str, str, str, FFmpegOptions]:
        """(codec, encoder, pixel format, FFmpeg's options) for a source's pixel format and HDR10 metadata.

        Raises VideoError for values out of range, naming what there is.
        """
        name = self.codec or default_codec
        if name not in CODEC_TABLE:
            raise VideoError(f"unknown codec {name!r}; use one of {', '.join(CODEC_TABLE)}")
        codec = CODEC_TABLE[name]
        pix_fmt = self.pix_fmt or format_for(source_format, name)
        _check_format(name, codec.encoder, pix_fmt, asked=self.pix_fmt is not None)
        if name == "prores":
            if self.crf is not None or self.preset is not None or self.lossless:
                raise VideoError("prores takes no crf, preset or lossless; its quality follows from --pix-fmt")
            return name, codec.encoder, pix_fmt, {"profile": "4444" if "444" in pix_fmt else "hq", "vendor": "apl0"}
        return name, codec.encoder, pix_fmt, self._options(name, codec, hdr)

    def _options(self, name: str, codec: Codec, hdr: HdrMetadata | None) -> FFmpegOptions:
        parameters = dict(codec.fixed_parameters)
        if self.preset is None:
            parameters |= codec.default_parameters
        options = codec.speed_options(self._checked_preset(name, codec))
        if self.lossless:
            if self.crf is not None:
                raise VideoError("lossless and crf were both given; give one of them")
            options |= codec.lossless_options
            parameters |= codec.lossless_parameters
        else:
            crf = codec.default_crf if self.crf is None else self.crf
            if not 0 <= crf <= codec.highest_crf:
                raise VideoError(f"crf {crf:g} is not between 0 and {codec.highest_crf:g}, as {name} has it")
            options |= codec.quality_options(crf)
        if hdr is not None and codec.hdr_parameters is not None:
            parameters |= codec.hdr_parameters(hdr)
        if codec.parameters_option is not None and parameters:
            options[codec.parameters_option] = ":".join(f"{key}={value}" for key, value in parameters.items())
        return options

    def _checked_preset(self, name: str, codec: Codec) -> str:
        preset = codec.default_preset if self.preset is None else self.preset
        if preset not in codec.presets:
            raise VideoError(f"preset {preset!r} is unknown to {name}; use one of {' '.join(codec.presets)}")
        return preset


def _check_format(codec: str, encoder: str, pix_fmt: str, *, asked: bool) -> None:
    offered = [found.name for found in av.codec.Codec(encoder, "w").video_formats or ()]
    offered = [name for name in offered if name.startswith("yuv") and name[3] not in "aj"]
    if pix_fmt in offered:
        return
    text = f"{codec} holds no {pix_fmt}" if asked else f"{codec} cannot hold the source's {pix_fmt}"
    raise VideoError(f"{text}; choose another --codec or a --pix-fmt of {' '.join(offered)}")
