"""The encoded video stream as packets to be muxed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from av.packet import Packet

from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.outputs.packet_timestamps import decode_times, durations
from fastsr.video.outputs.segment_file import EncodedFrame


@dataclasses.dataclass(frozen=True)
class EncodedVideo:
    """The encoded video stream.

    Attributes:
        config: of the encoder that made it.
        rotation: its display matrix as in FFmpeg's side data; None = shown as stored.
        times: presentation timestamps in order of decoding, in ticks.
        last_duration: of the frame shown last, in ticks; 0 = unknown.
        encoded_frames: gives the frames, in order of decoding.

    """

    config: EncoderConfig
    rotation: bytes | None
    times: list[int]
    last_duration: int
    encoded_frames: Callable[[], Iterable[EncodedFrame]]

    def packets(self, shift: int, *, counts_decoding: bool = False) -> Iterator[Packet[Any]]:
        """Packets ready to be muxed, `shift` ticks earlier.

        `counts_decoding`: into a container that takes the steps between decoding times for durations, as MP4 does; the
        packet decoded last then lasts until the stream is as long as its frames are shown.
        """
        dts = decode_times(self.times)
        shown = durations(self.times, self.last_duration)
        for decoded, frame in zip(dts, self.encoded_frames(), strict=True):
            packet: Packet[Any] = Packet(frame.data)
            packet.pts, packet.dts = frame.pts - shift, decoded - shift
            packet.duration, packet.time_base = shown[frame.pts], self.config.time_base
            packet.is_keyframe = frame.key
            if counts_decoding and decoded == dts[-1]:
                length = max(time + shown[time] for time in shown) - min(shown)
                packet.duration = max(1, length - (dts[-1] - dts[0]))
            yield packet

    def first_packet(self) -> Packet[Any]:
        """The packet decoded first."""
        return next(self.packets(0))
