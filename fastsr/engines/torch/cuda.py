"""The torch engine on a GPU: the generator's body in PyTorch, channels last, between fastsr's own kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fastsr.engines.gpu.frame_engine import FrameEngine
from fastsr.engines.torch.executor import Executor
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.network.output_head import without_output_head
from fastsr.tiling.bounds import Bounds

PROBE = 256  # side of the window that memory use is measured on
NO_LIMITS = (64, 1 << 15, 1 << 15)  # batch, height, width


class TorchDevice:
    """See `gpu.device.Device`; memory comes from PyTorch's caching allocators."""

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self._device = torch.device("cuda", index)

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Tensor:
        return torch.empty(shape, dtype=_torch_dtype(dtype), device=self._device)

    def pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        # The array keeps the tensor; once both are gone, the host allocator hands the block out again.
        return torch.empty(shape, dtype=_torch_dtype(dtype), pin_memory=True).numpy()

    def stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def copy(self, target: Any, source: Any, stream: torch.cuda.Stream) -> None:
        with torch.cuda.stream(stream):
            _tensor(target).copy_(_tensor(source), non_blocking=True)

    def record(self, stream: Any) -> torch.cuda.Event:
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(stream)
        return event

    def wait(self, stream: Any, event: torch.cuda.Event) -> None:
        stream.wait_event(event)

    def sync(self, event: torch.cuda.Event) -> None:
        event.synchronize()

    def capture(self, work: Callable[[], None], stream: torch.cuda.Stream) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            work()

        def launch() -> None:
            with torch.cuda.stream(stream):
                graph.replay()

        return launch

    def free_memory(self) -> int:
        free, _ = torch.cuda.mem_get_info(self._device)
        held = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free + held

    def is_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, torch.cuda.OutOfMemoryError)

    def release(self) -> None:
        torch.cuda.empty_cache()


def _torch_dtype(dtype: npt.DTypeLike) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _tensor(array: Any) -> Tensor:
    """Page-locked arrays as tensors: non-blocking copies know by the address that they are."""
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else array


class TorchNetwork:
    """See `gpu.device.Network`; batches are channels last."""

    layout = "NHWC"
    limits = NO_LIMITS

    def __init__(self, body: Graph, precision: str, device: torch.device) -> None:
        self._execute = Executor(body, str(device), precision)
        # bfloat16 has no NumPy name: its batches come and go in float32.
        self.dtype: npt.DTypeLike = np.float16 if precision == "fp16" else np.float32
        self._channels = body.channels
        self._probe = -(-PROBE // body.alignment) * body.alignment
        self._device = device
        self._per_pixel: float | None = None

    def need(self, batch: int, height: int, width: int) -> int:
        """See `gpu.device.Network.need`: what one window was seen to take at most, in proportion to the pixels."""
        if self._per_pixel is None:
            before = torch.cuda.memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            stream = torch.cuda.current_stream(self._device)
            self.prepare(batch, self._probe, self._probe).run(stream)
            stream.synchronize()
            used = torch.cuda.max_memory_allocated(self._device) - before
            self._per_pixel = used / (batch * self._probe**2)
        return int(self._per_pixel * batch * height * width)

    def prepare(self, batch: int, height: int, width: int) -> TorchPrepared:
        """See `gpu.device.Network.prepare`."""
        x = torch.empty((batch, height, width, self._channels), dtype=_torch_dtype(self.dtype), device=self._device)
        return TorchPrepared(self._execute, x)


class TorchPrepared:
    """See `gpu.device.Prepared`."""

    def __init__(self, execute: Executor, x: Tensor) -> None:
        self.x = x
        self._execute = execute

    def run(self, stream: torch.cuda.Stream) -> Tensor:
        """Output as N x h x w x C."""
        # TF32 would not be fp32; cuDNN may try its algorithms, since shapes stay what they are.
        with torch.cuda.stream(stream), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            made = self._execute(self.x.permute(0, 3, 1, 2).to(self._execute.dtype))
            return made.permute(0, 2, 3, 1).to(self.x.dtype).contiguous()


def build(graph: Graph, precision: str, bounds: Bounds) -> FrameEngine:
    """An engine on the current GPU. Raises EngineError where torch sees none."""
    if not torch.cuda.is_available():
        raise EngineError("device 'cuda' was asked for, but torch sees no GPU; use device='cpu'")
    index = torch.cuda.current_device()
    headless = without_output_head(graph)
    network = TorchNetwork(headless.body, precision, torch.device("cuda", index))
    return FrameEngine("torch", graph, headless, network, TorchDevice(index), precision, *bounds)
