"""Which arithmetic a device trains fastest in: asked of the device, because its feature flags do not tell.

An Intel processor with AVX512-BF16 but without AMX multiplies bf16 at half its float32 rate; a Zen 4 at twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

CHOICES = ("auto", "32-true", "bf16-mixed")
CHANNELS, SIDE, IMAGES = 64, 48, 4  # of the convolution that is timed
ROUNDS = 5
ADVANTAGE = 1.1  # bf16 rounds, so it must be faster by this to be taken


def choose(wanted: str, device: torch.device) -> str:
    """`wanted`, where "auto" is the faster of "32-true" and "bf16-mixed" on `device`."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    plain, half = _seconds(device, torch.float32), _seconds(device, torch.bfloat16)
    return "bf16-mixed" if plain > ADVANTAGE * half else "32-true"


def _seconds(device: torch.device, dtype: torch.dtype) -> float:
    """The quickest of ROUNDS convolutions."""
    x = torch.ones(IMAGES, CHANNELS, SIDE, SIDE, device=device, dtype=dtype).contiguous(
        memory_format=torch.channels_last
    )
    kernel = torch.ones(CHANNELS, CHANNELS, 3, 3, device=device, dtype=dtype)
    with torch.inference_mode():
        return min(_timed(lambda: F.conv2d(x, kernel, padding=1)) for _ in range(ROUNDS + 1))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
