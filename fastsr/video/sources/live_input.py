"""Sources that go on by themselves, and pipes that anything may come through: cameras, the network, named pipes."""

from __future__ import annotations

import stat
from fractions import Fraction
from pathlib import Path

from fastsr.errors import VideoError
from fastsr.video.sources.input_spec import FORMATS, InputSpec
from fastsr.video.sources.pipe_input import PipeReader
from fastsr.video_formats import is_url, without_password

CAMERA_FORMAT = "v4l2"  # FFmpeg's name of what reads Linux's video devices
TIMEOUTS = (15.0, 10.0)  # seconds to connect, and without any data, after which a source is given up

# the two that the address itself asks for; neither opens what a stream's content names
_STREAM_FORMATS = (*FORMATS, "rtsp", "rtp")
_PROTOCOLS = "rtsp,rtsps,rtmp,rtmps,rtmpt,rtp,srtp,srt,udp,tcp,tls,http,https,httpproxy,crypto"  # no files


def live_input(name: str, size: tuple[int, int] | None, rate: Fraction | None) -> InputSpec | None:
    """How to open an address, a camera or a named pipe; None for what is none of them.

    `size` and `rate` are what a camera is asked for. Raises VideoError for what cannot be opened.
    """
    if is_url(name):
        options = {"format_whitelist": ",".join(_STREAM_FORMATS), "protocol_whitelist": _PROTOCOLS}
        return InputSpec(name, without_password(name), options=options, live=True, timeout=TIMEOUTS)
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # what is wrong with it is told where files are opened
        return None
    if stat.S_ISCHR(mode):
        options = {} if size is None else {"video_size": f"{size[0]}x{size[1]}"}
        options |= {} if rate is None else {"framerate": str(rate)}
        return InputSpec(name, name, CAMERA_FORMAT, options, live=True)
    if stat.S_ISFIFO(mode):
        try:
            pipe = path.open("rb", buffering=0)
        except OSError as error:
            raise VideoError(f"{name}: cannot be read ({error.strerror}); check its mode") from None
        return any_format(PipeReader(pipe, name=name))
    return None


def any_format(reader: PipeReader) -> InputSpec:
    """How to read a pipe that tells by its first bytes what comes through it."""
    return InputSpec(reader, reader.name, options={"format_whitelist": ",".join(FORMATS)})
