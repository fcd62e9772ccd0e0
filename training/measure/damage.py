"""Damage of the low-resolution images that models are measured on: blur, noise and JPEG, or chains of real life."""

from __future__ import annotations

import dataclasses
import io
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter

from training.data import degradation, moving_images, video_damage
from training.data.video_compression import Compression

Pixels = npt.NDArray[np.float64]


class DamageError(ValueError):
    """A damage that is not known; the message says how to write one."""


@dataclasses.dataclass(frozen=True)
class Damage:
    """In this order: Gaussian blur, Gaussian noise, JPEG; or, where `real` is set, one of CHAINS."""

    blur: float = 0.0  # sigma, pixels of the low-resolution image
    noise: float = 0.0  # sigma, 8-bit steps
    jpeg: int | None = None  # Pillow's quality
    real: bool = False  # a chain chosen by the seed, of the same kinds for every model
    video: bool = False  # the last frame of a pan to where the image lies, made small and compressed

    @classmethod
    def parse(cls, text: str) -> Damage:
        """From one of NAMED, or text such as "jpeg=50,noise=5,blur=1.0". Raises DamageError for anything else."""
        if text in NAMED:
            return NAMED[text]
        values: dict[str, Any] = {}
        for part in text.split(","):
            key, _, number = part.strip().partition("=")
            if key not in _LIMITS or key in values:
                raise DamageError(f"damage {part!r} is unknown or given twice; {_DAMAGES}")
            low, high = _LIMITS[key]
            try:
                values[key] = int(number) if key == "jpeg" else float(number)
            except ValueError:
                raise DamageError(f"damage {part!r} has no number; {_DAMAGES}") from None
            if not low <= values[key] <= high:
                raise DamageError(f"damage {part!r} is out of range; {_DAMAGES}")
        return cls(**values)

    def __str__(self) -> str:
        for name, damage in NAMED.items():
            if self == damage:
                return name
        parts = {"blur": self.blur, "noise": self.noise, "jpeg": self.jpeg}
        return ",".join(f"{key}={value:g}" for key, value in parts.items() if value)

    def given(self, high: Image.Image, low: Image.Image, seed: int) -> Image.Image:
        """What a model gets: RGB of the size of `low`, made of it or of `high`; the same for the same seed."""
        if self.real:
            draws = random.Random(seed)
            return draws.choice(CHAINS)(high, low.size, draws)
        if self.video:
            return _last_frame(high, low.size, random.Random(seed))
        return self.apply(low, seed)

    def apply(self, image: Image.Image, seed: int) -> Image.Image:
        """The RGB `image` blurred, noisy and compressed."""
        pixels = np.array(image, np.float64)
        if self.blur:
            pixels = _blurred(pixels, self.blur)
        if self.noise:
            pixels = pixels + np.random.default_rng(seed).normal(0, self.noise, pixels.shape)
        made = _image(pixels)
        return made if self.jpeg is None else _stored(made, "JPEG", self.jpeg)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _stored(image: Image.Image, kind: str, quality: int, **options: Any) -> Image.Image:
    """`image` written by a real encoder and read again."""
    file = io.BytesIO()
    image.save(file, kind, quality=quality, **options)
    with Image.open(file) as stored:
        return stored.convert("RGB")


def _blurred(pixels: Pixels, sigma: float) -> Pixels:
    """H x W x 3 under a Gaussian, the image mirrored at its edges."""
    reach = min(math.ceil(4 * sigma), min(pixels.shape[:2]) - 1)
    width = torch.tensor([sigma], dtype=torch.float64)
    kernel = degradation.gaussian_kernels(width, width, torch.zeros_like(width), 2 * reach + 1)
    made = degradation.convolve(torch.from_numpy(pixels).permute(2, 0, 1)[None], kernel)
    return made[0].permute(1, 2, 0).numpy()


def _scaled(image: Image.Image, size: tuple[int, int], factor: float, how: Image.Resampling) -> Image.Image:
    """`image` at `factor` times `size`."""
    return image.resize((max(1, round(size[0] * factor)), max(1, round(size[1] * factor))), how)


