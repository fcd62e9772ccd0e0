"""Low-resolution crops made of high-resolution ones on their device: bicubic, or as images degrade in real life.

The realistic degradation follows the second-order scheme of Real-ESRGAN (Wang et al. 2021): twice over, blur, resize,
noise and JPEG. Its defaults are milder: photographs as people have them, not ruins.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.jpeg import jpeg
from training.data.video_compression import Compression
from training.settings import require

Degrade = Callable[[Tensor, torch.Generator, random.Random], Tensor]

VIDEO = "video"
KINDS = ("bicubic", "realistic", VIDEO)
POINT = 1e-3  # sigma in pixels of a blur that is none: every tap but the centre underflows to zero


@dataclasses.dataclass(frozen=True)
class Stage:
    """One round: blur, resize, noise, JPEG. Shares are of images, or of batches where one choice fixes their shape.

    Ranges are drawn from uniformly. What is left of shares that exclude each other: no blur, no resize, no noise.
    """

    isotropic: float = 0.3  # share blurred by a round Gaussian
    anisotropic: float = 0.2  # share blurred by an elliptical one at a random angle
    blur: tuple[float, float] = (0.1, 0.7)  # sigma along each axis, in pixels of the round's nominal result
    down: float = 0.4  # share of batches made smaller than the round's nominal size
    up: float = 0.2  # share of batches made larger than it
    resize: tuple[float, float] = (0.7, 1.4)  # smallest and largest size, in nominal sizes
    area: float = 0.3  # share of batches resized by area; the rest of the three by bicubic
    bilinear: float = 0.3
    gaussian: float = 0.35  # share with Gaussian noise
    gaussian_sigma: tuple[float, float] = (0.5, 5.0)  # in 8-bit steps
    poisson: float = 0.35  # share with Poisson noise
    poisson_scale: tuple[float, float] = (0.05, 0.5)  # its sigma over that of a sensor that counts 255 photons at white
    gray: float = 0.4  # share of all noise that is the same in red, green and blue
    jpeg: float = 0.7  # share of images compressed
    quality: tuple[float, float] = (55.0, 95.0)
    subsampled: float = 0.7  # share of batches compressed with chroma at half the resolution (4:2:0)

    def accept(self, where: str) -> None:
        """Raise SettingError for a value that is not accepted; `where` goes before the key's name."""
        exclusive = (("isotropic", "anisotropic"), ("down", "up"), ("area", "bilinear"), ("gaussian", "poisson"))
        for keys in (*exclusive, ("gray",), ("jpeg",), ("subsampled",)):
            for key in keys:
                share = getattr(self, key)
                require(0 <= share <= 1, where + key, share, "a share, 0 to 1")
            total = sum(getattr(self, key) for key in keys)
            require(total <= 1, where + " + ".join(keys), total, "at most 1")
        for key, least, most in (
            ("blur", POINT, 10),
            ("gaussian_sigma", 0, 255),
            ("poisson_scale", 1e-3, 255),
            ("quality", 1, 100),
        ):
            low, high = getattr(self, key)
            require(least <= low <= high <= most, where + key, (low, high), f"two rising values, {least:g} to {most:g}")
        require(
            0 < self.resize[0] <= 1 <= self.resize[1], where + "resize", self.resize, "two values with 1 between them"
        )


@dataclasses.dataclass(frozen=True)
class Degradation:
    """How low-resolution images are made.

    With H the high-resolution side, the nominal size after the first round is H / sqrt(scale) and after the second
    H / scale: each does half of the way. Where `kind` is "bicubic", the rest of the fields says nothing; where it is
    "video", `clean` and `compression` are what counts, and runs of frames are damaged (`training.data.video_damage`).
    """

    kind: str = "bicubic"
    clean: float = 0.2  # share of images that get plain bicubic, so that clean input is not smoothed
    jpeg_last: float = 0.5  # share of batches whose last JPEG follows the last resize, else precedes it
    first: Stage = dataclasses.field(default_factory=Stage)
    second: Stage = dataclasses.field(default_factory=Stage)
    compression: Compression = dataclasses.field(default_factory=Compression)

    def check(self) -> None:
        """Raise SettingError, naming the key, for a value that is not accepted."""
        require(self.kind in KINDS, "degradation.kind", self.kind, ", ".join(KINDS))
        require(0 <= self.clean <= 1, "degradation.clean", self.clean, "a share, 0 to 1")
        require(0 <= self.jpeg_last <= 1, "degradation.jpeg_last", self.jpeg_last, "a share, 0 to 1")
        self.first.accept("degradation.first.")
        self.second.accept("degradation.second.")
        self.compression.accept("degradation.compression.")


