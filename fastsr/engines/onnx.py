"""ONNX Runtime on the CPU: runs any ONNX generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from fastsr import _core
from fastsr.engines.tiled import TiledEngine
from fastsr.errors import EngineError, ModelError
from fastsr.graph import Graph


class OnnxEngine(TiledEngine):
    """One ONNX Runtime session; its `run` may be called from several threads."""

    name = "onnx"

    def __init__(self, graph: Graph, precision: str, tile: int | None) -> None:
        super().__init__(graph, precision, tile)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _core.thread_count()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph.serialized, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{graph.path}: ONNX Runtime cannot run it: {error}") from None

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `TiledEngine.forward`."""
        feed = batch.astype(self.graph.dtype, copy=False)
        try:
            (made,) = self._session.run([self.graph.output], {self.graph.input: feed})
        except Exception as error:
            shape = "x".join(map(str, feed.shape))
            raise EngineError(
                f"{self.graph.path}: ONNX Runtime failed on {shape} samples; "
                f"if memory ran out, try a smaller tile: {error}"
            ) from None
        return np.asarray(made)


def build(graph: Graph, device: str, precision: str, tile: int | None) -> OnnxEngine:
    """The registry's entry point."""
    return OnnxEngine(graph, precision, tile)
