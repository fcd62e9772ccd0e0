"""Drawn licence plates as a camera sees them on cars: in perspective, in light and shadow, dirty, by night."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from training.data import plates
from training.data.plate_layouts import Color, Layout

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Point = tuple[float, float]

SUPERSAMPLED = 2  # plates are drawn and turned at this many times the resolution
PAINTS: tuple[Color, ...] = (
    (20, 20, 22),
    (60, 62, 66),
    (150, 152, 156),
    (225, 225, 222),
    (120, 15, 20),
    (20, 40, 90),
    (30, 70, 50),
    (90, 70, 50),
    (190, 150, 40),
    (90, 130, 170),
)


@dataclasses.dataclass(frozen=True)
class Pose:
    """How far a plate is turned at most, degrees."""

    yaw: float = 38.0
    pitch: float = 18.0
    roll: float = 8.0


@dataclasses.dataclass(frozen=True)
class View:
    """One plate on a part of a car."""

    image: Pixels  # H x W x 3 RGB
    rows: tuple[tuple[str, tuple[float, float, float, float]], ...]  # text; left, top, right, bottom, pixels


def view(
    size: tuple[int, int],
    width: float,
    layout: Layout,
    font: str,
    draws: random.Random,
    night: bool,
    photograph: Pixels | None = None,
    pose: Pose | None = None,
) -> View:
    """A plate `width` pixels wide in the picture, near the middle of an image of `size` (width, height).

    `photograph`: at least as large as `size`; it is what lies behind the plate, or what is reflected, now and then.
    """
    plate = plates.drawn(layout, font, round(width * SUPERSAMPLED), draws)
    corners = _corners(plate.image.size, width, size, draws, pose or Pose())
    behind = _car(size, draws, photograph)
    flat = _dirty(np.asarray(plate.image, np.float32), draws)
    seen, coverage = _turned(flat, corners, size)
    shadow = Image.fromarray((coverage * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(width * 0.03))
    down = round(width * draws.uniform(0, 0.02))
    dark = np.roll(np.asarray(shadow, np.float32) / 255, down, 0)[..., None] * draws.uniform(0, 0.6)
    behind = (behind * (1 - dark)).astype(np.float32)
    light = _night_light if night else _day_light
    plate_gain, car_gain = light(draws)
    made = seen * plate_gain + behind * car_gain * (1 - coverage[..., None])
    made = _tone(_shadow(made, draws) if not night else _glare(made, draws), draws)
    softened = Image.fromarray(made.clip(0, 255).round().astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(draws.uniform(0, 0.7))
    )
    matrix = _homography(_rectangle(plate.image.size), corners)
    rows = tuple((text, _bounds(matrix, box)) for text, box in plate.rows)
    return View(np.asarray(softened), rows)


def _rectangle(size: tuple[float, float]) -> list[Point]:
    return [(0.0, 0.0), (size[0], 0.0), (size[0], size[1]), (0.0, size[1])]


def _corners(
    plate: tuple[int, int], width: float, size: tuple[int, int], draws: random.Random, pose: Pose
) -> list[Point]:
    """Where the corners of a plate are seen, clockwise from the upper left one."""
    yaw, pitch, roll = (np.radians(draws.triangular(-most, most, 0)) for most in (pose.yaw, pose.pitch, pose.roll))
    half = plate[1] / plate[0] / 2
    flat = np.array([(-0.5, -half, 0), (0.5, -half, 0), (0.5, half, 0), (-0.5, half, 0)])
    about_y = np.array([(np.cos(yaw), 0, np.sin(yaw)), (0, 1, 0), (-np.sin(yaw), 0, np.cos(yaw))])
    about_x = np.array([(1, 0, 0), (0, np.cos(pitch), -np.sin(pitch)), (0, np.sin(pitch), np.cos(pitch))])
    about_z = np.array([(np.cos(roll), -np.sin(roll), 0), (np.sin(roll), np.cos(roll), 0), (0, 0, 1)])
    turned = flat @ (about_z @ about_x @ about_y).T
    far = draws.uniform(3, 12)  # the camera, in widths of the plate
    seen = turned[:, :2] * (far / (far + turned[:, 2:]))
    low, high = seen.min(0), seen.max(0)
    scale = min(width / (high[0] - low[0]), 0.92 * size[1] / (high[1] - low[1]))
    room = (np.array(size) - scale * (high - low)) / 2
    middle = np.array(size) / 2 + room * [draws.uniform(-0.7, 0.7), draws.uniform(-0.7, 0.7)]
    return [(float(x), float(y)) for x, y in (seen - (low + high) / 2) * scale + middle]


def _homography(source: Sequence[Point], target: Sequence[Point]) -> npt.NDArray[np.float64]:
    """The 3 x 3 matrix that takes four points to four others."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right, float)), 1).reshape(3, 3)


