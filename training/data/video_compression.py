"""What video codecs do to successive frames: they are encoded and decoded again, in memory."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from fastsr.video.codecs.codec_table import CODEC_TABLE, options_for_width
from fastsr.video.codecs.color_conversion import Colors, RgbToYuv, YuvToRgb, colors_of
from fastsr.video.codecs.encoder import EncoderConfig
from fastsr.video.codecs.encoder_request import EncoderRequest
from training.settings import require

Frame = npt.NDArray[np.uint8]  # H x W x 3 RGB

RATE = Fraction(25)  # frames a second, which the encoders spread their bits by
SMALLEST = 64  # side below which libx265 and SVT-AV1 take no frame, pixels
PIXELS = "yuv420p"  # as nearly all video that people see is stored


@dataclasses.dataclass(frozen=True)
class Compression:
    """How successive frames are made small and compressed. Shares are of runs of frames, ranges are drawn from."""

    frames: int = 8  # of a run, encoded together
    area: float = 0.4  # share made small by area, as cameras bin pixels; the others by bicubic
    blurred: float = 0.5  # share blurred by a round Gaussian behind that
    blur: tuple[float, float] = (0.3, 0.8)  # sigma, pixels of the small frame
    noisy: float = 0.3  # share with Gaussian noise before the encoder, other noise in each frame
    noise: tuple[float, float] = (0.5, 3.0)  # sigma, 8-bit steps
    share: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"h264": 0.55, "hevc": 0.15, "vp9": 0.15, "av1": 0.15}
    )
    crf: dict[str, tuple[float, float]] = dataclasses.field(
        default_factory=lambda: {"h264": (18, 32), "hevc": (20, 34), "vp9": (24, 46), "av1": (24, 48)}
    )

    def accept(self, where: str) -> None:
        """Raise SettingError for a value that is not accepted; `where` goes before the key's name."""
        known = [name for name, codec in CODEC_TABLE.items() if codec.presets]
        require(self.frames >= 2, where + "frames", self.frames, "2 or more")
        for key in ("area", "blurred", "noisy"):
            require(0 <= getattr(self, key) <= 1, where + key, getattr(self, key), "a share, 0 to 1")
        for key, limit in (("blur", 10), ("noise", 255)):
            low, high = getattr(self, key)
            require(0 < low <= high <= limit, where + key, (low, high), f"two rising values above 0, up to {limit}")
        require({*self.share} == {*self.crf}, where + "share / crf", [*self.share], "the same codecs in both")
        for name, share in self.share.items():
            require(name in known, where + "share", name, ", ".join(known))
            require(0 <= share <= 1, f"{where}share.{name}", share, "a share, 0 to 1")
            low, high = self.crf[name]
            worst = CODEC_TABLE[name].highest_crf
            require(0 <= low <= high <= worst, f"{where}crf.{name}", (low, high), f"two rising values, 0 to {worst:g}")
        require(sum(self.share.values()) > 0, where + "share", self.share, "positive for one codec at least")


def compressed(frames: Sequence[Frame], codec: str, crf: float) -> list[Frame]:
    """`frames`, all of one size, encoded by `codec` (a name of CODEC_TABLE) at a constant quality, and decoded.

    Frames of odd or very small sides are filled up for the encoder by repeating their outermost pixels.
    """
    height, width = frames[0].shape[:2]
    rows, columns = (max(SMALLEST, side + side % 2) for side in (height, width))
    borders = ((0, rows - height), (0, columns - width), (0, 0))
    stored = io.BytesIO()
    _encode([np.pad(frame, borders, mode="edge") for frame in frames], codec, crf, stored)
    made = _decode(stored)
    if len(made) != len(frames):
        raise ValueError(f"{codec} made {len(made)} frames of {len(frames)}")
    return [np.ascontiguousarray(frame[:height, :width]) for frame in made]


def _encode(frames: Sequence[Frame], codec: str, crf: float, target: io.BytesIO) -> None:
    height, width = frames[0].shape[:2]
    name, encoder, pix_fmt, options = EncoderRequest(codec, crf).resolve(codec, PIXELS, None)
    options = options_for_width(name, options, width)
    colors = Colors()
    # One thread: with several, some encoders make other bytes.
    config = EncoderConfig(
        name, encoder, pix_fmt, (width, height), colors, None, 1 / RATE, RATE, threads=1, options=options
    )
    config.open()  # names what the encoder does not take
    to_yuv = RgbToYuv(colors, pix_fmt, width, height)
    with av.open(target, "w", format="matroska") as container:
        stream: Any = container.add_stream(encoder, rate=RATE)
        config.configure(stream.codec_context)
        for number, pixels in enumerate(frames):
            frame = to_yuv(pixels)
            frame.pts, frame.time_base = number, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _decode(stored: io.BytesIO) -> list[Frame]:
    stored.seek(0)
    made: list[Frame] = []
    with av.open(stored, "r") as container:
        for frame in container.decode(video=0):
            to_rgb = YuvToRgb(colors_of(frame), frame.width, frame.height)
            made.append(np.asarray(to_rgb(frame), np.uint8))
    return made
