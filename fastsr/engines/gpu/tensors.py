"""Pictures that lie on a GPU already: enlarged there and handed back as the same kind, without a copy to the host."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from fastsr.errors import EngineError


class OnDevice(Protocol):
    """An engine that takes device arrays (see `engines.frames.FrameEngine`)."""

    @property
    def gpu(self) -> int:
        """Number of the GPU that it runs on."""
        ...

    def run_on_device(self, frame: Any, shape: tuple[int, int, int], out: Any, stream: Any) -> None:
        """H x W x C to `scale` times as high and wide, in order on `stream`."""
        ...


def is_tensor_on_gpu(image: Any) -> bool:
    """Whether this is a PyTorch tensor in a GPU's memory."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor) and bool(image.is_cuda)


def fits(tensor: Any, channels: int) -> bool:
    """Whether a C x H x W or N x C x H x W tensor can go to an engine as it is: by its channels, dtype and size."""
    torch: Any = sys.modules["torch"]
    usual = tensor.dtype in (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
    return tensor.ndim in (3, 4) and tensor.shape[-3] == channels and usual and 0 not in tensor.shape


def upscale(tensor: Any, engine: OnDevice, scale: int, stream: Any) -> Any:
    """A C x H x W or N x C x H x W tensor, uint8 or float in 0..1, as one of the same kind, `scale` times larger.

    Nothing waits for the GPU, so values that are not finite are not looked for; they become 0. Raises EngineError for a
    tensor on another GPU than the engine's.
    """
    torch: Any = sys.modules["torch"]
    if tensor.device.type == "cuda" and tensor.device.index != engine.gpu:
        raise EngineError(
            f"the tensor is on GPU {tensor.device.index} and the model on GPU {engine.gpu}; "
            f"move the tensor there with .to('cuda:{engine.gpu}')"
        )
    pixels = tensor.detach()
    if tensor.dtype != torch.uint8:
        pixels = pixels.float()
    batch = pixels.reshape(-1, *tensor.shape[-3:]).permute(0, 2, 3, 1).contiguous()
    n, height, width, channels = batch.shape
    made = torch.empty((n, height * scale, width * scale, channels), dtype=batch.dtype, device=batch.device)
    for frame, out in zip(batch, made, strict=True):
        engine.run_on_device(frame, (height, width, channels), out, stream)
    planar = made.permute(0, 3, 1, 2).contiguous().to(tensor.dtype)
    return planar[0] if tensor.ndim == 3 else planar
