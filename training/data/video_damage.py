"""Low-resolution frames as video has them: made small, blurred and noisy as by a camera, then compressed by a codec."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from training.data import degradation
from training.data.video_compression import Compression, compressed

Frame = npt.NDArray[np.uint8]  # H x W x 3 RGB


def small(frame: Frame, scale: int) -> Tensor:
    """A frame made small as the test sets are, 1 x 3 x h x w in 0..1."""
    return degradation.bicubic(_tensor(frame), scale)


def damaged(
    frames: Sequence[Frame], settings: Compression, scale: int, clean: float, draws: random.Random
) -> list[Frame]:
    """What a video of `frames` would have of them at 1/`scale` of their size; `clean`: chance that it is undamaged."""
    if draws.random() < clean:
        return [pixels(small(frame, scale)) for frame in frames]
    area = draws.random() < settings.area
    lows = [F.avg_pool2d(_tensor(frame), scale) if area else small(frame, scale) for frame in frames]
    if draws.random() < settings.blurred:
        sigma = torch.tensor([draws.uniform(*settings.blur)])
        kernel = degradation.gaussian_kernels(sigma, sigma, torch.zeros(1), 7)
        lows = [degradation.convolve(low, kernel) for low in lows]
    if draws.random() < settings.noisy:
        sigma = torch.tensor(draws.uniform(*settings.noise) / 255)
        noise = torch.Generator().manual_seed(draws.getrandbits(63))
        lows = [low + degradation.gaussian_noise(low, sigma, noise) for low in lows]
    codec = draws.choices([*settings.share], [*settings.share.values()])[0]
    crf = round(draws.uniform(*settings.crf[codec]), 1 if codec in ("h264", "hevc") else None)
    return compressed([pixels(low) for low in lows], codec, crf)


def _tensor(frame: Frame) -> Tensor:
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255


def pixels(image: Tensor) -> Frame:
    """1 x 3 x H x W in 0..1 as H x W x 3 bytes."""
    made: Frame = image[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return made
