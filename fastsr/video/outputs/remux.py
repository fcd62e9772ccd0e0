"""The finished file: the encoded video stream, and all other streams of the source packet for packet."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer, OutputContainer
from av.container.core import Flags
from av.packet import Packet
from av.stream import Discard, Stream

from fastsr.errors import VideoError
from fastsr.video.codecs.containers import container_of
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.outputs import display_matrix
from fastsr.video.outputs.container_options import container_options, file_metadata, video_stream_metadata
from fastsr.video.outputs.copied_streams import (
    CopiedSpan,
    CopiedStreams,
    able_containers,
    add_copy,
    describe,
    is_copied,
)
from fastsr.video.outputs.encoded_video import EncodedVideo
from fastsr.video.sources.input_spec import InputSpec, main_video_stream, reason


def write(spec: InputSpec | None, video: EncodedVideo, path: Path, target: Path, span: CopiedSpan) -> int:
    """Write the file under the name `path`; `target` is what it will be called.

    Returns how many packets of other streams were too damaged to be kept. Raises VideoError, naming the stream and the
    remedy, when the container cannot hold a stream.
    """
    kind, _ = container_of(target)
    with contextlib.ExitStack() as stack:
        source = None if spec is None else stack.enter_context(spec.open())
        options = container_options(kind, source)
        container = stack.enter_context(av.open(f"file:{path}", "w", format=kind, container_options=options))
        container.flags |= Flags.bitexact.value  # type: ignore[operator]  # no random numbers, no date of today
        damaged = _Remuxer(source, container, video, target, span, stack).run()
    kept = _count_frames(path)
    if kept != len(video.times):
        raise VideoError(
            f"{target}: only {kept} of {len(video.times)} frames can be read back from it, so it was not kept; "
            "the timestamps in the input are damaged, or too far apart for this container: name another one"
        )
    return damaged


def check(spec: InputSpec | None, config: EncoderConfig, target: Path) -> None:
    """Raise VideoError, as `write` would, when the container cannot hold a stream; nothing is written."""
    kind, _ = container_of(target)
    _check_aspect(kind, config, target)
    nothing = EncodedVideo(config, None, [], 0, tuple)
    with contextlib.ExitStack() as stack:
        source = None if spec is None else stack.enter_context(spec.open())
        container = av.open(io.BytesIO(), "w", format=kind, container_options=container_options(kind, source))
        _Remuxer(source, container, nothing, target, CopiedSpan(), stack).begin()
        with contextlib.suppress(av.FFmpegError):  # a file without packets, which nobody needs
            container.close()


def _count_frames(path: Path) -> int:
    """How many frames a finished file holds."""
    with av.open(f"file:{path}", "r") as container:
        main = main_video_stream(container, str(path))
        if main.frames:
            return main.frames
        for stream in container.streams:
            if stream is not main:
                stream.discard = Discard.all
        return sum(1 for packet in container.demux(main) if packet.size)


def _check_aspect(kind: str, config: EncoderConfig, target: Path) -> None:
    """Matroska has a field for the shape of samples that PyAV cannot fill; some codecs have one of their own."""
    if config.aspect not in (None, 1) and kind in ("matroska", "webm") and config.codec not in ("h264", "hevc"):
        raise VideoError(
            f"{target}: the sample aspect ratio {config.aspect} would be lost with {config.codec} here; "
            "name the output .mp4 or .mov, choose --codec h264 or hevc, or ask for a --size with square samples"
        )


class _Remuxer:
    """One source on its way into one file."""

    def __init__(
        self,
        source: InputContainer | None,
        container: OutputContainer,
        video: EncodedVideo,
        target: Path,
        span: CopiedSpan,
        stack: contextlib.ExitStack,
    ) -> None:
        self._source, self._container, self._video, self._span = source, container, video, span
        self._target, self._stack = target, stack
        self._damaged = 0
        self._copies: dict[int, Stream] = {}
        self._copied = None if source is None else CopiedStreams(source, span)
        if source is None or self._copied is None:
            self._video_stream = self._add_video()
            return
        for stream in source.streams:
            if stream is self._copied.main:
                self._video_stream = self._add_video()
                self._video_stream.disposition = stream.disposition
                self._video_stream.metadata.update(video_stream_metadata(stream))
            elif is_copied(stream):
                self._copies[stream.index] = self._add_copy(stream)

    def begin(self) -> None:
        """Write what comes before the first packet."""
        self._container.metadata.update(file_metadata(self._source))
        self._container.set_chapters([] if self._copied is None else list(self._copied.chapters()))
        try:
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._target}: {self._target.suffix} cannot hold these streams ({reason(error)}); {self._remedy()}"
            ) from error

    def run(self) -> int:
        """Write all; returns the number of packets that could not be kept."""
        self.begin()
        ticks = self._video.config.time_base
        counts_decoding = self._container.format.name in ("mp4", "mov")
        encoded = self._video.packets(round(self._span.shift / ticks), counts_decoding=counts_decoding)
        waiting = next(encoded, None)
        for packet, time in self._copied.packets(self._copies) if self._copied else ():
            while waiting is not None and (waiting.dts or 0) * ticks <= time:
                self._mux(waiting, self._video_stream)
                waiting = next(encoded, None)
            self._mux_copy(packet)
        while waiting is not None:
            self._mux(waiting, self._video_stream)
            waiting = next(encoded, None)
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self._target}: cannot be written ({reason(error)}); free space there") from error
        return self._damaged + (self._copied.damaged if self._copied else 0)

    def _add_video(self) -> Stream:
        config, matrix = self._video.config, self._video.rotation
        stream: Stream
        try:
            if matrix is None:
                stream = self._container.add_stream(config.encoder, rate=config.rate)  # type: ignore[call-overload]
                config.configure(stream.codec_context)  # type: ignore[arg-type]
            else:
                turned = self._stack.enter_context(display_matrix.template(config, self._video.first_packet(), matrix))
                stream = self._container.add_stream_from_template(turned.streams.video[0], opaque=True)
                # the muxer must see the form that the packets are in
                stream.codec_context.extradata = config.open().extradata
        except ValueError as error:
            raise VideoError(f"{self._target}: {error}; name the output .mkv") from None
        stream.codec_context.flags |= CodecFlags.global_header
        if config.codec == "hevc" and self._container.format.name in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"  # the one that Apple's players take
        stream.time_base = config.time_base
        return stream

    def _add_copy(self, stream: Stream) -> Stream:
        try:
            copy = add_copy(self._container, stream)
        except ValueError:
            raise VideoError(
                f"{self._target}: {self._target.suffix} cannot hold stream {stream.index} of the input "
                f"({describe(stream)}); {self._remedy()}"
            ) from None
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        return copy

    def _remedy(self) -> str:
        """The containers that could hold all, in words."""
        able = able_containers(self._source, self._video.config)
        return f"name the output {' or '.join(able)}" if able else "remove that stream from the input"

    def _mux_copy(self, packet: Packet[Any]) -> None:
        """Write a copied packet; one whose timestamps no container takes is counted and left out."""
        try:
            self._mux(packet, self._copies[packet.stream_index])
        except (av.error.ArgumentError, av.error.InvalidDataError, av.error.PatchWelcomeError):
            self._damaged += 1

    def _mux(self, packet: Packet[Any], stream: Stream) -> None:
        packet.stream = stream
        self._container.mux(packet)
