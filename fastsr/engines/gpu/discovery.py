"""Which GPUs this machine has and this process would use, without loading anything until asked."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from fastsr.errors import EngineError

INSTALL = 'run: pip install "fastsr[tensorrt]"'


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU."""

    index: int
    name: str
    sm: str  # compute capability, as "8.9"


@functools.cache
def listed() -> tuple[tuple[dict[str, Any], ...], str]:
    """All GPUs (index, name, compute_capability, memory in bytes), asked without cuda-core; and why there are none."""
    try:
        from fastsr import _cuda
    except ImportError:
        return (), "this fastsr was built without CUDA; install it where nvcc is on PATH"
    found, reason = _cuda.devices()
    return tuple(found), reason


def present() -> bool:
    """Whether there is a GPU that fastsr was built for."""
    return bool(listed()[0])


def device(index: int = 0) -> Any:
    """The cuda.core.Device of this number, made the calling thread's current one. Raises EngineError as `find` does."""
    try:
        from cuda.core import Device
    except (ImportError, OSError) as error:
        raise EngineError(f"TensorRT engines need cuda-core ({error}); {INSTALL}") from None
    try:
        found = Device(index)
        found.set_current()
    except Exception as error:  # cuda-core's, cuda-bindings' and the loader's share no base
        raise EngineError(_without(index, error)) from None
    return found


def find(index: int = 0) -> Gpu:
    """The GPU of this number. Raises EngineError when cuda-core or the driver is missing, or there is no such GPU."""
    found = device(index)
    major, minor = found.compute_capability
    return Gpu(index, found.name, f"{major}.{minor}")


def _without(index: int, error: Exception) -> str:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    if "INSUFFICIENT_DRIVER" in text or "SYSTEM_DRIVER_MISMATCH" in text:
        return f"the NVIDIA driver is too old for this CUDA ({text}); update the driver"
    if type(error).__name__ == "DynamicLibNotFoundError" or "STUB_LIBRARY" in text:
        return "there is no NVIDIA driver on this machine; install it, or use device='cpu'"
    return f"GPU {index} cannot be used ({text}); nvidia-smi lists those there are"
