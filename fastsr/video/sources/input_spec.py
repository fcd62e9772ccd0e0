"""How PyAV opens what a user names, and which of its video streams is the one to upscale."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from fastsr.errors import VideoError
from fastsr.video.memory_shortage import SHORTAGE, can_allocate, is_shortage

# FFmpeg's names of formats that read nothing but the file itself; concat, hls, dash and others open what it names
FORMATS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "mpegvideo", "m4v", "flv", "live_flv"),
    *("asf", "asf_o", "wtv", "ogg", "mxf", "gxf", "lxf", "nut", "nsv", "rm", "ivr", "dv", "ivf", "obu", "av1"),
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "apv", "cavsvideo", "avs2", "avs3", "dirac", "dnxhd", "vc1"),
    *("vc1test", "mjpeg", "mjpeg_2000", "mpjpeg", "yuv4mpegpipe", "gif", "apng", "webp", "jpegxl_anim", "amv", "swf"),
    *("bink", "smk", "flic", "roq", "usm", "nuv", "pva", "pmp", "ty", "xmv", "r3d", "mlv", "cine", "ser", "moflex"),
)


FFMPEG_MOST = 1 << 31  # bytes; it refuses to allocate more, as a damaged header may ask for, and calls that a shortage


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What PyAV opens and how: a path, or a pipe in a format that has to be named."""

    file: Any
    name: str
    format: str | None = None
    options: dict[str, str] = dataclasses.field(default_factory=dict)
    path: Path | None = None  # None = a pipe or a stream, which can be opened only once
    live: bool = False  # it goes on by itself, whether it is read or not
    timeout: tuple[float, float] | None = None  # seconds to open it, and without data, after which it is given up

    def raise_interruption(self) -> None:
        """Raise what came while a pipe was waited for, and PyAV made another error of."""
        interruption: BaseException | None = getattr(self.file, "interruption", None)
        if interruption is not None:
            raise interruption

    def open(self) -> InputContainer:
        """Open it. Raises VideoError."""
        try:
            made: InputContainer = av.open(
                self.file,
                "r",
                format=self.format,
                options=self.options,
                metadata_errors="replace",
                timeout=self.timeout,
            )
            return made
        except (av.FFmpegError, OSError, ValueError) as error:
            self.raise_interruption()
            if is_shortage(error) and can_allocate(FFMPEG_MOST):
                raise VideoError(f"{self.name}: cannot be opened as a video (it is damaged); check the file") from error
            if is_shortage(error):
                raise VideoError(f"{self.name}: {SHORTAGE}") from error
            raise VideoError(f"{self.name}: cannot be opened as a video ({reason(error)}); check the file") from error

    def identity(self) -> tuple[int, ...] | None:
        """Equal for a file that is still the same one with the same content; None for a pipe, or where it is gone."""
        try:
            there = None if self.path is None else self.path.stat()
        except OSError:
            return None
        return None if there is None else (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns)


def file_input(path: Path) -> InputSpec:
    """How to open a file: by a name that FFmpeg cannot take for a protocol or a pattern, in a format of one file."""
    return InputSpec(f"file:{path}", str(path), options={"format_whitelist": ",".join(FORMATS)}, path=path)


def reason(error: BaseException) -> str:
    """What an error of PyAV says, without the name of the file."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def main_video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream to upscale: the first that is marked as default, else the first. Raises VideoError without one."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(f"{name}: has no video stream; give a video")
    chosen = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    if chosen.codec_context is None:
        raise VideoError(f"{name}: there is no decoder for its video stream; convert it first")
    return chosen
