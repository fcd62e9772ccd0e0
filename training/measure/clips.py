"""Clips that flicker is measured on: part of a video, or a pan over a photograph, compressed by x264 at a low rate."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from fastsr.video.arguments import checked_file
from fastsr.video.codecs.color_conversion import RGB_SOURCE_COLORS, RgbToYuv
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource
from training.data.image_folders import SUFFIXES, DataError
from training.measure import metrics
from training.measure.evaluate import as_tensor

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

WINDOW = (240, 136)  # of the frames at most, width and height: large networks take seconds for one
RATE = 25  # frames a second, which x264's rate control asks for
CRF, KEY_FRAMES = 32, 12  # a low rate; how many frames lie between two that are encoded afresh
PAN = (3, 1)  # half pixels to the right and down that a pan moves by from frame to frame
BLOCK, REST = 8, 1.0  # side of a block, pixels; levels of luma that a scene at rest changes by at most
EDGE = 16  # pixels along a frame's border that are not measured: networks see an edge there
LEAST = 64  # sides of a clip, pixels


@dataclasses.dataclass(frozen=True)
class Clip:
    """Frames as a decoder gives them, and where their scene is known to be the same as in the frame before.

    Attributes:
        name: for tables and cards.
        frames: H x W x 3, RGB.
        motion: how far the camera moves to the right and down from frame to frame, in half pixels.
        same: H x W for every frame but the first: where its scene is that of the frame before, moved, and no edge near.

    """

    name: str
    frames: list[Pixels]
    motion: tuple[int, int]
    same: list[Mask]


def opened(path: Path, count: int) -> Clip:
    """`count` frames of the video, or of a pan over the photograph, at `path`; compressed.

    Raises DataError, or fastsr's VideoError, naming the file, for one that cannot be used.
    """
    if count < 2:
        raise DataError(f"{count} frames are too few: flicker is seen from one frame to the next")
    name = re.sub(r"[^\w-]+", "-", path.stem)
    if path.suffix.lower() in SUFFIXES:
        frames = panned(path, count)
        return Clip(f"{name}-pan", compressed(frames), PAN, [inside(frame.shape, PAN) for frame in frames[1:]])
    frames = middle(path, count)
    pairs = itertools.pairwise(frames)
    same = [at_rest(before, after) & inside(after.shape, (0, 0)) for before, after in pairs]
    if not np.any(same):
        raise DataError(f"{path}: nothing in its middle is at rest; name another video, or a photograph")
    return Clip(name, compressed(frames), (0, 0), same)


def middle(path: Path, count: int) -> list[Pixels]:
    """The middle of the frames in the middle of a video, WINDOW at most."""
    with contextlib.closing(VideoSource(file_input(checked_file(path)))) as source:
        skipped = max(0, (source.info.frames or 0) - count) // 2
        frames = [_cut(frame.pixels) for frame in itertools.islice(source.frames(), skipped, skipped + count)]
    if len(frames) < 2 or min(frames[0].shape[:2]) < LEAST or frames[0].dtype != np.uint8:
        raise DataError(f"{path}: needs two frames of 8 bits and {LEAST}x{LEAST} pixels; name another video")
    return frames


def _cut(pixels: npt.NDArray[np.generic]) -> Pixels:
    """The middle of a frame; sides are even, as 4:2:0 needs them."""
    height, width = (min(side, most) // 2 * 2 for side, most in zip(pixels.shape, reversed(WINDOW), strict=False))
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])  # type: ignore[arg-type]


def panned(path: Path, count: int) -> list[Pixels]:
    """What a camera sees that pans over a photograph, which is shown at half its size.

    Pixels of the photograph are half pixels of the frames, so that the motion between frames is exact.
    """
    try:
        with Image.open(path) as image:
            photo = image.convert("RGB")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); name another photograph") from None
    path_length = [step * (count - 1) for step in PAN]
    sides = [
        min(most, (side - length) // 4 * 2) for side, length, most in zip(photo.size, path_length, WINDOW, strict=True)
    ]
    if min(sides) < LEAST:
        needed = "x".join(str(2 * LEAST + length) for length in path_length)
        raise DataError(f"{path}: is too small to pan over for {count} frames; it needs {needed} pixels")
    width, height = sides
    made = []
    for index in range(count):
        left, top = (step * index for step in PAN)
        seen = photo.crop((left, top, left + 2 * width, top + 2 * height))
        made.append(np.array(seen.resize((width, height), Image.Resampling.BICUBIC)))
    return made


def compressed(frames: list[Pixels], crf: int = CRF) -> list[Pixels]:
    """The frames as a decoder gives them behind x264: 4:2:0, BT.709. The same on every machine."""
    height, width, _ = frames[0].shape
    to_yuv = RgbToYuv(RGB_SOURCE_COLORS, "yuv420p", width, height)
    # macroblock trees are computed with approximations that differ between processors
    options = {"crf": str(crf), "preset": "medium", "g": str(KEY_FRAMES), "x264-params": "mbtree=0:threads=1"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        with av.open(str(path), "w") as made:
            stream = made.add_stream("libx264", rate=RATE, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for index, pixels in enumerate(frames):
                frame = to_yuv(pixels)
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
        with contextlib.closing(VideoSource(file_input(path))) as source:
            return [np.asarray(frame.pixels, np.uint8) for frame in source.frames()]


def luma(pixels: Pixels) -> npt.NDArray[np.float64]:
    """H x W, 16..235, as PSNR is measured on."""
    made: npt.NDArray[np.float64] = metrics.luma(as_tensor(pixels))[0, 0].numpy()
    return made


def inside(shape: tuple[int, ...], motion: tuple[int, int]) -> Mask:
    """The pixels of a frame that have no edge near, nor had one in the frame before: H x W."""
    x, y = (-(-step // 2) for step in motion)
    made = np.zeros(shape[:2], np.bool_)
    made[EDGE : shape[0] - EDGE - y, EDGE : shape[1] - EDGE - x] = True
    return made


def at_rest(before: Pixels, after: Pixels) -> Mask:
    """Where a scene stands still between two frames: H x W.

    That is in blocks whose luma, and that of all blocks around them, changes by REST levels on average at most. What
    moves beside a pixel changes what a network makes of it, and is no flicker.
    """
    change = np.abs(luma(after) - luma(before))
    height, width = change.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    whole = np.pad(change, ((0, rows * BLOCK - height), (0, columns * BLOCK - width)), "edge")
    still = whole.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) <= REST
    around = np.pad(still, 1, constant_values=True)
    calm = np.asarray(np.lib.stride_tricks.sliding_window_view(around, (3, 3)).all(axis=(2, 3)), np.bool_)
    return enlarged(calm, BLOCK)[:height, :width]


def enlarged(mask: Mask, factor: int) -> Mask:
    """Each pixel of a mask repeated `factor` times along both axes."""
    return mask.repeat(factor, axis=0).repeat(factor, axis=1)