def _turned(flat: Floats, corners: Sequence[Point], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """A plate where its corners shall be, black around it, and how much of each pixel it covers (0..1)."""
    height, width = flat.shape[:2]
    larger = [(x * SUPERSAMPLED, y * SUPERSAMPLED) for x, y in corners]
    matrix = _homography(larger, _rectangle((width, height)))
    canvas = size[0] * SUPERSAMPLED, size[1] * SUPERSAMPLED
    image = Image.fromarray(flat.clip(0, 255).astype(np.uint8))
    image.putalpha(255)
    turned = image.transform(
        canvas, Image.Transform.PERSPECTIVE, matrix.flatten()[:8].tolist(), Image.Resampling.BICUBIC
    )
    small = np.asarray(turned.reduce(SUPERSAMPLED).convert("RGBa"), np.float32)
    return small[..., :3], (small[..., 3] / 255).astype(np.float32)


def _bounds(
    matrix: npt.NDArray[np.float64], box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    points = matrix @ np.array([(left, top, 1), (right, top, 1), (right, bottom, 1), (left, bottom, 1)]).T
    x, y = points[0] / points[2], points[1] / points[2]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _car(size: tuple[int, int], draws: random.Random, photograph: Pixels | None) -> Floats:
    """Painted metal with its seams, a grille, or a part of a photograph."""
    width, height = size
    kind = draws.random()
    behind = None if photograph is None else photograph[:height, :width].astype(np.float32)
    if behind is not None and kind < 0.35:
        return behind
    paint = np.array(draws.choice(PAINTS), np.float32)
    knots = np.array([draws.uniform(0.45, 1.5) for _ in range(5)])
    light = np.interp(np.linspace(0, 4, height), np.arange(5), knots)[:, None]
    side = np.linspace(draws.uniform(0.7, 1.3), draws.uniform(0.7, 1.3), width)[None, :]
    sky = draws.uniform(0, 40) * np.clip(light - 0.9, 0, None)  # what shines back
    made = paint * (light * side)[..., None] + sky[..., None]
    if behind is not None and draws.random() < 0.6:  # the street, reflected
        mirrored = np.asarray(Image.fromarray(behind.astype(np.uint8)).filter(ImageFilter.GaussianBlur(6)), np.float32)
        made += draws.uniform(0.05, 0.25) * (mirrored[::-1] - 100)
    canvas = Image.fromarray(made.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    if draws.random() < 0.4:
        _grille(draw, size, draws)
    for _ in range(draws.randint(0, 4)):  # seams and edges
        y, slope, shade = draws.uniform(0, height), draws.uniform(-10, 10), draws.choice((10, 25, 60, 200))
        draw.line((0, y - slope, width, y + slope), (shade, shade, shade), draws.choice((1, 2, 3)))
    if draws.random() < 0.35:  # a lamp
        x, y, radius = draws.choice((0.02, 0.98)) * width, draws.uniform(0.1, 0.6) * height, draws.uniform(12, 40)
        color = draws.choice(((190, 20, 15), (225, 225, 230), (230, 130, 30)))
        draw.ellipse((x - 2 * radius, y - radius, x + 2 * radius, y + radius), color, (40, 40, 40), 2)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(draws.uniform(0.3, 1.5))), np.float32)


def _grille(draw: ImageDraw.ImageDraw, size: tuple[int, int], draws: random.Random) -> None:
    width, height = size
    top, bottom = sorted((draws.uniform(0, height), draws.uniform(0, height)))
    dark = draws.randint(8, 35)
    draw.rectangle((draws.uniform(-40, 40), top, width + draws.uniform(-40, 40), bottom), (dark, dark, dark))
    pitch, bright = draws.uniform(5, 18), draws.randint(30, 190)
    upright = draws.random() < 0.3
    for i in range(round((width if upright else bottom - top) / pitch)):
        line = (i * pitch, top, i * pitch, bottom) if upright else (0, top + i * pitch, width, top + i * pitch)
        draw.line(line, (bright, bright, bright), draws.choice((1, 2)))


def _clouds(shape: tuple[int, int], cells: int, draws: random.Random) -> Floats:
    """Smooth noise in 0..1, `shape` high and wide."""
    noise = np.random.default_rng(draws.getrandbits(32)).random((cells, 2 * cells), np.float32)
    return np.asarray(Image.fromarray(noise).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _dirty(flat: Floats, draws: random.Random) -> Floats:
    """Dust and splashes, more of them below."""
    if draws.random() < 0.45:
        return flat
    height, width = flat.shape[:2]
    below = np.linspace(draws.uniform(0, 0.6), 1, height, dtype=np.float32)[:, None]
    film = draws.uniform(0.05, 0.6) * below * _clouds((height, width), draws.randint(2, 8), draws)
    spots = _clouds((height, width), draws.randint(12, 30), draws) > draws.uniform(0.86, 1.05)
    film = np.clip(film + 0.45 * spots * below, 0, 0.75)[..., None]
    soil = np.array(draws.choice(((120, 100, 80), (90, 85, 80), (160, 150, 135))), np.float32)
    mixed: Floats = flat * (1 - film) + soil * film
    return mixed


def _day_light(draws: random.Random) -> tuple[float, float]:
    """How bright plate and car are."""
    gain = draws.uniform(0.55, 1.1)
    return gain, gain * draws.uniform(0.8, 1.1)


def _night_light(draws: random.Random) -> tuple[float, float]:
    """A plate throws back headlights, a car hardly."""
    return draws.uniform(0.3, 1.25), draws.uniform(0.05, 0.3)


def _shadow(image: Floats, draws: random.Random) -> Floats:
    """The edge of a shadow across, now and then; or the half-shade of leaves."""
    kind = draws.random()
    height, width = image.shape[:2]
    if kind < 0.25:
        angle, place = draws.uniform(0, 2 * np.pi), draws.uniform(-0.2, 0.2)
        x, y = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
        lit = 1 / (1 + np.exp(-((x * np.cos(angle) + y * np.sin(angle) - place) * draws.uniform(15, 80))))
    elif kind < 0.35:
        lit = np.clip((_clouds((height, width), draws.randint(3, 8), draws) - 0.4) * draws.uniform(3, 10), 0, 1)
    else:
        return image
    dark = draws.uniform(0.3, 0.75)
    made: Floats = (image * (dark + (1 - dark) * lit)[..., None]).astype(np.float32)
    return made


def _glare(image: Floats, draws: random.Random) -> Floats:
    """Lamps that outshine what is beside them."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    for _ in range(draws.choice((0, 0, 1, 2))):
        at = draws.choice((draws.uniform(-0.1, 0.2), draws.uniform(0.8, 1.1))) * width, draws.uniform(-0.1, 1) * height
        away = (x - at[0]) ** 2 + (y - at[1]) ** 2
        color = np.array(draws.choice(((255, 240, 210), (235, 240, 255), (255, 60, 40))), np.float32)
        spot, halo = draws.uniform(6, 20), draws.uniform(40, 160)
        glow = 2 * np.exp(-away / (2 * spot**2)) + draws.uniform(0.1, 0.5) * np.exp(-away / (2 * halo**2))
        image = image + color * glow[..., None].astype(np.float32)
    return image


def _tone(image: Floats, draws: random.Random) -> Floats:
    """The camera's white balance, exposure curve and haze."""
    balance = np.array([draws.uniform(0.9, 1.08) for _ in range(3)], np.float32)
    curved = 255 * (np.clip(image * balance, 0, 255) / 255) ** draws.uniform(0.75, 1.35)
    haze = draws.choice((0.0, 0.0, draws.uniform(0, 0.25)))
    made: Floats = curved * (1 - haze) + haze * draws.uniform(90, 200)
    return made