def _shifted(image: Image.Image, quality: int, pixels: int) -> Image.Image:
    """JPEG whose blocks begin `pixels` outside the image, as where it was cropped afterwards."""
    wide = Image.fromarray(np.pad(np.asarray(image), ((pixels, 0), (pixels, 0), (0, 0)), mode="edge"))
    return _stored(wide, "JPEG", quality).crop((pixels, pixels, wide.width, wide.height))


def _messenger(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """A phone's photograph, sent and saved twice at sizes of the messenger's choice."""
    image = _stored(_scaled(high, size, draws.uniform(1.6, 2.4), Image.Resampling.LANCZOS), "JPEG", 85)
    image = _stored(
        _scaled(image, size, draws.uniform(1.1, 1.4), Image.Resampling.BILINEAR), "JPEG", draws.randint(65, 80)
    )
    return _stored(image.resize(size, Image.Resampling.BILINEAR), "JPEG", draws.randint(60, 75))


def _thumbnail(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """A web page's small image: sharpened after it was made small, then WebP."""
    image = high.resize(size, Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.UnsharpMask(draws.uniform(0.6, 1.2), draws.randint(50, 120), 0))
    return _stored(image, "WEBP", draws.randint(50, 75))


def _screenshot(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """A photograph on a page that was shown larger than it is, captured, made small and cropped."""
    image = _stored(high.resize(size, Image.Resampling.BICUBIC), "JPEG", draws.randint(75, 90))
    image = _scaled(image, size, draws.choice((1.25, 1.5)), Image.Resampling.BILINEAR)
    return _shifted(image.resize(size, Image.Resampling.BICUBIC), draws.randint(70, 85), draws.randint(1, 7))


def _film_scan(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """A scan of a print: soft, with grain of a size that shows most in the middle tones."""
    image = _blurred(np.array(high.resize(size, Image.Resampling.BOX), np.float64), draws.uniform(0.5, 0.9))
    grain = np.random.default_rng(draws.getrandbits(32)).normal(0, draws.uniform(10, 18), image.shape[:2])
    soft = _blurred(np.repeat(grain[..., None], 3, 2), 0.6)
    luma = image.mean(2, keepdims=True) / 255
    return _stored(_image(image + soft * (4 * luma * (1 - luma) + 0.2)), "JPEG", 85)


def _old_phone(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """A small sensor at night: coloured noise, smeared by the phone's own median filter, sharpened, JPEG."""
    image = np.array(high.resize(size, Image.Resampling.BOX), np.float64)
    noise = np.random.default_rng(draws.getrandbits(32)).normal(0, draws.uniform(5, 10), image.shape)
    made = _image(image + noise).filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.UnsharpMask(1.0, 80, 0))
    return _stored(made, "JPEG", draws.randint(55, 75))


def _forum(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """Cropped, strongly compressed, posted again."""
    image = _shifted(high.resize(size, Image.Resampling.HAMMING), draws.randint(35, 55), draws.randint(1, 7))
    return _stored(image, "JPEG", draws.randint(70, 85), subsampling=0)


def _last_frame(high: Image.Image, size: tuple[int, int], draws: random.Random) -> Image.Image:
    """As `moving_images` and `video_damage` make the frames that are learned from, of codecs at their rates."""
    settings = Compression()
    frames = moving_images.arriving(np.asarray(high), settings.frames, draws)
    scale = high.width // size[0]
    return Image.fromarray(video_damage.damaged(frames, settings, scale, 0.0, draws)[-1])


CHAINS: tuple[Callable[[Image.Image, tuple[int, int], random.Random], Image.Image], ...] = (
    _messenger,
    _thumbnail,
    _screenshot,
    _film_scan,
    _old_phone,
    _forum,
)
NAMED = {
    "mild": Damage(blur=0.6, noise=2, jpeg=75),
    "hard": Damage(blur=1.0, noise=5, jpeg=50),
    "real": Damage(real=True),
    "video": Damage(video=True),
}
_LIMITS = {"blur": (0, 20), "noise": (0, 255), "jpeg": (1, 100)}
_DAMAGES = (
    f"write it as {', '.join(NAMED)}, or as blur=1.0,noise=5,jpeg=50, with blur in 0..20 (pixels), noise in 0..255 "
    "(8-bit steps), jpeg in 1..100"
)
