"""Frames of compressed clips, enlarged: `python -m benchmarks.video_stills VIDEO_OR_PHOTO ... -o FILE.png`.

A row for each clip: the same part of its last frame by Lanczos' filter and by models that are shipped. Clips are what
flicker is measured on (training/measure/clips.py): the middle of a video, or a pan over a photograph, behind x264.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import fastsr
from benchmarks.demo import GAP, panels
from fastsr.network import catalog
from training.data.image_folders import SUFFIXES
from training.measure import clips

MODELS = ("fast-x4", "live-x4", "photo-x4")  # those of them that are shipped
FRAMES = 10  # of a clip; the last one is shown, which the encoder made of those before
SCALE, SIDE = 4, 400  # of the results; of what is shown of each, pixels


def compressed(path: Path, crf: int) -> Image.Image:
    """The last frame of a clip."""
    seen = clips.panned(path, FRAMES) if path.suffix.lower() in SUFFIXES else clips.middle(path, FRAMES)
    return Image.fromarray(clips.compressed(seen, crf)[-1])


def row(frame: Image.Image, models: list[str], left: float, top: float) -> Image.Image:
    """A frame enlarged by each way."""
    made = {"Lanczos": frame.resize((frame.width * SCALE, frame.height * SCALE), Image.Resampling.LANCZOS)}
    made |= {model: fastsr.load(model, device="cpu").upscale(frame, scale=SCALE) for model in models}
    return panels(made, left, top, SIDE)


def main() -> None:
    """Write the page, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path, metavar="VIDEO_OR_PHOTO")
    parser.add_argument("-o", "--output", type=Path, default=Path("video-stills.png"))
    parser.add_argument("--crf", type=int, default=clips.CRF, help="of x264")
    parser.add_argument("--models", nargs="+", help=f"by default those of {', '.join(MODELS)} that are shipped")
    parser.add_argument("--at", nargs=2, type=float, default=(0.5, 0.4), metavar=("LEFT", "TOP"), help="shares, 0 to 1")
    arguments = parser.parse_args()
    models = arguments.models or [model for model in MODELS if model in catalog.models()]
    rows = [row(compressed(path, arguments.crf), models, *arguments.at) for path in arguments.clips]
    page = Image.new("RGB", (max(made.width for made in rows), len(rows) * (SIDE + GAP) - GAP), "white")
    for index, made in enumerate(rows):
        page.paste(made, (0, index * (SIDE + GAP)))
    page.save(arguments.output)
    print(f"wrote {arguments.output}: {', '.join(('Lanczos', *models))}, behind x264 at crf {arguments.crf}")


if __name__ == "__main__":
    main()
