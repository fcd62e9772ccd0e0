"""PyTorch eager: the reference that other engines are compared with, and the baseline of the benchmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fastsr.engines.protocol import Engine
from fastsr.engines.torch.executor import Executor
from fastsr.engines.windowed import WindowedEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds


class TorchEngine(WindowedEngine):
    """The graph on a CPU, window by window."""

    name = "torch"

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        super().__init__(graph, precision, tile, overlap, memory)
        self._execute = Executor(graph, "cpu", precision)

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `WindowedEngine.forward`."""
        x = torch.from_numpy(batch).to(self._execute.dtype).contiguous(memory_format=torch.channels_last)
        try:
            return self._execute(x).float().contiguous().numpy()
        except ModelError as error:
            raise ModelError(f"{self.graph.path}: {error}") from None
        except Exception as error:  # whatever operators that do not fit make PyTorch and its functions raise
            shape, reason = "x".join(map(str, batch.shape)), (str(error).splitlines() or [type(error).__name__])[0]
            raise EngineError(
                f"{self.graph.path}: PyTorch failed on {shape} samples; if memory ran out, try a smaller tile: {reason}"
            ) from None


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> Engine:
    """The registry's entry point."""
    if device != "cuda":
        return TorchEngine(graph, precision, *bounds)
    from fastsr.engines.torch import cuda

    return cuda.build(graph, precision, bounds)