def build(settings: Degradation, scale: int) -> Degrade:
    """The function that makes low-resolution images 1/`scale` the size of high-resolution ones, as `settings` say.

    It takes N3HW float in 0..1 with sides divisible by `scale`, a generator of the same device for what differs from
    image to image, and a host generator for what fixes the shape of the whole batch. It returns N3HW in 0..1
    rounded to 8 bits, the same for the same input and states, and never waits for the device. Raises SettingError for
    "video", whose frames are not damaged one by one.
    """
    settings.check()
    require(settings.kind != VIDEO, "degradation.kind", settings.kind, "bicubic or realistic here: see `teach`")
    if settings.kind == "bicubic":
        return lambda high, generator, choices: bicubic(high, scale)
    return lambda high, generator, choices: _realistic(high, settings, scale, generator, choices)


def bicubic(high: Tensor, scale: int) -> Tensor:
    """Antialiased bicubic downscale by an integer factor, rounded to 8 bits, as the test sets are made.

    NCHW float in 0..1 with sides divisible by `scale`. Cubic convolution with a = -0.5 over a support widened by
    `scale` (Keys 1981, as in MATLAB's imresize and Pillow's BICUBIC).
    """
    if high.shape[-1] % scale or high.shape[-2] % scale:
        raise ValueError(f"sides {tuple(high.shape[-2:])} are not multiples of the scale {scale}")
    low = F.interpolate(high, scale_factor=1 / scale, mode="bicubic", antialias=True, align_corners=False)
    return low.clamp(0, 1).mul(255).round().div(255)


def _realistic(
    high: Tensor, settings: Degradation, scale: int, generator: torch.Generator, choices: random.Random
) -> Tensor:
    clean = bicubic(high, scale)
    height, width = clean.shape[-2:]
    half = scale**0.5  # how much smaller each round makes the image
    first, second = settings.first, settings.second

    low = _blur(high, first, half, generator)
    low = _resize(low, (height * half, width * half), _factor(first, choices), _mode(first, choices))
    low = _noise(low, first, generator)
    low = _compress(low, first, generator, choices)

    low = _blur(low, second, half, generator)
    low = _resize(low, (height, width), _factor(second, choices), _mode(second, choices))
    low = _noise(low, second, generator)
    jpeg_last, mode = choices.random() < settings.jpeg_last, _mode(second, choices)
    if not jpeg_last:
        low = _compress(low, second, generator, choices)
    low = _resize(low, (height, width), 1.0, mode)
    if jpeg_last:
        low = _compress(low, second, generator, choices)
    return torch.where(_chosen(low, settings.clean, generator), clean, low.mul(255).round().div(255))


def _uniform(like: Tensor, limits: tuple[float, float], generator: torch.Generator) -> Tensor:
    """One draw per image of `like`, N x 1 x 1 x 1."""
    draw = torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device)
    return limits[0] + (limits[1] - limits[0]) * draw


