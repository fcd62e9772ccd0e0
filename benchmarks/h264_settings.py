"""The cost of getting the same bytes from libx264 on every processor: `python -m benchmarks.h264_settings CLIP`.

Frames of CLIP, enlarged twice by bicubic interpolation, are encoded with each setting in turns, round after round.
Prints size and PSNR of the luma at several crf; frames per second (medians) at the crf that comes nearest to the PSNR
that the first setting has; and the size at that PSNR, from the line through the two nearest; then the same for numbers
of threads. Writes nothing.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from benchmarks import machine

TICKS = Fraction(1, 25)
CRFS = (18, 20, 21, 22, 24)
SETTINGS = {
    "as x264 has it": "",
    "asm=avx2": "asm=avx2",
    "mbtree=0": "mbtree=0",
    "rc-lookahead=0": "rc-lookahead=0",
}
THREADS = (1, 2, 4, 8, 16)


def enlarged(clip: Path, skip: int, count: int) -> list[VideoFrame]:
    """Frames of a clip, twice as wide and high."""
    with av.open(str(clip)) as given:
        frames = itertools.islice(given.decode(video=0), skip, skip + count)
        return [f.reformat(2 * f.width, 2 * f.height, "yuv420p", interpolation="BICUBIC") for f in frames]


def encode(
    frames: list[VideoFrame], preset: str, crf: float, parameters: str, threads: int
) -> tuple[float, list[bytes]]:
    """Seconds that it takes, and the packets."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    context.time_base, context.framerate, context.thread_count = TICKS, 1 / TICKS, threads
    context.options = {"preset": preset, "crf": f"{crf:g}", **({"x264-params": parameters} if parameters else {})}
    begun = time.perf_counter()
    made = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, TICKS
        made += context.encode(frame)
    made += context.encode(None)
    return time.perf_counter() - begun, [bytes(packet) for packet in made]


def psnr(frames: list[VideoFrame], packets: list[bytes], decoder: str = "h264") -> float:
    """Of the luma, over all frames, in dB."""
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, VideoCodecContext)
    decoded = [frame for data in packets for frame in context.decode(Packet(data))] + context.decode(None)
    errors = [np.mean(np.square(_luma(a) - _luma(b))) for a, b in zip(frames, decoded, strict=True)]
    return 10 * math.log10(255**2 / float(np.mean(errors)))


def _luma(frame: VideoFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return frame.to_ndarray()[: frame.height].astype(np.float32)


def size_at(points: list[tuple[float, int]], wanted: float) -> float:
    """Bytes at a PSNR, on the line (in the logarithm of the size) through the two nearest points (PSNR, bytes)."""
    (a, first), (b, second) = sorted(points, key=lambda point: abs(point[0] - wanted))[:2]
    return math.exp(math.log(first) + (math.log(second) - math.log(first)) * (wanted - a) / (b - a))


def _said(quality: float, size: int) -> str:
    return f"{quality:.2f} dB {size / 1e3:.0f} kB"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--skip", type=int, default=100)
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="veryfast")
    parser.add_argument("--threads", type=int, default=8)
    a = parser.parse_args()
    frames = enlarged(a.clip, a.skip, a.frames)
    said = machine.describe()
    size = f"{frames[0].width}x{frames[0].height}"
    print(f"{said['processor']}, av {said['packages']['av']}; {len(frames)} frames of {size}")

    taken: dict[str, list[float]] = {name: [] for name in SETTINGS}
    points: dict[str, list[tuple[float, int]]] = {}
    for name, parameters in SETTINGS.items():
        made = [encode(frames, a.preset, crf, parameters, a.threads)[1] for crf in CRFS]
        points[name] = [(psnr(frames, packets), sum(map(len, packets))) for packets in made]
    wanted, before = points["as x264 has it"][0]
    # each at the crf that comes nearest to the same quality
    chosen = {name: min(CRFS, key=lambda crf: abs(points[name][CRFS.index(crf)][0] - wanted)) for name in SETTINGS}
    for _, (name, parameters) in itertools.product(range(a.rounds), SETTINGS.items()):
        taken[name].append(encode(frames, a.preset, chosen[name], parameters, a.threads)[0])
    for name, found in points.items():
        rate = len(frames) / statistics.median(taken[name])
        at = "  ".join(f"crf {crf}: {_said(*point)}" for crf, point in zip(CRFS, found, strict=True))
        print(f"{name:16} {rate:6.1f} frames/s at crf {chosen[name]}; {at}; ", end="")
        print(f"at {wanted:.2f} dB: {size_at(found, wanted) / before - 1:+.1%}")

    by_count: dict[int, list[float]] = {count: [] for count in THREADS}
    sizes = {}
    for _, count in itertools.product(range(a.rounds), THREADS):
        seconds, packets = encode(frames, a.preset, CRFS[0], "mbtree=0", count)
        by_count[count].append(seconds)
        sizes[count] = (psnr(frames, packets), sum(map(len, packets)))
    for count, times in by_count.items():
        print(f"{count:2} threads {len(frames) / statistics.median(times):6.1f} frames/s  {_said(*sizes[count])}")


if __name__ == "__main__":
    main()
