"""What SVT-AV1's presets cost, and what size they make at equal quality: `python -m benchmarks.av1_presets CLIP`.

Frames of CLIP, enlarged by bicubic interpolation, are encoded as fastsr does it (8 threads) with each preset, at three
crf. Printed are milliseconds of processor time a frame, PSNR of the luma and size; and the size at the PSNR of the
default preset with the default crf, from the line through the two nearest points. Writes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from benchmarks import machine
from benchmarks.h264_settings import TICKS, enlarged, psnr, size_at
from fastsr.video.codecs.codec_table import CODEC_TABLE
from fastsr.video.codecs.encoder import THREADS

AV1 = CODEC_TABLE["av1"]
PRESETS = ("13", "12", "11", "10", "9", "8")
CRFS = (AV1.default_crf - 4, AV1.default_crf, AV1.default_crf + 4)


def encode(frames: list[VideoFrame], preset: str, crf: float) -> list[bytes]:
    """The packets."""
    context = av.CodecContext.create(AV1.encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    context.time_base, context.framerate, context.thread_count = TICKS, 1 / TICKS, THREADS
    context.options = {**AV1.speed_options(preset), **AV1.quality_options(crf)}
    made = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, TICKS
        made += context.encode(frame)
    made += context.encode(None)
    return [bytes(packet) for packet in made]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--skip", type=int, default=20)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=AV1.presets)
    a = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")
    frames = enlarged(a.clip, a.skip, a.frames)
    said = machine.describe()
    print(
        f"{said['processor']}, av {said['packages']['av']}; {len(frames)} frames, {frames[0].width}x{frames[0].height}"
    )
    wanted: tuple[float, int] | None = None
    for preset in dict.fromkeys([AV1.default_preset, *a.presets]):
        points, cpu = [], []
        for crf in CRFS:
            begun = time.process_time()
            packets = encode(frames, preset, crf)
            cpu.append((time.process_time() - begun) / len(frames) * 1e3)
            points.append((psnr(frames, packets, "libdav1d"), sum(map(len, packets))))
        wanted = wanted or points[CRFS.index(AV1.default_crf)]
        size = size_at(points, wanted[0]) / wanted[1] - 1
        at = "  ".join(f"crf {c:g}: {q:.2f} dB {s / 1e3:.0f} kB" for c, (q, s) in zip(CRFS, points, strict=True))
        print(f"preset {preset:2} {min(cpu):5.1f} ms; {at}; at {wanted[0]:.2f} dB {size:+.0%}", flush=True)


if __name__ == "__main__":
    main()
