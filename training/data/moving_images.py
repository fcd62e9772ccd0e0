"""Runs of successive frames to learn video from: a window that moves over a photograph, or frames of a video."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastsr.errors import VideoError
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.time_range import TimeRange
from fastsr.video.sources.video_source import VideoSource
from training.data.image_folders import DataError

Frame = npt.NDArray[np.uint8]  # H x W x 3 RGB

LARGEST = 448  # side of a frame, pixels
MULTIPLE = 16  # sides are cut to multiples of this: even frames at a quarter and half of the size, folded by 2 too
WINDOW = 7 / 8  # of a photograph's side: that of the window, and the rest is where it moves
SPEED = 8.0  # most that a window moves along an axis from frame to frame, pixels
STILL, ZOOMING = 0.15, 0.25  # shares of photographs over which the window stands still, and grows or shrinks


def over_photograph(image: Frame, frames: int, draws: random.Random) -> list[Frame]:
    """`frames` views of a photograph through a window that `draws` moves: a pan, a zoom, or one that stands still."""
    height, width = (int(min(side * WINDOW, LARGEST)) // MULTIPLE * MULTIPLE for side in image.shape[:2])
    room = image.shape[0] - height, image.shape[1] - width
    kind = draws.random()
    if kind < ZOOMING:
        return _zoomed(image, (height, width), frames, draws)
    speed = 0.0 if kind < ZOOMING + STILL else SPEED
    tops, lefts = (_path(free, frames, speed, draws) for free in room)
    return [image[y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)]


def _path(room: int, frames: int, speed: float, draws: random.Random) -> list[int]:
    """Where a window lies along one axis in each frame: evenly from a place in 0..`room` to another."""
    way = draws.uniform(-1, 1) * min(room, speed * (frames - 1))
    begin = draws.uniform(max(0.0, -way), room - max(0.0, way))
    return [round(begin + way * i / max(1, frames - 1)) for i in range(frames)]


def _zoomed(image: Frame, size: tuple[int, int], frames: int, draws: random.Random) -> list[Frame]:
    """A window around the middle that grows from `size` towards the photograph's borders, or shrinks."""
    height, width = size
    most = min(image.shape[0] / height, image.shape[1] / width)
    last = 1 + draws.random() * (most - 1)
    factors = [1 + (last - 1) * i / max(1, frames - 1) for i in range(frames)]
    if draws.random() < 0.5:
        factors.reverse()
    middle_y, middle_x = image.shape[0] / 2, image.shape[1] / 2
    whole = Image.fromarray(image)
    made = []
    for factor in factors:  # never below 1, so that no frame is softer than the photograph
        y, x = height * factor / 2, width * factor / 2
        box = (middle_x - x, middle_y - y, middle_x + x, middle_y + y)
        made.append(np.asarray(whole.resize((width, height), Image.Resampling.BICUBIC, box)))
    return made


def arriving(image: Frame, frames: int, draws: random.Random) -> list[Frame]:
    """`frames` views that pan towards `image`, which is the last; what lies around it is mirrored."""
    height, width = image.shape[:2]
    ways = [draws.uniform(-1, 1) * min(side - 1, SPEED * (frames - 1)) for side in (height, width)]
    margin = math.ceil(max(map(abs, ways)))
    around = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    made = []
    for left in reversed(range(frames)):  # frames still to come
        top, first = (margin + round(way * left / max(1, frames - 1)) for way in ways)
        made.append(np.ascontiguousarray(around[top : top + height, first : first + width]))
    return made


def out_of_video(path: Path, frames: int, draws: random.Random) -> list[Frame]:
    """`frames` successive frames of a video from a place that `draws` chooses, the same window of each.

    Raises DataError for a video that cannot be read, or is too short or too small.
    """
    try:
        probe = VideoSource(file_input(path))
        try:
            count, rate = probe.info.frames or 0, probe.info.rate
        finally:
            probe.close()
        start = draws.randrange(max(1, count - frames))
        source = VideoSource(file_input(path), TimeRange(start=Fraction(start) / rate))
        try:
            found = [frame.pixels for frame in itertools.islice(source.frames(), frames)]
        finally:
            source.close()
    except VideoError as error:
        raise DataError(f"{error}; leave it out") from None
    if len(found) < frames:
        raise DataError(f"{path}: has {len(found)} frames from number {start} on, but a run is {frames}; leave it out")
    height, width = (min(side, LARGEST) // MULTIPLE * MULTIPLE for side in found[0].shape[:2])
    if min(height, width) == 0 or found[0].dtype != np.uint8:
        raise DataError(f"{path}: is not of 8 bits, or smaller than {MULTIPLE} pixels; leave it out")
    top, left = (draws.randint(0, free) for free in (found[0].shape[0] - height, found[0].shape[1] - width))
    return [np.ascontiguousarray(pixels[top : top + height, left : left + width]) for pixels in found]
