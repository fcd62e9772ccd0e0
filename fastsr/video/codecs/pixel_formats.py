"""FFmpeg's pixel formats: what they hold, which sizes they allow, and which one a codec gets for a source."""

from __future__ import annotations

from av.video.format import VideoFormat

_SUBSAMPLINGS = {(8, 8): "420", (8, 16): "422", (16, 16): "444", (16, 8): "444", (4, 16): "422", (4, 4): "420"}


def is_deep(pix_fmt: str) -> bool:
    """Whether a pixel format holds more than 8 bits a sample."""
    return max(component.bits for component in VideoFormat(pix_fmt, 2, 2).components) > 8


def is_rgb(pix_fmt: str) -> bool:
    """Whether a pixel format holds red, green and blue, with a palette or without."""
    return bool(VideoFormat(pix_fmt, 2, 2).is_rgb) or pix_fmt == "pal8"


def size_multiples(pix_fmt: str) -> tuple[int, int]:
    """What width and height must be multiples of."""
    probe = VideoFormat(pix_fmt, 16, 16)
    return 16 // probe.chroma_width(16), 16 // probe.chroma_height(16)


def format_for(source: str, codec: str) -> str:
    """The pixel format that keeps subsampling and depth of the source's; chroma of RGB sources is halved as usual."""
    probe = VideoFormat(source, 16, 16)
    bits = max(component.bits for component in probe.components)
    if is_rgb(source) or source.startswith("gray"):
        subsampling, bits = "420", min(bits, 10)
    else:
        subsampling = _SUBSAMPLINGS.get((probe.chroma_width(16), probe.chroma_height(16)), "444")
    if codec == "prores":
        return "yuv444p10le" if subsampling == "444" else "yuv422p10le"
    return f"yuv{subsampling}p" + ("" if bits <= 8 else f"{bits}le")