def _chosen(like: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Which images of `like` belong to a share of them, bool N x 1 x 1 x 1."""
    return _uniform(like, (0, 1), generator) < share


def gaussian_kernels(sigma_x: Tensor, sigma_y: Tensor, angle: Tensor, side: int) -> Tensor:
    """Gaussians of a sum of 1 over `side` x `side` pixels, one for each of N sigmas in pixels; N x `side` x `side`.

    The axis of `sigma_x` is turned by `angle` radians from x (right) towards y (down).
    """
    ramp = torch.arange(side, device=angle.device, dtype=angle.dtype) - side // 2
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along = cos * ramp[None, None, :] + sin * ramp[None, :, None]
    across = cos * ramp[None, :, None] - sin * ramp[None, None, :]
    square = (along / sigma_x[:, None, None]) ** 2 + (across / sigma_y[:, None, None]) ** 2
    kernels = torch.exp(-square / 2)
    return kernels / kernels.sum((1, 2), keepdim=True)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Each of `images` (NCHW) filtered by its own kernel (N x K x K, odd K, symmetric), mirrored at the borders."""
    n, channels, height, width = images.shape
    pad = kernels.shape[-1] // 2
    flat = F.pad(images, (pad, pad, pad, pad), mode="reflect").reshape(1, n * channels, height + 2 * pad, -1)
    weight = kernels.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(flat, weight, groups=n * channels).view(n, channels, height, width)


def _blur(images: Tensor, stage: Stage, pixel: float, generator: torch.Generator) -> Tensor:
    """`images` blurred as `stage` says, whose sigmas are in units of `pixel` pixels."""
    low, high = (pixel * sigma for sigma in stage.blur)
    kind = _uniform(images, (0, 1), generator)
    sigma_x, sigma_y = (_uniform(images, (low, high), generator) for _ in range(2))
    sigma_y = torch.where(kind < stage.isotropic, sigma_x, sigma_y)
    blurred = kind < stage.isotropic + stage.anisotropic
    sigma_x, sigma_y = (torch.where(blurred, sigma, POINT) for sigma in (sigma_x, sigma_y))
    angle = _uniform(images, (0, math.pi), generator)
    # A Gaussian ends after 3 sigmas, the mirrored border with the image.
    radius = min(math.ceil(3 * high), min(images.shape[-2:]) - 1)
    return convolve(images, gaussian_kernels(sigma_x.flatten(), sigma_y.flatten(), angle.flatten(), 2 * radius + 1))


def _factor(stage: Stage, choices: random.Random) -> float:
    kind, smaller, larger = choices.random(), choices.uniform(stage.resize[0], 1), choices.uniform(1, stage.resize[1])
    return smaller if kind < stage.down else larger if kind < stage.down + stage.up else 1.0


def _mode(stage: Stage, choices: random.Random) -> str:
    kind = choices.random()
    return "area" if kind < stage.area else "bilinear" if kind < stage.area + stage.bilinear else "bicubic"


def _resize(images: Tensor, nominal: tuple[float, float], factor: float, mode: str) -> Tensor:
    """`images` at `factor` times the `nominal` height and width; antialiased where that is smaller."""
    size = [max(1, round(side * factor)) for side in nominal]
    if size == list(images.shape[-2:]):
        return images
    if mode == "area":
        if size[0] < images.shape[-2]:
            return F.interpolate(images, size, mode="area")
        mode = "bilinear"  # averaging an area smaller than a pixel would only repeat pixels
    return F.interpolate(images, size, mode=mode, antialias=True, align_corners=False).clamp(0, 1)


def gaussian_noise(signal: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of standard deviation `sigma`, which broadcasts over `signal`."""
    return sigma * torch.randn(signal.shape, generator=generator, device=signal.device)


def poisson_noise(signal: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """Shot noise of a `signal` in 0..1, of variance `scale`^2 * signal / 255; `scale` broadcasts over it."""
    photons = 255 / scale**2  # at white
    return torch.poisson(signal * photons, generator=generator) / photons - signal


def _noise(images: Tensor, stage: Stage, generator: torch.Generator) -> Tensor:
    signal = torch.cat([images, images.mean(1, keepdim=True)], 1)  # the fourth channel's noise is the gray one
    kind = _uniform(images, (0, 1), generator)
    gaussian = gaussian_noise(signal, _uniform(images, stage.gaussian_sigma, generator) / 255, generator)
    poisson = poisson_noise(signal, _uniform(images, stage.poisson_scale, generator), generator)
    noise = torch.where(kind < stage.gaussian, gaussian, poisson)
    noise = torch.where(_chosen(images, stage.gray, generator), noise[:, 3:], noise[:, :3])
    noisy = kind < stage.gaussian + stage.poisson
    return torch.where(noisy, images + noise, images).clamp(0, 1)


def _compress(images: Tensor, stage: Stage, generator: torch.Generator, choices: random.Random) -> Tensor:
    subsampled = choices.random() < stage.subsampled
    quality = _uniform(images, stage.quality, generator).round().flatten()
    chosen = _chosen(images, stage.jpeg, generator)
    return torch.where(chosen, jpeg(images, quality, subsampled), images)
