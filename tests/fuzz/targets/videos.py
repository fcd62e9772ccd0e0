"""Videos: read, and written again at their own size."""

import functools
import random
import tempfile
from fractions import Fraction
from pathlib import Path

from support.video_samples import subtitles_and_attachment, video, with_display_matrix

import fastsr
from fuzz.byte_mutations import mutated
from fuzz.target import Target

KINDS = (
    (".mp4", {"sound": True}),
    (".mkv", {"sound": True, "more": subtitles_and_attachment}),
    (".ts", {"options": {"bf": "2", "b-adapt": "0"}}),
    (".mov", {"codec": "mpeg4"}),
    (".avi", {"codec": "mpeg4"}),
    (".webm", {"codec": "libvpx"}),
    (".mpg", {"codec": "mpeg2video", "ticks": Fraction(1, 25), "times": range(6)}),
    (".y4m", {"codec": "rawvideo", "ticks": Fraction(1, 25), "times": range(6)}),
)


@functools.cache
def _seeds() -> list[tuple[str, bytes]]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix, options in KINDS:
            path = video(Path(folder) / f"in{suffix}", 6, **options)
            made.append((suffix, path.read_bytes()))
            if suffix == ".mp4":
                made.append((suffix, with_display_matrix(path).read_bytes()))
    return made


def make(draw: random.Random) -> bytes:
    """A file behind a line with its suffix."""
    suffix, content = draw.choice(_seeds())
    return suffix.encode() + b"\n" + mutated(draw, content, [other for _, other in _seeds()])


def run(content: bytes, folder: Path) -> None:
    """Enlarge by 1, with a filter, into a container that holds most streams."""
    suffix, _, data = content.partition(b"\n")
    path = folder / f"in{suffix.decode()}"
    path.write_bytes(data)
    target = folder / ("out.mkv" if len(data) % 2 else "out.mp4")
    fastsr.upscale_video(path, target, model="nearest", scale=1, preset="ultrafast", end=1)


TARGET = Target(make, run, megabytes=1000, seconds=60)
