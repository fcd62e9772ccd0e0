"""A stream with a display matrix: how a frame that is stored sideways is turned when it is shown.

PyAV lets a stream have one only by copying another stream. So a file of one frame is made in memory, its matrix is
written over in the track header (ISO/IEC 14496-12, `tkhd`), and the stream of that is the template.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from fastsr.errors import VideoError
from fastsr.video.codecs.encoder import EncoderConfig

_MATRIX = 36  # bytes: nine 32-bit numbers
_MATRIX_AT = {0: 40, 1: 52}  # behind the begin of a track header's content, by version


def template(config: EncoderConfig, first: Packet[Any], matrix: bytes) -> InputContainer:
    """A container whose only stream is as `config` makes it, and has a display matrix (as in FFmpeg's side data).

    `first` is a key frame of such a stream.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mov" if config.codec == "prores" else "mp4") as container:
        stream = container.add_stream(config.encoder, rate=config.rate)  # type: ignore[call-overload]
        config.configure(stream.codec_context)  # type: ignore[arg-type]
        stream.time_base = config.time_base
        first.stream = stream
        container.mux(first)
    content = bytearray(file.getvalue())
    begin, _ = _box(content, (b"moov", b"trak", b"tkhd"))
    at = begin + _MATRIX_AT[content[begin]]
    content[at : at + _MATRIX] = struct.pack(">9i", *struct.unpack("=9i", matrix))
    return av.open(io.BytesIO(bytes(content)), "r")


def _box(content: bytearray, path: tuple[bytes, ...]) -> tuple[int, int]:
    """Begin and end of the content of the first box on a path."""
    begin, end = 0, len(content)
    for name in path:
        while True:
            if begin + 8 > end:
                raise VideoError(f"the muxer made a file without {name.decode()}; report it")
            size, kind = struct.unpack_from(">I4s", content, begin)
            head = 8
            if size == 1:
                size, head = struct.unpack_from(">Q", content, begin + 8)[0], 16
            if kind == name:
                begin, end = begin + head, begin + size
                break
            begin += size
    return begin, end
