"""What libx264's presets cost at 1080p, and what size they make at equal quality.

`python -m benchmarks.h264_presets CLIP`: frames of CLIP, enlarged by bicubic interpolation, are encoded as fastsr does
it (no macroblock tree, 8 threads) with each preset, at several crf. Printed are milliseconds of processor time a frame,
PSNR of the luma and size; and the size at the PSNR of veryfast with crf 21, from the line through the two nearest
points. Writes nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.h264_settings import encode, enlarged, psnr, size_at
from fastsr.video.codecs.encoder import THREADS

DEFAULT = "veryfast"
CRFS = {"ultrafast": (16, 19), "superfast": (18, 21), DEFAULT: (21, 23), "faster": (20, 22), "medium": (20, 22)}
# between superfast and veryfast, and between ultrafast and superfast
VARIANTS = {
    "superfast, subme=2": ("superfast", "mbtree=0:subme=2"),
    "superfast, subme=2, me=hex": ("superfast", "mbtree=0:subme=2:me=hex"),
    "ultrafast, cabac, deblock": ("ultrafast", "mbtree=0:cabac=1:no-deblock=0"),
    "veryfast, no B-frames": (DEFAULT, "mbtree=0:bframes=0"),
    "veryfast, rc-lookahead=0": (DEFAULT, "rc-lookahead=0"),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--skip", type=int, default=20)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--presets", nargs="+", default=["ultrafast", "superfast", DEFAULT], choices=list(CRFS))
    a = parser.parse_args()
    frames = enlarged(a.clip, a.skip, a.frames)
    said = machine.describe()
    print(
        f"{said['processor']}, av {said['packages']['av']}; {len(frames)} frames, {frames[0].width}x{frames[0].height}"
    )
    ways = {name: (name, "mbtree=0") for name in dict.fromkeys([DEFAULT, *a.presets])} | VARIANTS
    wanted: tuple[float, int] | None = None
    for name, (preset, parameters) in ways.items():
        points, cpu = [], []
        for crf in CRFS[preset]:
            begun = time.process_time()
            packets = encode(frames, preset, crf, parameters, THREADS)[1]
            cpu.append((time.process_time() - begun) / len(frames) * 1e3)
            points.append((psnr(frames, packets), sum(map(len, packets))))
        wanted = wanted or points[0]
        size = size_at(points, wanted[0]) / wanted[1] - 1
        at = "  ".join(f"crf {c}: {q:.2f} dB {s / 1e3:.0f} kB" for c, (q, s) in zip(CRFS[preset], points, strict=True))
        print(f"{name:28} {min(cpu):5.1f} ms; {at}; at {wanted[0]:.2f} dB {size:+.0%}", flush=True)


if __name__ == "__main__":
    main()
