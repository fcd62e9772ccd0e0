"""Which GPUs this machine has; nothing of CUDA is needed to ask."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def devices() -> tuple[tuple[dict[str, Any], ...], str]:
    """NVIDIA GPUs (index, name, compute_capability, memory in bytes), and why there are none."""
    try:
        from fastsr import _cuda
    except ImportError:
        return (), "this fastsr was built without CUDA; install it where nvcc is on PATH"
    found, reason = _cuda.devices()
    return tuple(found), reason


def present() -> bool:
    """Whether there is a GPU that fastsr was built for."""
    return bool(devices()[0])
