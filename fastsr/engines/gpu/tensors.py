"""PyTorch tensors that lie on a GPU already: enlarged there, without a copy to the host."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from fastsr.engines.protocol import DeviceEngine
from fastsr.errors import EngineError


def is_tensor_on_gpu(image: Any) -> bool:
    """Whether this is a PyTorch tensor in a GPU's memory."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor) and bool(image.is_cuda)


@dataclasses.dataclass(frozen=True)
class DeviceImage:
    """A C x H x W or N x C x H x W tensor, uint8 or float in 0..1, on a GPU."""

    tensor: Any

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.tensor.shape[-1], self.tensor.shape[-2]

    def fits(self, channels: int) -> bool:
        """Whether it can go to an engine as it is: by its channels, dtype and size."""
        torch: Any = sys.modules["torch"]
        tensor = self.tensor
        usual = tensor.dtype in (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
        return tensor.ndim in (3, 4) and tensor.shape[-3] == channels and usual and 0 not in tensor.shape

    def upscaled(self, engine: DeviceEngine, scale: int) -> Any:
        """A tensor of the same kind, `scale` times larger, in order on PyTorch's current stream.

        Nothing waits for the GPU, so values that are not finite are not looked for; they become 0. Raises EngineError
        for a tensor on another GPU than the engine's.
        """
        torch: Any = sys.modules["torch"]
        tensor = self.tensor
        if tensor.device.type == "cuda" and tensor.device.index != engine.gpu:
            raise EngineError(
                f"the tensor is on GPU {tensor.device.index} and the model on GPU {engine.gpu}; "
                f"move the tensor there with .to('cuda:{engine.gpu}')"
            )
        stream = torch.cuda.current_stream(tensor.device) if tensor.device.type == "cuda" else None
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
